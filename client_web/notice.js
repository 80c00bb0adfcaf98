/** The sentence over the page: a failure stays, a refusal goes by itself. It covers nothing that is pressed. */

const SHOWN_MS = 5000;

export class Notice {
  #root;
  #timer = null;

  constructor(root) {
    this.#root = root;
  }

  /** Stays until the next sentence; an empty one takes it away. */
  keep(sentence) {
    clearTimeout(this.#timer);
    this.#root.textContent = sentence;
    this.#root.hidden = !sentence;
  }

  /** Goes after a few seconds. */
  flash(sentence) {
    this.keep(sentence);
    this.#timer = setTimeout(() => this.keep(""), SHOWN_MS);
  }
}
