/** The control channel's messages (docs/protocol.md); tests/messages.json holds an example of each. */

export const PROTOCOL_VERSION = 1;
export const CLIENT_TYPES = [
  "pose.set", "pose.release", "head.fix", "scene.define", "scene.use", "look.at", "look.release", "gaze.set", "gaze.release",
  "expression.set", "expression.release", "blink.now", "blink.rate", "style.set", "gesture.play", "gesture.cancel", "freeze",
  "neutral", "drive.mix", "drive.calibrate", "drive.frame",
  "presenter.set", "mute", "standby", "overlay.set", "overlay.clear", "obs.scene", "speech.stop", "cue.go", "cue.select",
  "cue.run", "gesture.record", "lock.take", "lock.release", "ping",
];
export const SERVER_TYPES = [
  "hello", "catalog", "state", "ack", "done", "error", "pong", "face", "cues", "stats", "speech", "draining", "ended",
];

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
