/** The shows of the host's pages, kept for the page that comes after a browser that has died and could not end them. */
import { keep, recall } from "./kept.js";
import { sleep } from "./retry.js";
import { listSessions } from "./webrtc.js";

const KEPT = "flap-shows";
const LOOK_EVERY_MS = 3000;
const GIVEN_FREE_MS = 40_000; // the server takes some 30 s to give a dead host's place free

export class KeptShow {
  #own = null; // of this page: other pages of the browser may have others

  /** Keeps the session `id`, and no longer the one before, unless that goes on elsewhere. */
  keep(id, goesOn = false) {
    if (id === this.#own) return;
    const others = read().filter((kept) => kept !== id && (goesOn || kept !== this.#own));
    write(id ? [...others, id] : others);
    this.#own = id;
  }

  /**
   * A session that was kept and has no host, null when there is none. One that has a host is waited for: the host may be dead.
   * @param {() => void} onHosted is told of each look that finds a host
   */
  async left(onHosted) {
    const untilMs = performance.now() + GIVEN_FREE_MS;
    while (performance.now() < untilMs && read().length) {
      const listed = await listSessions().catch(() => null); // the next look may succeed
      if (listed) {
        const running = listed.map(({ id }) => id);
        write(read().filter((id) => running.includes(id)));
        const kept = listed.filter(({ id }) => id !== this.#own && read().includes(id));
        const found = kept.find(({ host_connected: isHosted }) => !isHosted);
        if (found || !kept.length) return found ?? null;
        onHosted();
      }
      await sleep(LOOK_EVERY_MS);
    }
    return null;
  }
}

function read() {
  try {
    const kept = JSON.parse(recall(KEPT) ?? "[]");
    return Array.isArray(kept) ? kept : [];
  } catch {
    return [];
  }
}

function write(ids) {
  keep(KEPT, ids.length ? JSON.stringify(ids) : null);
}
