/** The sentence over the page: a failure stays, a refusal goes by itself. It covers nothing that is pressed. */

const SHOWN_MS = 5000; // at least
const READ_MS = 70; // a letter

export class Notice {
  #root;
  #timer = null; // runs while something is flashed
  #kept = new Map(); // sentences, by whose they are

  constructor(root) {
    this.#root = root;
  }

  /** Stays until its owner keeps the next one; an empty one takes it away. Nothing new leaves what is flashed its time. */
  keep(sentence, owner = "page") {
    const isNews = sentence && sentence !== this.#kept.get(owner);
    this.#kept.set(owner, sentence);
    if (isNews || this.#timer === null) this.#return();
  }

  /** Gives way to what is kept once it can have been read. */
  flash(sentence) {
    clearTimeout(this.#timer);
    this.#show(sentence);
    this.#timer = setTimeout(() => this.#return(), Math.max(SHOWN_MS, READ_MS * sentence.length));
  }

  #return() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#show([...this.#kept.values()].filter(Boolean).join(" "));
  }

  #show(sentence) {
    this.#root.textContent = sentence;
    this.#root.hidden = !sentence;
  }
}
