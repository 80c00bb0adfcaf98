import { PROTOCOL_VERSION, command, encode, parse } from "./messages.js";

/** The control channel of one session. `onMessage` hears the server, `onClose` that it is over. */
export class ControlChannel {
  #socket;

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
    this.opened = new Promise((resolve) => {
      this.#socket.addEventListener("open", () => resolve(this.wasOpen = true));
      this.#socket.addEventListener("close", () => resolve(this.wasOpen));
    });
    this.#socket.addEventListener("message", (event) => onMessage(parse(event.data)));
    this.#socket.addEventListener("close", onClose);
  }

  /** Sends a command; returns its id, or null when the channel is not open. */
  send(type, fields) {
    if (this.#socket.readyState !== WebSocket.OPEN) return null;
    const message = command(type, fields);
    this.#socket.send(encode(message));
    return message.id;
  }

  close() {
    this.#socket.close();
  }
}
