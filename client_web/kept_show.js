/** The show of the host's page, kept for the page that comes after a browser that has died and could not end it. */
import { sleep } from "./retry.js";
import { listSessions } from "./webrtc.js";

const KEPT = "flap-show";
const LOOK_EVERY_MS = 3000;
const GIVEN_FREE_MS = 40_000; // the server takes some 30 s to give a dead host's place free

export class KeptShow {
  #own = null; // of this page: another page of the browser may have one too

  /** Keeps the session `id`; null forgets the one of this page. */
  keep(id) {
    if (id === this.#own) return;
    if (id) localStorage.setItem(KEPT, id);
    else if (localStorage.getItem(KEPT) === this.#own) localStorage.removeItem(KEPT);
    this.#own = id;
  }

  /**
   * The session that was kept and has no host, null when there is none. One that has a host is waited for: the host may be dead.
   * @param {() => void} onHosted is told of each look that finds a host
   */
  async left(onHosted) {
    const id = localStorage.getItem(KEPT);
    const untilMs = performance.now() + GIVEN_FREE_MS;
    while (id && performance.now() < untilMs) {
      const session = (await listSessions()).find((listed) => listed.id === id);
      if (session && !session.host_connected) return session;
      if (!session) {
        if (localStorage.getItem(KEPT) === id) localStorage.removeItem(KEPT);
        return null;
      }
      onHosted();
      await sleep(LOOK_EVERY_MS);
    }
    return null;
  }
}
