import { ControlChannel } from "./control.js";
import { refusal, word } from "./strings.js";
import { receiveDelay, readJson, watchSession } from "./webrtc.js";

const RETRY_MS = 1500;

/**
 * The operator's side of sessions that others host: watches one and directs it. When it is over the next one is waited for,
 * unless the page was opened for that session: then nobody is led to somebody else's show.
 * @typedef {Object} Events
 * @property {(state: "waiting"|"starting"|"live"|"failed", why?: string) => void} onState
 * @property {(message: Object) => void} onMessage  server messages
 * @property {(stream: MediaStream) => void} onStream  the avatar's picture and voice
 * @property {(sessions: Object[], chosen: string | null) => void} onSessions
 */
/** Whether a handshake that failed was not refused for want of a role: what else is wrong with it may pass. */
async function mayDirect(session) {
  const { status } = await fetch(`/api/sessions/${session.id}/control`);
  return status !== 401 && status !== 403;
}

export class DeskClient {
  #events;
  #bound; // whether the page was opened for one session
  #wanted; // the session that was asked for; null takes the newest
  #session = null;
  #peer = null;
  #control = null;
  #delay = receiveDelay();
  #name;

  /** @param {Events} events */
  constructor(events, { session = null, name = "" } = {}) {
    [this.#events, this.#wanted, this.#name] = [events, session, name];
    this.#bound = session !== null;
  }

  get sessionId() {
    return this.#session?.id ?? null;
  }

  /** Goes to another session. */
  choose(id) {
    this.#wanted = id;
    this.#peer?.close();
    this.#leave?.();
  }

  /** Sends a command; returns its id, or null when no session is directed. */
  send(type, fields) {
    return this.#control?.send(type, fields) ?? null;
  }

  async statistics() {
    return this.#peer ? this.#peer.getStats() : null;
  }

  /** Milliseconds that pictures have lately taken from the server to the screen. */
  async receiveDelayMs() {
    return this.#delay(await this.statistics());
  }

  /** Keeps the list of sessions fresh and one of them on the desk, for as long as the page is open. */
  async run() {
    for (;;) {
      try {
        const sessions = await this.refresh();
        const listed = sessions.find((found) => found.id === this.#wanted);
        if (this.#wanted && !listed && !this.#bound) this.#wanted = null;
        const session = this.#wanted ? listed : sessions.at(-1);
        if (session) await this.#direct(session, sessions);
        this.#events.onState("waiting", this.#wanted && !session ? word("show_gone") : undefined);
      } catch (error) {
        this.#events.onState("failed", refusal(error));
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  /** Asks for the sessions that run now. */
  async refresh() {
    const sessions = await readJson(await fetch("/api/sessions"));
    this.#events.onSessions(sessions, this.sessionId);
    return sessions;
  }

  #leave = null; // ends the session that is on the desk

  /** Watches and directs a session; settles when either is over. */
  async #direct(session, sessions) {
    this.#session = session;
    const left = new Promise((resolve) => { this.#leave = resolve; });
    const control = new ControlChannel(`/api/sessions/${session.id}/control`, this.#events.onMessage, this.#leave, this.#name);
    this.#control = control;
    const hold = (peer) => {
      this.#peer = peer;
      peer.addEventListener("connectionstatechange", () => peer.connectionState === "connected" && this.#events.onState("live"));
    };
    try {
      if (!(await control.opened)) throw new Error(word(await mayDirect(session) ? "no_channel" : "may_not_direct"));
      this.#events.onSessions(sessions, session.id);
      this.#events.onState("starting");
      await Promise.race([watchSession(session, this.#events.onStream, hold), left]);
    } finally {
      control.close();
      this.#peer?.close();
      this.#session = this.#peer = this.#control = this.#leave = null;
    }
  }
}
