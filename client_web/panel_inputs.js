/** The desk played by keyboard, gamepad and MIDI. They press the panel's own buttons, so what is disabled stays so. */
import { CONTROLS, DIALS, PAD_NAMES, PANIC_KEYS, STICKS, keyCap } from "./controls.js";
import { element, worded } from "./dom.js";
import { card, press } from "./panel_parts.js";

const DEAD_ZONE = 0.15; // of a stick
const NOTE_ON = 0x90;
const CONTROL_CHANGE = 0xb0;
const TYPED_INTO = "input:not([type=checkbox], [type=range], [type=file]), textarea";
const ENTERED = "button, a, summary, select, input[type=file]"; // what Enter is meant for when the keyboard has gone there
const MOVING = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown"];

/** Presses the button of a control; does nothing when there is none. */
function pressControl(root, control) {
  const made = root.querySelector(`[data-control="${CSS.escape(control)}"]`);
  if (!made || made.disabled) return;
  made.click();
  made.classList.add("hit");
  setTimeout(() => made.classList.remove("hit"), 160);
}

/** Whether a key is a list's own. One that is closed opens for the arrows: they would choose another session unseen. */
function isForList(list, event) {
  const moves = MOVING.includes(event.key);
  if (!CSS.supports("selector(:open)")) {
    if (!moves && event.key.length === 1 && event.key !== " ") event.preventDefault(); // a letter chooses unseen
    return moves;
  }
  if (list.matches(":open")) return true;
  if (moves && !event.repeat) list.showPicker?.();
  if (moves || (event.key.length === 1 && event.key !== " ")) event.preventDefault(); // a letter too
  return moves;
}

/** Keys do what their caps say, unless something is being typed, and cues have keys of their own. */
export function listenToKeys(root, cueOfKey, send) {
  const byKey = new Map(CONTROLS.map((row) => [row.key.toLowerCase(), row.control]));
  let clicked = null; // with a pointer: it has the focus, but Enter is not meant for it
  document.addEventListener("pointerdown", (event) => {
    const pointed = event.target.closest(`${ENTERED}, label`);
    clicked = pointed?.control ?? pointed;
  });
  document.addEventListener("change", ({ target }) => { // once something is chosen the keys are the desk's again
    if (target.matches("select, input[type=file]") && !target.closest("dialog")) target.blur();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Tab") clicked = null;
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (document.querySelector("dialog:modal")) return; // also when nothing in it has the focus any more
    if (event.target.closest(TYPED_INTO)) return;
    if (event.target.matches("input[type=range]") && MOVING.includes(event.key)) return;
    if (event.target.matches("select") && isForList(event.target, event)) return;
    if (event.repeat) {
      if (event.key === "Enter" && event.target.closest("button")) event.preventDefault(); // held, it would press again and again
      return;
    }
    const focused = event.target.closest(ENTERED);
    if (event.key === "Enter" && focused && focused !== clicked) return; // it presses what has the focus
    const cue = PANIC_KEYS.includes(event.key.toLowerCase()) ? null : cueOfKey(event.key);
    const control = byKey.get(event.key.toLowerCase());
    if (!cue && !control) return;
    event.preventDefault();
    if (cue) send("cue.go", { cue: cue.id });
    else pressControl(root, control);
  });
}

/** Reads the first gamepad, while there is one, every time the screen is drawn: buttons press, the left stick turns and nods the head, the right one tilts it. */
export function listenToGamepad(root, dials, steer, onPad) {
  const byButton = new Map(CONTROLS.filter((row) => row.pad !== null).map((row) => [row.pad, row.control]));
  let reading = false;
  let down = new Set();
  let pushed = {}; // what each stick has last been sent to
  const share = (pad, axis) => (Math.abs(pad?.axes[axis] ?? 0) < DEAD_ZONE ? 0 : pad.axes[axis]);
  const isPushed = () => Object.keys(pushed).length > 0;
  const follow = (pad) => {
    if (dials.yaw.input.disabled) return; // what is let go meanwhile lets the head go later
    const now = Object.fromEntries(Object.entries(STICKS).map(([name, axis]) => [name, share(pad, axis)]));
    if (Object.values(now).some(Boolean)) {
      const moved = Object.keys(now).filter((name) => now[name] !== (pushed[name] ?? 0));
      if (moved.length) steer(Object.fromEntries(moved.map((name) => [name, now[name] * dials[name].input.max])));
      pushed = now;
    } else if (isPushed()) { // a stick that is let go, or has gone with its gamepad, lets the head go
      pushed = {};
      pressControl(root, "ahead");
    }
  };
  const read = () => {
    const pad = navigator.getGamepads().find((found) => found?.connected);
    onPad(pad?.id ?? null);
    if (pad) {
      const now = new Set(pad.buttons.flatMap((state, index) => (state.pressed ? [index] : [])));
      for (const index of now) if (!down.has(index) && byButton.has(index)) pressControl(root, byButton.get(index));
      down = now;
    }
    follow(pad);
    reading = Boolean(pad) || isPushed(); // without one nothing asks the browser to draw: it would cost a tenth of a small machine
    if (reading) requestAnimationFrame(read);
  };
  window.addEventListener("gamepadconnected", () => {
    if (!reading) read();
  });
}

/**
 * Asks the browser for MIDI; notes press, controllers move sliders, `onInputs` hears how many devices there are whenever one comes or goes.
 * Throws when it is refused or not there.
 */
export async function listenToMidi(root, dials, onInputs) {
  const access = await navigator.requestMIDIAccess();
  const byNote = new Map(CONTROLS.map((row) => [row.note, row.control]));
  const byController = new Map(Object.entries(DIALS).map(([name, number]) => [number, name]));
  const hear = ({ data: [status, number, value] }) => {
    const kind = status & 0xf0;
    if (kind === NOTE_ON && value > 0 && byNote.has(number)) pressControl(root, byNote.get(number));
    if (kind === CONTROL_CHANGE && byController.has(number)) {
      const { input, move } = dials[byController.get(number)];
      move(Number(input.min) + (value / 127) * (input.max - input.min));
    }
  };
  const join = () => {
    for (const input of access.inputs.values()) input.onmidimessage = hear;
    onInputs(access.inputs.size);
  };
  access.addEventListener("statechange", join);
  join();
}

/** The mapping to read, and the button that asks for MIDI. `steer` turns the head by several dials at once. */
export function inputPart(root, dials, steer, say) {
  const padName = element("span", { id: "gamepad", class: "hint" }, worded("span", "no_gamepad"));
  let shown = null;
  const showPad = (name) => {
    if (name === shown) return;
    shown = name;
    padName.firstChild.dataset.word = name ? "gamepad_on" : "no_gamepad";
    padName.title = name ?? "";
    root.dispatchEvent(new Event("words"));
  };
  const midiWord = worded("span", "midi");
  const showMidi = (count) => {
    press(midi, true);
    midiWord.dataset.word = count ? "midi_on" : "midi_none";
    root.dispatchEvent(new Event("words"));
  };
  let asked = null; // once: every further access would play each note again
  const midi = element("button", { type: "button", class: "small", id: "midi", "aria-pressed": "false", click: async () => {
    asked ??= listenToMidi(root, dials, showMidi);
    try {
      await asked;
    } catch {
      asked = null;
      say("midi_refused");
    }
  } }, midiWord);
  const cell = (text, kind = "td") => element(kind, {}, text);
  const rows = CONTROLS.map(({ control, note, pad }) => element("tr", {},
    element("td", {}, worded("span", NAMED[control] ?? control.split(":").at(-1))), element("td", {}, element("kbd", {}, keyCap(control))),
    cell(pad === null ? "" : PAD_NAMES[pad]), cell(String(note))));
  const dialRows = Object.entries(DIALS).map(([name, number]) => element("tr", {}, element("td", {}, worded("span", NAMED[name] ?? name)), cell(""),
    cell({ yaw: "L ↔", pitch: "L ↕", roll: "R ↔" }[name] ?? ""), cell(`CC ${number}`)));
  const table = element("table", { class: "mapping" }, element("thead", {}, element("tr", {}, element("th", {}, worded("span", "control")),
    element("th", {}, worded("span", "key")), element("th", {}, worded("span", "gamepad")), cell("MIDI", "th"))), element("tbody", {}, ...rows, ...dialRows));
  listenToGamepad(root, dials, steer, showPad);
  return { root: card("devices", midi, padName, element("details", {}, worded("summary", "mapping"), table)), hear() {} };
}

const NAMED = { left: "turn_left", right: "turn_right", cue: "cue_go", blinks: "blink_rate" };
