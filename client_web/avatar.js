import { ControlChannel } from "./control.js";
import { openMicrophone } from "./microphone.js";
import { word } from "./strings.js";
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

  /** @param {Events} events */
  constructor(events) {
    this.#events = events;
  }

  get state() {
    return this.#state;
  }

  get sessionId() {
    return this.#session?.id ?? null;
  }

  /** Starts a session; does nothing unless idle or failed. */
  async start(presenter) {
    if (this.#state !== "idle" && this.#state !== "failed") return;
    this.#become("starting");
    try {
      await this.#listen();
      this.#session = await postJson("/api/sessions", { presenter });
      await this.#connect();
      this.#openControl();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Listens to the microphone that is chosen now; throws the browser's error, and goes on with the one before. */
  async changeMicrophone() {
    const before = this.#microphone;
    if (!before) return;
    await this.#listen();
    await this.#sender()?.replaceTrack(this.#microphone.getAudioTracks()[0]);
    before.getTracks().forEach((track) => track.stop());
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

  async #listen() {
    this.#microphone = await openMicrophone();
    this.#events.onMicrophone(this.#microphone);
  }

  async #connect() {
    const peer = peerConnection(this.#session.ice_servers);
    this.#peer = peer;
    const stream = new MediaStream();
    peer.addEventListener("track", (event) => {
      stream.addTrack(event.track);
      this.#events.onStream(stream);
    });
    peer.addEventListener("connectionstatechange", () => {
      if (peer !== this.#peer) return;
      if (peer.connectionState === "connected") this.#become("live");
      if (peer.connectionState === "failed") this.#fail(new Error(word("broken")));
    });
    peer.addTrack(this.#microphone.getAudioTracks()[0], this.#microphone);
    peer.addTransceiver("video", { direction: "recvonly" });
    const sdp = await completeOffer(peer);
    const answer = await postJson("/offer", { type: "offer", sdp, session_id: this.#session.id });
    await peer.setRemoteDescription(answer);
  }

  #openControl() {
    const hear = (message) => {
      this.#events.onMessage(message);
      if (message.type !== "ended" || this.#state === "stopping") return;
      this.#fail(new Error(word(message.reason === "shutdown" ? "shut_down" : "session_ended")));
    };
    const control = new ControlChannel(this.#session.control_url, hear, () => {
      if (control === this.#control && this.#state === "live") this.#fail(new Error(word("server_gone")));
    });
    this.#control = control;
  }

  #fail(error) {
    if (this.#state === "idle" || this.#state === "failed") return;
    this.#release();
    this.#become("failed", explain(error));
  }

  async #release() {
    const [peer, control, microphone, session] = [this.#peer, this.#control, this.#microphone, this.#session];
    this.#peer = this.#control = this.#microphone = this.#session = null;
    control?.close();
    peer?.close();
    microphone?.getTracks().forEach((track) => track.stop());
    this.#events.onMicrophone(null);
    if (session) await fetch(`/api/sessions/${session.id}`, { method: "DELETE", keepalive: true }).catch(() => {});
  }

  #become(state, detail) {
    this.#state = state;
    this.#events.onState(state, detail);
  }
}

function explain(error) {
  const sentences = {
    NotAllowedError: "refused_microphone", NotFoundError: "no_microphone", NotReadableError: "busy_microphone",
    SecurityError: "insecure", TypeError: "no_server",
  };
  return error.name in sentences ? word(sentences[error.name]) : error.message;
}
