/** The control channel's messages (docs/protocol.md); tests/messages.json holds an example of each. */

export const CLIENT_TYPES = [
  "pose.set", "pose.release", "gesture.play", "expression.set", "expression.release",
  "blink.now", "blink.rate", "freeze", "neutral", "speech.stop", "ping",
];
export const SERVER_TYPES = ["state", "ack", "error", "pong", "stats", "speech", "ended"];

let counter = 0;

/** A client message with an id of its own. */
export function command(type, fields = {}) {
  if (!CLIENT_TYPES.includes(type)) throw new Error(`unknown command ${type}`);
  counter += 1;
  return { type, id: `c${counter}`, ...fields };
}

/** JSON of a client message. */
export function encode(message) {
  return JSON.stringify(message);
}

/** A server message from JSON; throws when it is none. */
export function parse(text) {
  const message = JSON.parse(text);
  if (!SERVER_TYPES.includes(message.type)) throw new Error(`unknown message ${message.type}`);
  return message;
}
