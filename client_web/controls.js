/** What the desk can be played with: one row a control, with its key, its gamepad button and its MIDI note. */

/** Buttons of the standard gamepad (W3C), by number. */
export const PAD_NAMES = ["A", "B", "X", "Y", "LB", "RB", "LT", "RT", "Back", "Start", "L3", "R3", "↑", "↓", "←", "→"];

const FIRST_NOTE = 36; // where the pads of most MIDI controllers begin

const ROWS = [
  // control, key, gamepad button
  ["neutral", "0", 9], ["mute", "m", null], ["freeze", "f", 8], ["standby", "p", null],
  ["expression:happy", "1", 2], ["expression:smile", "2", 7], ["expression:surprised", "3", 3], ["expression:serious", "4", null],
  ["expression:sad", "5", null], ["expression:angry", "6", null], ["expression:afraid", "7", null],
  ["expression:disgusted", "8", null], ["expression:contempt", "9", null], ["expression:eyes_closed", "e", null],
  ["gesture:nod", "n", 0], ["gesture:shake", "k", 1], ["gesture:tilt", "t", null], ["gesture:bow", "o", 13],
  ["gesture:greet", "g", 12], ["gesture:laugh", "l", null], ["gesture:wink", "i", null], ["gesture:raise_brows", "u", null],
  ["gesture:surprised", "d", null], ["gesture:think", "h", null], ["gesture:look_around", "a", null],
  ["gesture:glance_left", "q", null], ["gesture:glance_right", "w", null], ["gesture:lean_in", "j", null],
  ["blink", "b", 6], ["look:camera", "v", null], ["look:product_left", "z", 4], ["look:product_right", "c", 5],
  ["look:product_below", "x", null], ["look:chat", "y", null],
  ["left", "ArrowLeft", 14], ["ahead", "ArrowUp", 11], ["right", "ArrowRight", 15], ["cue", "Enter", 10],
];

/** @type {{control: string, key: string, pad: number | null, note: number}[]} */
export const CONTROLS = ROWS.map(([control, key, pad], index) => ({ control, key, pad, note: FIRST_NOTE + index }));

const PANIC = ["neutral", "mute", "freeze", "standby"];

/** Keys that no cue may take. */
export const PANIC_KEYS = ROWS.filter(([control]) => PANIC.includes(control)).map(([, key]) => key);

/** MIDI's continuous controllers, and gamepad axes, that move a slider: by the slider's name. */
export const DIALS = { yaw: 1, pitch: 2, roll: 3, intensity: 4, blinks: 5 };
export const STICKS = { yaw: 0, pitch: 1, roll: 2 };

/** The names that the buttons of a kind (`gesture`, `expression`, `look`) have when the server sends no catalogue. */
export function usual(kind) {
  return ROWS.filter(([control]) => control.startsWith(`${kind}:`)).map(([control]) => control.split(":")[1]);
}

/** The key of a control as the browser names it; empty when it has none. */
export function keyOf(control) {
  return CONTROLS.find((row) => row.control === control)?.key ?? "";
}

/** How a key is written on a button. */
export function keyCap(control) {
  const key = keyOf(control);
  return { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", Enter: "⏎" }[key] ?? key.toUpperCase();
}
