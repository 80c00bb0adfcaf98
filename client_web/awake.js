/** Keeps the screen on: a tablet that goes to sleep takes its page off the air. Where a browser does not do that, nothing is said. */
export class Awake {
  #isWanted = false;
  #lock = Promise.resolve(null);

  constructor() {
    document.addEventListener("visibilitychange", () => this.#renew()); // a page that is hidden loses it
  }

  /** Whether the screen is to stay on. */
  keep(on) {
    if (on === this.#isWanted) return;
    this.#isWanted = on;
    this.#renew();
  }

  #renew() {
    this.#lock.then((lock) => lock?.release());
    this.#lock = this.#isWanted && document.visibilityState === "visible" ? ask() : Promise.resolve(null);
  }
}

async function ask() {
  try {
    return await navigator.wakeLock.request("screen");
  } catch {
    return null;
  }
}
