/** When to try again what a server has refused or not answered. */

export function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits that grow up to `mostMs`; chance shortens each by up to a half, so that a crowd does not come back as one. */
export class Backoff {
  #tries = 0;
  #firstMs;
  #mostMs;

  constructor(firstMs, mostMs) {
    [this.#firstMs, this.#mostMs] = [firstMs, mostMs];
  }

  /** Begins again with the shortest wait. */
  reset() {
    this.#tries = 0;
  }

  /** The next wait; not before the moment that the server has asked for with its refusal (`readJson`'s error). */
  async wait(error) {
    const ms = Math.min(this.#mostMs, this.#firstMs * 2 ** this.#tries) * (1 - Math.random() / 2);
    this.#tries += 1;
    await sleep(Math.max(ms, (error?.retryAfterMs ?? 0) + Math.random() * this.#firstMs));
  }
}
