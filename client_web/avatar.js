import { ControlChannel } from "./control.js";
import { openMicrophone } from "./microphone.js";
import { refusal, word } from "./strings.js";
import { completeOffer, peerConnection, postJson, readJson, receiveDelay } from "./webrtc.js";

/**
 * One avatar session: microphone out, avatar in, control channel.
 * @typedef {Object} Events
 * @property {(state: "idle"|"starting"|"live"|"stopping"|"failed", detail?: string) => void} onState
 * @property {(message: Object) => void} onMessage  server messages
 * @property {(stream: MediaStream) => void} onStream  the avatar's picture and voice
 * @property {(stream: MediaStream | null) => void} onMicrophone  what is being listened to
 */
export class AvatarClient {
  #state = "idle";
  #events;
  #peer = null;
  #control = null;
  #microphone = null;
  #session = null;
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
    return this.#control !== null;
  }

  get sessionId() {
    return this.#session?.id ?? null;
  }

  /** Starts a session; does nothing unless idle or failed. */
  async start(presenter) {
    if (this.#state !== "idle" && this.#state !== "failed") return;
    const run = ++this.#run;
    this.#become("starting");
    try {
      const microphone = await openMicrophone();
      if (run !== this.#run) return silence(microphone);
      this.#listenTo(microphone);
      const session = await postJson("/api/sessions", { presenter });
      if (run !== this.#run) return await end(session);
      this.#session = session;
      await this.#connect(session);
      if (run === this.#run) this.#openControl();
    } catch (error) {
      if (run === this.#run) this.#fail(error);
    }
  }

  /** Listens to the microphone that is chosen now; throws the browser's error, and goes on with the one before. */
  async changeMicrophone() {
    if (!this.#microphone) return;
    const [run, choice] = [this.#run, ++this.#choice];
    const microphone = await openMicrophone();
    if (run !== this.#run || choice !== this.#choice) return silence(microphone);
    const before = this.#microphone;
    this.#listenTo(microphone);
    await this.#sender()?.replaceTrack(microphone.getAudioTracks()[0]);
    silence(before);
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

  /** Ends the session; safe in every state. */
  async stop() {
    if (this.#state === "idle" || this.#state === "stopping") return;
    this.#become("stopping");
    await this.#release();
    this.#become("idle");
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

  /** The connection's statistics, or null. */
  async statistics() {
    return this.#peer ? this.#peer.getStats() : null;
  }

  /** Milliseconds that pictures have lately taken from the server to the screen. */
  async receiveDelayMs() {
    return this.#delay(await this.statistics());
  }

  #listenTo(microphone) {
    this.#microphone = microphone;
    this.#events.onMicrophone(microphone);
  }

  async #connect(session) {
    const peer = peerConnection(session.ice_servers);
    this.#peer = peer;
    const stream = new MediaStream();
    peer.addEventListener("track", (event) => {
      stream.addTrack(event.track);
      this.#events.onStream(stream);
    });
    peer.addEventListener("connectionstatechange", () => {
      if (peer !== this.#peer) return;
      if (peer.connectionState === "connected") this.#goLive();
      if (peer.connectionState === "failed") this.#fail(new Error(word("broken")));
    });
    peer.addTrack(this.#microphone.getAudioTracks()[0], this.#microphone); // it may have been changed meanwhile
    peer.addTransceiver("video", { direction: "recvonly" });
    const sdp = await completeOffer(peer);
    if (peer !== this.#peer) return; // stopped meanwhile
    const answer = await postJson("/offer", { type: "offer", sdp, session_id: session.id });
    await peer.setRemoteDescription(answer);
  }

  #openControl() {
    const hear = (message) => {
      this.#events.onMessage(message);
      if (message.type !== "ended" || this.#state === "stopping") return;
      this.#fail(new Error(word(message.reason === "shutdown" ? "shut_down" : "session_ended")));
    };
    const control = new ControlChannel(this.#session.control_url, hear, () => {
      if (control !== this.#control) return;
      if (control.wasOpen) return this.#fail(new Error(word("server_gone")));
      this.#control = null;
      if (this.#state === "live") this.#goLive();
    });
    this.#control = control;
  }

  #goLive() {
    this.#become("live", this.#control ? undefined : word("no_control"));
  }

  #fail(error) {
    if (this.#state === "idle" || this.#state === "failed") return;
    this.#release();
    this.#become("failed", explain(error));
  }

  async #release() {
    this.#run += 1;
    const [peer, control, microphone, session] = [this.#peer, this.#control, this.#microphone, this.#session];
    this.#peer = this.#control = this.#microphone = this.#session = null;
    control?.close();
    peer?.close();
    if (microphone) silence(microphone);
    this.#events.onMicrophone(null);
    if (session) await end(session);
  }

  #become(state, detail) {
    this.#state = state;
    this.#events.onState(state, detail);
  }
}

function silence(microphone) {
  microphone.getTracks().forEach((track) => track.stop());
}

function end(session) {
  return fetch(`/api/sessions/${session.id}`, { method: "DELETE", keepalive: true }).catch(() => {});
}

function explain(error) {
  const sentences = {
    NotAllowedError: "refused_microphone", NotFoundError: "no_microphone", NotReadableError: "busy_microphone",
    SecurityError: "insecure", TypeError: "no_server",
  };
  return error.name in sentences ? word(sentences[error.name]) : refusal(error);
}
