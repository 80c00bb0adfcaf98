import { ControlChannel, whyRefused } from "./control.js";
import { Backoff, sleep } from "./retry.js";
import { refusal, word } from "./strings.js";
import { TOO_MANY, listSessions, receiveDelay, watchSession } from "./webrtc.js";

const RETRY_MS = 1500;
const LONGEST_RETRY_MS = 30_000; // while the server refuses
const REFRESH_MS = 3000;

/**
 * The operator's side of sessions that others host: directs one, and watches it where the network allows that. When it is over the
 * next one is waited for, unless the page was opened for that session: then nobody is led to somebody else's show.
 * @typedef {Object} Events
 * @property {(state: "waiting"|"starting"|"live"|"blind"|"failed", why?: string) => void} onState  of the picture; `blind`: there is none
 * @property {(on: boolean) => void} onDirects  whether commands reach a session
 * @property {(message: Object) => void} onMessage  server messages
 * @property {(stream: MediaStream) => void} onStream  the avatar's picture and voice
 * @property {(sessions: Object[], chosen: string | null) => void} onSessions
 */
export class DeskClient {
  #events;
  #bound; // whether the page was opened for one session
  #wanted; // the session that was asked for; null takes the newest
  #session = null;
  #directed = null; // the id of the last one: it is gone back to when its channel breaks
  #peer = null;
  #control = null;
  #delay = receiveDelay();
  #name;
  #refused = new Backoff(2 * RETRY_MS, LONGEST_RETRY_MS);
  #why = null; // what was said of the last refusal
  #wake = () => {}; // ends a wait
  #hastens = false; // whether the next one is left out: a session was chosen

  /** @param {Events} events */
  constructor(events, { session = null, name = "" } = {}) {
    [this.#events, this.#wanted, this.#name] = [events, session, name];
    this.#bound = session !== null;
  }

  /** Of the session that is directed, also while its channel is being opened again. */
  get sessionId() {
    return this.#directed;
  }

  /** Goes to another session. */
  choose(id) {
    this.#wanted = id;
    if (id !== this.#directed) this.#forget();
    this.#refused.reset();
    this.#hastens = true;
    this.#leave?.();
    this.#wake();
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

  /** Pictures that the connection has decoded. */
  get pictures() {
    return this.#delay.pictures;
  }

  /** Keeps one of the sessions that run on the desk, for as long as the page is open. */
  async run() {
    for (;;) {
      let pause;
      try {
        const sessions = await this.#refresh();
        if (this.#directed && !sessions.some(({ id }) => id === this.#directed)) this.#forget();
        const listed = sessions.find((found) => found.id === this.#wanted);
        if (this.#wanted && !listed && !this.#bound) this.#wanted = null;
        const session = this.#wanted ? listed : sessions.find(({ id }) => id === this.#directed) ?? sessions.at(-1);
        if (session) await this.#direct(session, sessions);
        this.#why = null;
        this.#events.onState(this.#directed ? "starting" : "waiting", this.#wanted && !session ? word("show_gone") : undefined);
        pause = sleep(RETRY_MS);
      } catch (error) {
        pause = this.#explain(error);
      }
      if (!this.#hastens) await Promise.race([pause, new Promise((resolve) => { this.#wake = resolve; })]);
      this.#hastens = false;
    }
  }

  /** Asks for the sessions that run now. */
  async #refresh() {
    const sessions = await listSessions();
    this.#events.onSessions(sessions, this.sessionId);
    return sessions;
  }

  /** Says what went wrong; returns the wait until the next try, which grows while the server refuses. */
  #explain(error) {
    if (error.status !== TOO_MANY || !this.#why) this.#why = refusal(error); // who asks too often is told why they still do
    this.#events.onState("failed", this.#why);
    return error.status && error.status !== 404 ? this.#refused.wait(error) : sleep(RETRY_MS); // 404: it has just ended
  }

  #leave = null; // ends the session that is on the desk

  /** Directs a session and shows it; settles when it is left. */
  async #direct(session, sessions) {
    this.#session = session;
    const left = new Promise((resolve) => { this.#leave = resolve; });
    const path = `/api/sessions/${session.id}/control`;
    const control = new ControlChannel(path, (message) => this.#hear(message), this.#leave, this.#name);
    this.#control = control;
    try {
      if (!(await control.opened)) throw await whyRefused(path);
      this.#directed = session.id;
      this.#refused.reset();
      this.#events.onSessions(sessions, session.id);
      this.#events.onState("starting");
      this.#events.onDirects(true);
      this.#watch(session);
      this.#followList(session);
      await left;
    } finally {
      control.close();
      this.#peer?.close();
      this.#session = this.#peer = this.#control = this.#leave = null;
      this.#events.onDirects(false);
    }
  }

  #hear(message) {
    if (message.type === "ended") this.#forget();
    this.#events.onMessage(message);
  }

  /** The session is over, or left for another one: it is not gone back to. */
  #forget() {
    this.#directed = null;
    this.#events.onDirects(false);
  }

  /** Shows a session for as long as it is on the desk: commands need no picture, so it is tried for again and again beside them. */
  async #watch(session) {
    const refused = new Backoff(RETRY_MS, LONGEST_RETRY_MS);
    while (this.#session === session) {
      let [isShown, failure] = [false, null];
      try {
        await watchSession(session, this.#events.onStream, (peer) => {
          this.#peer = peer;
          peer.addEventListener("connectionstatechange", () => {
            if (peer.connectionState !== "connected") return;
            isShown = true;
            refused.reset();
            this.#events.onState("live");
          });
        });
      } catch (error) {
        failure = error;
      }
      if (this.#session !== session) return;
      if (isShown) this.#events.onState("starting");
      else this.#events.onState("blind", failure ? refusal(failure) : word("no_picture"));
      await refused.wait(failure);
    }
  }

  async #followList(session) {
    const refused = new Backoff(REFRESH_MS, LONGEST_RETRY_MS);
    while (this.#session === session) {
      try {
        await this.#refresh();
        refused.reset();
        await sleep(REFRESH_MS);
      } catch (error) {
        await refused.wait(error);
      }
    }
  }
}
