/** What the operator's panel is built of: cards, buttons with a drawing and a key, sliders that follow the server. */
import { keyCap, keyOf } from "./controls.js";
import { element, throttled, worded } from "./dom.js";
import { icon } from "./icons.js";

export const LET_GO_MS = 500; // what was moved by hand waits this long before it follows the server again
const ON_ITS_WAY_MS = 1500; // and so long while the server has another value, which may be an older one
export const SEND_EVERY_MS = 60; // while a hand moves something

/** A card with a heading; `extra` stands beside it. */
export function card(key, extra, ...children) {
  return element("section", { class: "panel-card", "data-card": key },
    element("div", { class: "card-head" }, worded("h2", key), extra), ...children);
}

/** A button of the panel. `control` is its name in controls.js, `key` its word. */
export function button(control, key, act, attributes = {}) {
  const made = element("button", { type: "button", "data-control": control, "data-word-title": key, click: act, ...attributes },
    icon(attributes["data-icon"] ?? key), worded("span", key));
  const cap = keyCap(control);
  if (cap) {
    made.append(element("kbd", { "aria-hidden": "true" }, cap));
    made.setAttribute("aria-keyshortcuts", keyOf(control));
  }
  return made;
}

/** A small button without a drawing. */
export function smallButton(id, key, act, attributes = {}) {
  return element("button", { type: "button", class: "small", id, click: act, ...attributes }, worded("span", key));
}

/** A button that is a drawing alone; its word is its name. */
export function iconButton(drawing, key, act, attributes = {}) {
  return element("button", { type: "button", class: "icon", "data-word-label": key, click: act, ...attributes }, icon(drawing));
}

/** Asks for a file of one of the kinds that `accept` names; the same file may be chosen again. */
export function fileButton(id, key, accept, act) {
  const input = element("input", { type: "file", id, accept, "data-word-label": key, change: () => {
    const [file] = input.files;
    input.value = "";
    if (file) act(file);
  } });
  return element("label", { class: "file small" }, worded("span", key), input);
}

/** Shows whether a button is on, as the server says. */
export function press(made, on) {
  made.setAttribute("aria-pressed", String(Boolean(on)));
}

/** A tick box with a word. */
export function tick(id, key, act) {
  const box = element("input", { type: "checkbox", id, change: () => act(box.checked) });
  return { box, label: element("label", { class: "tick" }, box, worded("span", key)) };
}

const grips = new Map(); // a finger or a mouse that holds a slider -> what lets go of it
for (const end of ["pointerup", "pointercancel"]) {
  document.addEventListener(end, ({ pointerId }) => {
    grips.get(pointerId)?.();
    grips.delete(pointerId);
  });
}

/**
 * A slider. `act` is called with its value while it is moved; `show(set, now)` follows the server: `set` is what an
 * operator has asked for (null: nothing), `now` what the avatar does (null: not known).
 */
export function slider({ id, key, min, max, step = 1, value, unit = "", act }) {
  const input = element("input", { type: "range", id, min, max, step, value });
  const output = element("output", { for: id, id: `${id}-value`, "aria-live": "off" }); // it follows the face
  const row = element("label", { class: "slider held" }, worded("span", key), input, output);
  const digits = step < 1 ? 2 : 0;
  const write = (number) => {
    output.textContent = `${number.toFixed(digits).replace(/^-(0(\.0+)?)$/, "$1")}${unit}`;
    const share = (place) => `${(100 * (place - min)) / (max - min)}%`;
    input.style.setProperty("--from", share(Math.min(min < 0 ? 0 : min, input.value)));
    input.style.setProperty("--to", share(min < 0 ? Math.max(0, input.value) : input.value));
  };
  const send = throttled(act, SEND_EVERY_MS);
  let movedMs = -Infinity;
  let isGripped = false; // then it is not put back under the finger
  let told = null; // what the server said last
  let asked = value; // by hand, last
  let later = null; // looks again at what the server said meanwhile
  const hold = () => {
    movedMs = performance.now();
    asked = Number(input.value);
    write(Number(input.value));
  };
  const follow = () => {
    const waitedMs = performance.now() - movedMs;
    const isOnItsWay = waitedMs < ON_ITS_WAY_MS && told?.set != null && Math.abs(told.set - asked) > step / 2;
    clearTimeout(later);
    if (!told || isGripped) return;
    if (waitedMs < LET_GO_MS || isOnItsWay) {
      later = setTimeout(follow, (isOnItsWay ? ON_ITS_WAY_MS : LET_GO_MS) - waitedMs + 1);
      return;
    }
    const { set, now } = told;
    row.classList.toggle("held", set !== null);
    input.value = set ?? now ?? value;
    write(now ?? set ?? value);
  };
  input.addEventListener("input", () => {
    hold();
    send(Number(input.value));
  });
  input.addEventListener("refused", () => { movedMs = -Infinity; }); // nothing came of the hand's move: the server is right at once
  input.addEventListener("pointerdown", ({ pointerId }) => {
    isGripped = true;
    input.focus({ preventScroll: true }); // Safari does not by itself, and its arrows would be the desk's
    grips.set(pointerId, () => {
      isGripped = false;
      follow();
    });
  });
  write(value);
  return {
    row, input,
    /** Drops a value that waits to be sent. */
    forget: () => send.forget(),
    /** Puts it where a hand that moves several has it, who sends them together; returns its value there. */
    put(number) {
      input.value = number;
      hold();
      return Number(input.value);
    },
    /** Moves it as a hand would. */
    move(number) {
      if (input.disabled) return;
      input.value = number;
      input.dispatchEvent(new Event("input"));
    },
    show(set, now = null) {
      told = { set, now };
      follow();
    },
  };
}

/** A little bar for something between 0 and 1 that the face does. */
export function meter(key) {
  const bar = element("i");
  const row = element("div", { class: "meter", role: "img", "data-word-label": key }, worded("span", key), element("b", {}, bar));
  return { row, show: (share) => { bar.style.transform = `scaleX(${Math.max(0, Math.min(1, share)).toFixed(3)})`; } };
}

/** A text as a field of one line has it, whoever wrote it. */
export function oneLine(text) {
  return text.replace(/\s+/g, " ").trim();
}
