/** The panel's cards that put something on the face: at once, emotions, gestures, liveliness. */
import { usual } from "./controls.js";
import { element, refill, worded } from "./dom.js";
import { button, card, meter, press, slider, tick } from "./panel_parts.js";
import { recordPart } from "./panel_record.js";

const EMOTION_HOLD_MS = 3000;
const STYLES = ["neutral", "calm", "energetic", "wide_mouth"];
const GAINS = ["jaw", "lips", "brows", "head"];

/** Neutral, mute, freeze and standby: what is pressed when something goes wrong. */
export function safetyPart(send) {
  let state = {};
  const toggle = (type, field) => () => send(type, { on: !state[field] });
  const buttons = {
    neutral: button("neutral", "neutral", () => send("neutral"), { id: "neutral", "data-icon": "reset" }),
    muted: button("mute", "mute", toggle("mute", "muted"), { id: "mute", "data-sends": "mute" }),
    frozen: button("freeze", "freeze", toggle("freeze", "frozen"), { id: "freeze", "data-sends": "freeze" }),
    standby: button("standby", "standby", toggle("standby", "standby"), { id: "standby", "data-sends": "standby" }),
  };
  return {
    root: element("section", { class: "safety", "aria-label": "!", "data-word-label": "safety" }, ...Object.values(buttons)),
    hear(message) {
      if (message.type !== "state") return;
      state = message;
      for (const field of ["muted", "frozen", "standby"]) press(buttons[field], state[field]);
    },
  };
}

/** Emotions, their strength, and whether they stay. */
export function emotionPart(send) {
  const grid = element("div", { class: "grid big" });
  const stay = tick("stay", "stay", () => {});
  const strength = slider({ id: "intensity", key: "intensity", min: 0, max: 1, step: 0.05, value: 1, act: (intensity) => worn && put(worn, passes, intensity) });
  let [worn, passes] = [null, false]; // the emotion that is on, and whether it goes by itself, as the server says
  const put = (name, isBrief, intensity = Number(strength.input.value)) => {
    const hold = isBrief ? { hold_ms: EMOTION_HOLD_MS } : {};
    send("expression.set", { name, intensity, ...hold });
  };
  const fill = (names) => {
    refill(grid, ...names.map((name) => button(`expression:${name}`, name,
      () => (worn === name ? send("expression.release") : put(name, !stay.box.checked)), { "data-expression": name, "aria-pressed": "false" })));
  };
  fill(usual("expression"));
  const none = element("button", { type: "button", id: "release", class: "small", click: () => send("expression.release") },
    worded("span", "release_expression"));
  return {
    root: card("expressions", stay.label, grid, element("div", { class: "beside" }, strength.row, none)),
    dials: { intensity: strength },
    hear(message) {
      if (message.type === "catalog") {
        const known = usual("expression").filter((name) => message.expressions.includes(name));
        fill([...known, ...message.expressions.filter((name) => !known.includes(name) && name !== "neutral")]);
      } else if (message.type === "state") {
        [worn, passes] = [message.expression_name ?? null, message.expression_passes ?? false];
      } else return;
      for (const made of grid.children) press(made, made.dataset.expression === worn);
    },
  };
}

/** Gestures, their size and speed, and the corner for one's own. */
export function gesturePart(send, say) {
  const grid = element("div", { class: "grid" });
  const recorder = recordPart(send, say);
  const size = slider({ id: "amplitude", key: "amplitude", min: 0.1, max: 2, step: 0.1, value: 1, unit: "×", act: () => {} });
  const speed = slider({ id: "speed", key: "speed", min: 0.5, max: 2, step: 0.1, value: 1, unit: "×", act: () => {} });
  const play = (name) => send("gesture.play", { name, amplitude: Number(size.input.value), speed: Number(speed.input.value) });
  const fill = (names) => {
    refill(grid, ...names.map((name) => button(`gesture:${name}`, name, () => play(name), { "data-gesture": name })), recorder.tile);
  };
  fill(usual("gesture").filter((name) => name !== "lean_in"));
  const end = element("button", { type: "button", id: "gesture-cancel", class: "small", "data-sends": "gesture.cancel",
    click: () => send("gesture.cancel") }, worded("span", "gesture_cancel"));
  return {
    root: card("gestures", end, grid, recorder.row, size.row, speed.row),
    hear(message) {
      recorder.hear(message);
      if (message.type === "catalog") {
        const names = message.gestures.map((gesture) => gesture.name);
        const known = usual("gesture").filter((name) => names.includes(name));
        fill([...known, ...names.filter((name) => !known.includes(name))]);
      } else if (message.type === "state") {
        const playing = new Set((message.gestures ?? []).map((gesture) => gesture.name));
        for (const made of grid.children) made.classList.toggle("playing", playing.has(made.dataset.gesture));
      }
    },
  };
}

/** Blinks, style and gains, and what the face does by itself. */
export function lifePart(send) {
  const blink = button("blink", "blink", () => send("blink.now"), { id: "blink" });
  const rate = slider({ id: "blink-rate", key: "blink_rate", min: 0, max: 40, value: 15,
    act: (perMinute) => send("blink.rate", { per_minute: perMinute }) });
  const styles = STYLES.map((name) => element("button", { type: "button", "data-style": name, "data-sends": "style.set", "aria-pressed": "false",
    click: () => send("style.set", { name }) }, worded("span", `style_${name}`)));
  const gains = GAINS.map((name) => slider({ id: `gain-${name}`, key: `gain_${name}`, min: 0, max: 2, step: 0.05, value: 1,
    unit: "×", act: (gain) => send("style.set", { [name]: gain }) }));
  for (const gain of gains) gain.input.dataset.sends = "style.set";
  const meters = { mouth: meter("now_mouth"), smile: meter("now_smile"), brows: meter("now_brows"), lids: meter("now_lids") };
  const meterRows = element("div", { class: "meters" }, ...Object.values(meters).map((bar) => bar.row));
  return {
    root: card("life", blink, meterRows, rate.row, element("div", { class: "segments" }, ...styles),
      element("details", {}, worded("summary", "gains"), ...gains.map((gain) => gain.row))),
    dials: { blinks: rate },
    hear(message) {
      if (message.type === "state") {
        rate.show(message.blinks_per_minute);
        for (const made of styles) press(made, made.dataset.style === (message.style?.name ?? "neutral"));
        GAINS.forEach((name, index) => gains[index].show(message.style?.[name] ?? 1));
      } else if (message.type === "face") {
        const shape = (...names) => Math.max(...names.map((name) => message.shapes[name] ?? 0));
        meters.mouth.show(shape("jawOpen"));
        meters.smile.show(shape("mouthSmileLeft", "mouthSmileRight"));
        meters.brows.show(shape("browInnerUp", "browOuterUpLeft", "browOuterUpRight", "browDownLeft", "browDownRight"));
        meters.lids.show(shape("eyeBlinkLeft", "eyeBlinkRight"));
      }
    },
  };
}
