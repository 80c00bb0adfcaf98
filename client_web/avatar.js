import { command, encode, parse } from "./messages.js";
import { completeOffer, peerConnection, readJson } from "./webrtc.js";

/**
 * One avatar session: microphone out, avatar in, control channel.
 * @typedef {Object} Events
 * @property {(state: "idle"|"starting"|"live"|"stopping"|"failed", detail?: string) => void} onState
 * @property {(message: Object) => void} onMessage  server messages
 * @property {(stream: MediaStream) => void} onStream  the avatar's picture and voice
 */
export class AvatarClient {
  #state = "idle";
  #events;
  #peer = null;
  #socket = null;
  #microphone = null;
  #session = null;
  #received = null; // the video's statistics when they were last read

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
      this.#microphone = await openMicrophone();
      this.#session = await postJson("/api/sessions", { presenter });
      await this.#connect();
      this.#openControl();
    } catch (error) {
      this.#fail(error);
    }
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
    if (this.#socket?.readyState !== WebSocket.OPEN) return null;
    const message = command(type, fields);
    this.#socket.send(encode(message));
    return message.id;
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

  /** Milliseconds that pictures have lately taken from the server to the screen: half a round trip, jitter buffer, decoder. */
  async receiveDelayMs() {
    const entries = [...((await this.statistics())?.values() ?? [])];
    const video = entries.find((entry) => entry.type === "inbound-rtp" && entry.kind === "video");
    if (!video?.jitterBufferEmittedCount || !video.framesDecoded) return 0;
    const route = entries.find((entry) => entry.type === "candidate-pair" && entry.nominated);
    const [before, now] = [this.#received, video];
    this.#received = video;
    const lately = (sum, count) => (now[sum] - (before?.[sum] ?? 0)) / Math.max(1, now[count] - (before?.[count] ?? 0));
    const waitedS = lately("jitterBufferDelay", "jitterBufferEmittedCount") + lately("totalDecodeTime", "framesDecoded");
    return 1000 * (waitedS + (route?.currentRoundTripTime ?? 0) / 2);
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
      if (peer.connectionState === "failed") this.#fail(new Error("The connection to the server broke. Press Start to try again."));
    });
    peer.addTrack(this.#microphone.getAudioTracks()[0], this.#microphone);
    peer.addTransceiver("video", { direction: "recvonly" });
    const sdp = await completeOffer(peer);
    const answer = await postJson("/offer", { type: "offer", sdp, session_id: this.#session.id });
    await peer.setRemoteDescription(answer);
  }

  #openControl() {
    const address = new URL(this.#session.control_url, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = new WebSocket(address);
    this.#socket = socket;
    socket.addEventListener("message", (event) => {
      const message = parse(event.data);
      this.#events.onMessage(message);
      if (message.type === "ended" && this.#state !== "stopping") this.#fail(new Error(`The session ended: ${message.reason}.`));
    });
    socket.addEventListener("close", () => {
      if (socket === this.#socket && this.#state === "live") this.#fail(new Error("The server is gone. Start it again, then press Start."));
    });
  }

  #fail(error) {
    if (this.#state === "idle" || this.#state === "failed") return;
    this.#release();
    this.#become("failed", explain(error));
  }

  async #release() {
    const [peer, socket, microphone, session] = [this.#peer, this.#socket, this.#microphone, this.#session];
    this.#peer = this.#socket = this.#microphone = this.#session = this.#received = null;
    socket?.close();
    peer?.close();
    microphone?.getTracks().forEach((track) => track.stop());
    if (session) await fetch(`/api/sessions/${session.id}`, { method: "DELETE", keepalive: true }).catch(() => {});
  }

  #become(state, detail) {
    this.#state = state;
    this.#events.onState(state, detail);
  }
}

/** The microphone; its own errors say what went wrong. */
async function openMicrophone() {
  if (!navigator.mediaDevices) throw new DOMException("insecure", "SecurityError");
  const raw = new URLSearchParams(location.search).has("raw-microphone");
  return navigator.mediaDevices.getUserMedia({
    audio: { echoCancellation: !raw, noiseSuppression: !raw, autoGainControl: !raw, channelCount: 1 },
  });
}

function explain(error) {
  const sentences = {
    NotAllowedError: "The microphone was refused. Allow it in the address bar (the icon left of the address), then press Start again.",
    NotFoundError: "No microphone was found. Plug one in, then press Start again.",
    NotReadableError: "The microphone is used by another program. Close that program, then press Start again.",
    SecurityError: "Browsers give the microphone only to https:// or localhost addresses. Open this page through one of them.",
    TypeError: "The server does not answer. Start it with `make run`, then press Start again.",
  };
  return sentences[error.name] ?? error.message;
}

async function postJson(path, body) {
  return readJson(await fetch(path, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  }));
}
