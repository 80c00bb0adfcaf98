import { ControlChannel, isForbidden, whyRefused } from "./control.js";
import { parse } from "./messages.js";
import { openMicrophone } from "./microphone.js";
import { Backoff } from "./retry.js";
import { noServer, refusal, word } from "./strings.js";
import { TOO_MANY, checkWebRtc, completeOffer, inTime, peerConnection, postJson, readJson, receiveDelay } from "./webrtc.js";

const REJOIN_MS = 40_000; // the server takes some 30 s to give a dead host's place free
const ANSWER_MS = 5000;
const OFFER_MS = 20_000; // the server lets an offer wait for its turn
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 8000;
const isTooMany = ({ status }) => status === TOO_MANY;

/**
 * One avatar session: microphone out, avatar in, control channel. What breaks is made again: only Stop ends a session, for it
 * has viewers. One that could not be entered again is gone on with by the next start, if it is still there.
 * @typedef {Object} Events
 * @property {(state: "idle"|"starting"|"live"|"reconnecting"|"stopping"|"still_on_air"|"failed", detail?: string) => void} onState
 * @property {(message: Object) => void} onMessage  server messages
 * @property {(sentence: string) => void} onAside  worth a word, and no fault
 * @property {(stream: MediaStream) => void} onStream  the avatar's picture and voice
 * @property {(stream: MediaStream | null) => void} onMicrophone  what is being listened to
 */
export class AvatarClient {
  #state = "idle";
  #events;
  #peer = null;
  #control = null;
  #news = null; // of the end, for who may not direct
  #hindrance = null; // why nothing can be directed, by its word
  #lostMs = null; // when the connection broke that is not back yet
  #microphone = null;
  #session = null;
  #hosts = false; // whether it is this page's to end: it has begun it, or has gone on with it
  #isTaken = false; // somebody else hosts the last one
  #presenter = null; // that this page last knew to be on
  #delay = receiveDelay();
  #run = 0; // counts starts and stops: what a run opens after it was stopped is let go at once
  #choice = 0; // counts changes of the microphone: the last one counts

  /** @param {Events} events */
  constructor(events) {
    this.#events = events;
  }

  get state() {
    return this.#state;
  }

  /** Whether commands can be sent: a host's token alone does not allow it, and some proxies keep WebSockets back. */
  get directs() {
    return this.#control !== null && this.#control.wasOpen && this.#hindrance === null;
  }

  get sessionId() {
    return this.#session?.id ?? null;
  }

  /** Whether the last session goes on with another host. */
  get isTaken() {
    return this.#isTaken;
  }

  /** Has the next start go on with a session that has lost its host; does nothing unless idle or failed without one. */
  goOnWith(session) {
    if ((this.#state !== "idle" && this.#state !== "failed") || this.#session) return;
    this.#session = { ...session, control_url: `/api/sessions/${session.id}/control` };
    this.#presenter = session.presenter;
    this.#become("idle", word("show_left"));
  }

  /** Starts a session; does nothing unless idle or failed. */
  async start(presenter) {
    if (this.#state !== "idle" && this.#state !== "failed") return;
    const run = ++this.#run;
    this.#become("starting");
    try {
      checkWebRtc();
      const microphone = await openMicrophone();
      if (run !== this.#run) return silence(microphone);
      this.#listenTo(microphone);
      const isChosenAnew = presenter && presenter !== this.#presenter; // an operator may have changed it since this page last heard
      const broken = this.#session && (await this.#enter(() => asItIs(this.#session).catch(nullIfGone), isTooMany));
      if (run !== this.#run) return;
      this.#session = broken;
      const session = broken ?? (await this.#enter(() => postJson("/api/sessions", { presenter }), isTooMany));
      if (run !== this.#run) return session && (await this.#end(session));
      this.#session = session;
      this.#isTaken = false;
      if (!broken) [this.#hosts, this.#presenter] = [true, session.presenter];
      await this.#enter(() => this.#connect(), (error) => error.status === 409 || isTooMany(error));
      if (run !== this.#run) return;
      this.#keepDirecting();
      if (broken && isChosenAnew && (await this.#control.opened)) this.send("presenter.set", { presenter });
    } catch (error) {
      if (run === this.#run) this.#fail(error);
    }
  }

  /** Listens to the microphone `only`, or as a start does; throws the browser's error, and goes on with the one before. */
  async changeMicrophone(only) {
    if (!this.#microphone) return;
    const [run, choice] = [this.#run, ++this.#choice];
    const microphone = await openMicrophone(only);
    if (run !== this.#run || choice !== this.#choice) return silence(microphone);
    const [peer, before] = [this.#peer, this.#microphone];
    this.#listenTo(microphone);
    silence(before);
    try {
      await this.#sender()?.replaceTrack(microphone.getAudioTracks()[0]);
    } catch (error) {
      if (peer === this.#peer) throw error; // a connection that was made meanwhile has the new one
    }
  }

  /** Energy and seconds of sound that the microphone has given (as W3C's statistics count them), null while none is sent. */
  async heard() {
    const statistics = [...((await this.#sender()?.getStats()) ?? new Map()).values()];
    const source = statistics.find(({ type, kind }) => type === "media-source" && kind === "audio");
    return source ? { energy: source.totalAudioEnergy, seconds: source.totalSamplesDuration } : null;
  }

  #sender() {
    return this.#peer?.getSenders().find(({ track }) => track?.kind === "audio");
  }

  /** Ends the session; safe in every state. The microphone is let go at once, whatever the server says. */
  async stop() {
    if (this.#state === "idle" || this.#state === "stopping") return;
    this.#become("stopping");
    this.#release();
    if (this.#session && this.#hosts) await this.#end(this.#session);
    else this.#become("idle", this.#session ? word("show_left") : undefined);
  }

  /** Leaves the show to its viewers and to the next start: the page goes, and nobody could be asked whether the show is to end. */
  leave() {
    const session = this.#session;
    this.#release();
    this.#hosts = false;
    this.#become("idle", word("show_left"));
    fetch(`/api/sessions/${session.id}/host`, { method: "DELETE", keepalive: true }).catch(() => {}); // else its place is free after half a minute
  }

  /** Sends a command; returns its id, or null when there is no control channel. */
  send(type, fields) {
    return this.#control?.send(type, fields) ?? null;
  }

  /** Lets the avatar speak a sound file; throws the server's sentence when it cannot. */
  async speak(file) {
    if (!this.#session) return null;
    return readJson(await fetch(`/api/sessions/${this.#session.id}/audio`, { method: "POST", body: file }));
  }

  /** Ends the file that is spoken, and those that wait; throws the server's sentence when it does not. */
  async hush() {
    const answer = await fetch(`/api/sessions/${this.#session.id}/audio`, { method: "DELETE" });
    if (!answer.ok) await readJson(answer);
  }

  /** The connection's statistics, or null. */
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

  #listenTo(microphone) {
    this.#microphone = microphone;
    this.#events.onMicrophone(microphone);
  }

  /** Makes the connection that takes the microphone there and brings the picture. */
  async #connect() {
    this.#peer?.close();
    const peer = peerConnection(this.#session.ice_servers);
    this.#peer = peer;
    const stream = new MediaStream();
    peer.addEventListener("track", (event) => {
      stream.addTrack(event.track);
      this.#events.onStream(stream);
    });
    peer.addEventListener("connectionstatechange", () => {
      if (peer !== this.#peer) return;
      if (peer.connectionState === "connected") this.#goLive();
      if (peer.connectionState === "disconnected") this.#report();
      if (peer.connectionState === "failed") this.#loseConnection();
    });
    peer.addTrack(this.#microphone.getAudioTracks()[0], this.#microphone); // it may have been changed meanwhile
    peer.addTransceiver("video", { direction: "recvonly" });
    const { sdp, trickleTo } = await completeOffer(peer);
    if (peer !== this.#peer) return; // stopped meanwhile
    const offer = { type: "offer", sdp, session_id: this.#session.id };
    const answer = await inTime((signal) => postJson("/offer", offer, signal), OFFER_MS);
    trickleTo(answer.connection_url);
    await peer.setRemoteDescription(answer);
  }

  /** Connects by `connect`; tries again what `passes`. A server that stood still lets a dead host go late: its first answer begins the wait. */
  async #enter(connect, passes) {
    const [run, backoff] = [this.#run, new Backoff(FIRST_RETRY_MS, LONGEST_RETRY_MS)];
    let [fromMs, wasSilent] = [performance.now(), true];
    for (;;) {
      try {
        return await connect();
      } catch (error) {
        if (wasSilent && !isSilence(error)) [fromMs, wasSilent] = [performance.now(), false];
        if (run !== this.#run || !passes(error) || performance.now() > fromMs + REJOIN_MS) throw error;
        await backoff.wait(error);
        if (run !== this.#run) return;
      }
    }
  }

  /** Enters the session again: its viewers wait for the host. */
  async #loseConnection() {
    if (this.#state === "starting") return this.#fail(new Error(word("unreached")));
    const lostMs = (this.#lostMs ??= performance.now());
    if (performance.now() > lostMs + REJOIN_MS) return this.#fail(new Error(word("broken")));
    this.#state = "reconnecting";
    this.#report();
    const isSettled = () => lostMs !== this.#lostMs; // stopped, or the connection has come back by itself
    const connect = async () => {
      if (isSettled()) return;
      const session = await asItIs(this.#session);
      if (isSettled()) return;
      this.#session = session;
      await this.#connect();
    };
    try {
      await this.#enter(connect, mayPass);
    } catch (error) {
      if (!isSettled()) this.#fail(isSilence(error) ? new Error(word("server_gone")) : error);
    }
  }

  /** Opens the control channel, and again whenever it breaks: microphone and picture go on without it. */
  async #keepDirecting() {
    const [run, backoff] = [this.#run, new Backoff(FIRST_RETRY_MS, LONGEST_RETRY_MS)];
    const path = this.#session.control_url;
    let wasOpen = false;
    while (run === this.#run) {
      let why = null;
      const closed = new Promise((resolve) => {
        const hear = (message) => run === this.#run && this.#hear(message);
        this.#control = new ControlChannel(path, hear, resolve);
      });
      if (await this.#control.opened) {
        wasOpen = true;
        backoff.reset();
        this.#hindrance = null;
        this.#report(); // also the first time: the panel waits for it
        await closed;
      } else {
        why = await whyRefused(path).catch((error) => error);
      }
      if (run !== this.#run) return;
      if (wasOpen && why?.status === 404) { // the server has been started again, and knows nothing of it
        this.#session = null;
        return this.#fail(new Error(word("session_ended")));
      }
      if (why && isForbidden(why)) {
        if (wasOpen) this.#hinder("no_control");
        else this.#events.onAside(word("no_directing")); // as it was meant
        return this.#hearAsViewers();
      }
      const isKeptBack = !wasOpen && why?.status < TOO_MANY; // by a proxy that lets everything else pass
      this.#hinder(isKeptBack ? "kept_back" : "control_lost");
      await backoff.wait(why);
    }
  }

  /** Who may not direct is told of the end as viewers are. */
  #hearAsViewers() {
    this.#news = new EventSource(`/api/sessions/${this.#session.id}/events`);
    this.#news.addEventListener("message", ({ data }) => this.#hear(parse(data)));
  }

  #hear(message) {
    this.#events.onMessage(message);
    if (message.type === "state") this.#presenter = message.presenter;
    if (message.type !== "ended") return;
    this.#session = null;
    this.#fail(new Error(word(message.reason === "shutdown" ? "shut_down" : "session_ended")));
  }

  #hinder(key) {
    if (key === this.#hindrance) return;
    this.#hindrance = key;
    this.#report();
  }

  #goLive() {
    this.#lostMs = null;
    this.#hosts = true;
    this.#state = "live";
    this.#report();
  }

  /** Says how the show goes, while it goes on. */
  #report() {
    if (this.#state !== "live" && this.#state !== "reconnecting") return;
    const interrupted = this.#state === "reconnecting" || this.#peer.connectionState === "disconnected";
    const hindrance = interrupted ? "interrupted" : this.#hindrance;
    this.#become(this.#state, hindrance ? word(hindrance) : undefined);
  }

  /** The session is left to its viewers, and to the next start. */
  #fail(error) {
    const isGone = this.#session !== null && error.status === 404;
    this.#isTaken = this.#session !== null && error.status === 409; // for good
    if (isGone || this.#isTaken) this.#session = null;
    this.#hosts = false; // another page may go on with it
    this.#release();
    this.#become("failed", isGone ? word("session_ended") : explain(error));
  }

  #release() {
    this.#run += 1;
    const [peer, control, microphone] = [this.#peer, this.#control, this.#microphone];
    this.#peer = this.#control = this.#microphone = this.#hindrance = this.#lostMs = null;
    this.#news?.close();
    this.#news = null;
    control?.close();
    peer?.close();
    if (microphone) silence(microphone);
    this.#events.onMicrophone(null);
  }

  /** Ends a session for its viewers too; says so when the server does not, for then the show goes on. */
  async #end(session) {
    try {
      await end(session);
    } catch (error) {
      if (this.#state !== "stopping" && this.#state !== "idle") return; // another one was started meanwhile
      [this.#session, this.#hosts] = [session, true]; // the next Stop tries again
      const reason = isSilence(error) ? word("server_silent") : refusal(error);
      return this.#become("still_on_air", word("not_stopped").replace("{reason}", () => reason));
    }
    if (this.#state !== "stopping") return;
    this.#session = null;
    this.#become("idle");
  }

  #become(state, detail) {
    this.#state = state;
    this.#events.onState(state, detail);
  }
}

function silence(microphone) {
  microphone.getTracks().forEach((track) => track.stop());
}

/** The session as the server has it now: another presenter, new passwords for TURN. */
async function asItIs(session) {
  const now = await inTime(async (signal) => readJson(await fetch(`/api/sessions/${session.id}`, { signal })), ANSWER_MS);
  return { ...session, ...now };
}

function nullIfGone(error) {
  if (error.status === 404) return null;
  throw error;
}

async function end(session) {
  const ask = (signal) => fetch(`/api/sessions/${session.id}`, { method: "DELETE", keepalive: true, signal });
  const answer = await inTime(ask, ANSWER_MS);
  if (!answer.ok && answer.status !== 404) await readJson(answer);
}

function isSilence(error) {
  return error instanceof TypeError;
}

/** Whether the same may be granted later: the dead host's place is taken, the server is busy, or a network is changed. */
function mayPass(error) {
  return isSilence(error) || error.status === 409 || isTooMany(error) || error.status >= 500;
}

function explain(error) {
  const sentences = {
    NotAllowedError: "refused_microphone", NotFoundError: "no_microphone", NotReadableError: "busy_microphone",
    OverconstrainedError: "no_microphone", // WebKit's word for none
    SecurityError: "insecure",
  };
  if (error.name in sentences) return word(sentences[error.name]);
  return isSilence(error) ? noServer() : refusal(error);
}
