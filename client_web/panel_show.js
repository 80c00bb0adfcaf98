/** The panel's cards for the show: cue sheet, text on the picture, faces from elsewhere, who is at the desk. */
import { element, worded } from "./dom.js";
import { button, card, slider } from "./panel_parts.js";

const DRIVEN = ["pose", "lips", "jaw", "brows", "eyes", "lids"];

/** The rundown: the next cue is marked, Enter runs it, a click makes another one the next. */
export function cuePart(send) {
  const list = element("ol", { class: "cues" });
  const none = worded("p", "no_cues", { class: "hint" });
  const clock = element("button", { type: "button", class: "small", "data-sends": "cue.run", "aria-pressed": "false" }, worded("span", "cue_run"));
  const go = button("cue", "cue_go", () => send("cue.go"), { id: "cue-go", "data-sends": "cue.go", class: "wide" });
  let sheet = { cues: [], running: false };
  clock.addEventListener("click", () => send("cue.run", { on: !sheet.running }));
  const row = (cue) => {
    const made = element("button", { type: "button", "data-sends": "cue.select", "data-cue": cue.id, click: () => send("cue.select", { cue: cue.id }),
      dblclick: () => send("cue.go", { cue: cue.id }) }, element("span", {}, cue.name || cue.id));
    if (cue.at_ms !== null && cue.at_ms !== undefined) made.append(element("small", {}, minutes(cue.at_ms)));
    if (cue.key) made.append(element("kbd", {}, cue.key));
    return element("li", {}, made);
  };
  return {
    root: card("cues", clock, list, none, go),
    /** The cue that a key belongs to, if any. */
    cueOfKey: (key) => sheet.cues.find((cue) => cue.key?.toLowerCase() === key.toLowerCase()) ?? null,
    hear(message) {
      if (message.type !== "cues") return;
      sheet = message;
      none.hidden = sheet.cues.length > 0;
      list.replaceChildren(...sheet.cues.map(row));
      for (const made of list.querySelectorAll("button")) {
        made.setAttribute("aria-current", String(made.dataset.cue === sheet.next));
        made.classList.toggle("done", made.dataset.cue === sheet.last);
      }
      clock.setAttribute("aria-pressed", String(sheet.running));
    },
  };
}

function minutes(ms) {
  const seconds = Math.floor(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** A line of text over the picture. */
export function overlayPart(send) {
  const text = element("input", { type: "text", id: "overlay-text", maxlength: "120", "data-word-hint": "overlay_hint", "data-word-label": "overlay",
    "data-sends": "overlay.set" });
  const form = element("form", { class: "beside", submit: (event) => {
    event.preventDefault();
    if (text.value.trim()) send("overlay.set", { text: text.value.trim() });
  } }, text, element("button", { type: "submit", id: "overlay-show", class: "small", "data-sends": "overlay.set" }, worded("span", "show")),
  element("button", { type: "button", id: "overlay-clear", class: "small", "data-sends": "overlay.clear",
    click: () => send("overlay.clear") }, worded("span", "clear")));
  return {
    root: card("overlay", null, form),
    hear(message) {
      if (message.type === "state" && document.activeElement !== text) text.value = message.overlay ?? "";
    },
  };
}

/** How much each face that comes in moves each group. Hidden while none comes. */
export function sourcePart(send) {
  const list = element("div", { class: "sources" });
  const root = card("sources", null, list);
  root.hidden = true;
  const strips = new Map();
  const make = (source) => {
    const weights = {};
    const sliders = DRIVEN.map((group) => slider({ id: `mix-${source}-${group}`, key: `mix_${group}`, min: 0, max: 1, step: 0.05, value: 0,
      act: (weight) => send("drive.mix", { source, groups: { ...weights, [group]: weight } }) }));
    const lamp = element("i", { class: "lamp" });
    const strip = element("fieldset", {}, element("legend", {}, lamp, ` ${source}`),
      element("button", { type: "button", class: "small", click: () => send("drive.calibrate", { source }) }, worded("span", "calibrate")),
      ...sliders.map((made) => made.row));
    list.append(strip);
    const show = ({ tracking, groups }) => {
      lamp.classList.toggle("on", tracking);
      Object.assign(weights, groups);
      DRIVEN.forEach((group, index) => sliders[index].show(groups[group] ?? 0));
    };
    strips.set(source, { strip, show });
  };
  return {
    root,
    hear(message) {
      if (message.type !== "state") return;
      const sources = message.sources ?? [];
      root.hidden = sources.length === 0;
      for (const source of sources) {
        if (!strips.has(source.source)) make(source.source);
        strips.get(source.source).show(source);
      }
      for (const [name, { strip }] of strips) strip.hidden = !sources.some((source) => source.source === name);
    },
  };
}

/** Who else directs, and whose commands are obeyed. */
export function operatorsPart(send) {
  const list = element("ul", { class: "people" });
  const lock = element("button", { type: "button", class: "small", id: "lock", "data-sends": "lock.take", "aria-pressed": "false" });
  const label = worded("span", "lock_take");
  lock.append(label);
  let [self, holder] = [null, null];
  lock.addEventListener("click", () => send(holder === self && self ? "lock.release" : "lock.take"));
  return {
    root: card("operators", lock, list),
    hear(message) {
      if (message.type === "hello") self = message.operator;
      if (message.type !== "state") return;
      holder = message.lock ?? null;
      const mine = holder !== null && holder === self;
      label.dataset.word = mine ? "lock_release" : "lock_take";
      lock.setAttribute("aria-pressed", String(mine));
      const people = message.operators ?? [];
      list.replaceChildren(...people.map((person) => element("li", { class: person.id === holder ? "holder" : "" },
        person.name || person.id, person.id === self ? worded("small", "you") : null)));
      if (!people.length) list.append(element("li", {}, worded("span", "you")));
    },
  };
}
