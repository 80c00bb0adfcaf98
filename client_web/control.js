import { PROTOCOL_VERSION, command, encode, parse } from "./messages.js";
import { word } from "./strings.js";
import { TOO_MANY, inTime, readJson } from "./webrtc.js";

const LOOK_EVERY_MS = 1000;
const SILENT_LOOKS = 6; // of a server that says something every second
const OPENING_LOOKS = 15;

const UNAVAILABLE = 503;

/** Whether a refusal lasts as long as the token that was shown. */
export function isForbidden({ status }) {
  return status === 401 || status === 403;
}

/** Why a handshake failed, as an error: the browser does not say, but the same address asked for without one is refused alike. */
export async function whyRefused(path) {
  const response = await inTime((signal) => fetch(path, { signal }));
  if (response.status === TOO_MANY || response.status === UNAVAILABLE) return readJson(response).catch((error) => error);
  return Object.assign(new Error(word(isForbidden(response) ? "may_not_direct" : "no_channel")), { status: response.status });
}

/** The control channel of one session. `onMessage` hears the server, `onClose` that it is over. */
export class ControlChannel {
  #socket;
  #onClose;
  #watch;
  #looks = 0; // since the server was last heard; not milliseconds: a tab that wakes finds late what has come in time
  #mostLooks = OPENING_LOOKS;

  /** Whether it was ever open: one that never was is not a server that is gone. */
  wasOpen = false;

  /** The same, once that is known. */
  opened;

  constructor(path, onMessage, onClose, name = "") {
    const address = new URL(path, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    address.searchParams.set("protocol", PROTOCOL_VERSION);
    if (name) address.searchParams.set("name", name);
    this.#socket = new WebSocket(address);
    this.#onClose = onClose;
    this.opened = new Promise((resolve) => {
      this.#socket.addEventListener("open", () => resolve(this.wasOpen = true));
      this.#socket.addEventListener("close", () => resolve(this.wasOpen));
    });
    this.#socket.addEventListener("open", () => { this.#mostLooks = Infinity; }); // a session that waits for a renderer reports nothing yet
    this.#socket.addEventListener("message", (event) => {
      this.#looks = 0;
      const message = parse(event.data);
      if (message.type === "stats") this.#mostLooks = SILENT_LOOKS;
      onMessage(message);
    });
    this.#socket.addEventListener("close", () => this.#end());
    this.#watch = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  /** Sends a command; returns its id, or null when the channel is not open. */
  send(type, fields) {
    if (this.#socket.readyState !== WebSocket.OPEN) return null;
    const message = command(type, fields);
    this.#socket.send(encode(message));
    return message.id;
  }

  close() {
    clearInterval(this.#watch);
    this.#socket.close();
  }

  /** A network that changes its route leaves sockets open that nothing passes any more. */
  #look() {
    this.#looks += 1;
    if (this.#looks < this.#mostLooks) return;
    this.close();
    this.#end(); // the close event of such a socket would be long in coming
  }

  /** Says that it is over, once. */
  #end() {
    clearInterval(this.#watch);
    this.#onClose?.();
    this.#onClose = null;
  }
}
