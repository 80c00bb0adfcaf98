/** The sentence over the page: a failure stays, a refusal goes by itself. It covers nothing that is pressed. */

const SHOWN_MS = 5000;

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

  /** Gives way after a few seconds to what is kept. */
  flash(sentence) {
    clearTimeout(this.#timer);
    this.#show(sentence);
    this.#timer = setTimeout(() => this.#return(), SHOWN_MS);
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
