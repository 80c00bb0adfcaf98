/** The panel's card that moves the head: a pad, sliders, places to look at. */
import { usual } from "./controls.js";
import { element, throttled, worded } from "./dom.js";
import { LET_GO_MS, SEND_EVERY_MS, button, card, press, slider, tick } from "./panel_parts.js";

const YAW_MAX_DEG = 40;
const PITCH_MAX_DEG = 25;
const TURN_DEG = 25; // of the arrow buttons
const EASE_MS = 120; // while a hand moves the head
const KEY_STEP_DEG = 4;
const CHANNELS = {
  yaw: { channel: "yaw_deg", min: -YAW_MAX_DEG, max: YAW_MAX_DEG, unit: "°", value: 0 },
  pitch: { channel: "pitch_deg", min: -PITCH_MAX_DEG, max: PITCH_MAX_DEG, unit: "°", value: 0 },
  roll: { channel: "roll_deg", min: -20, max: 20, unit: "°", value: 0 },
  zoom: { channel: "zoom", min: 0.5, max: 2, step: 0.05, unit: "×", value: 1 },
  across: { channel: "x", min: -0.3, max: 0.3, step: 0.01, value: 0 },
  along: { channel: "y", min: -0.3, max: 0.3, step: 0.01, value: 0 },
};
const PICTURE = ["zoom", "across", "along"];

/** Drag to turn and nod; arrow keys do it too. A ring shows where the head is, the dot where it was sent. */
function posePad(send, letGo) {
  const ring = element("i", { class: "ring" });
  const dot = element("i", { class: "dot", id: "pad-dot" });
  const pad = element("div", { id: "pad", class: "pad", tabindex: "0", role: "application", "data-word-label": "pad" }, ring, dot);
  const clamp = (share) => Math.max(-1, Math.min(1, share));
  const aim = throttled((across, down) => {
    send("pose.set", { yaw_deg: clamp(across) * YAW_MAX_DEG, pitch_deg: clamp(down) * PITCH_MAX_DEG, ease_ms: EASE_MS });
  }, SEND_EVERY_MS);
  const point = (event) => {
    const box = pad.getBoundingClientRect();
    aim((2 * (event.clientX - box.left)) / box.width - 1, (2 * (event.clientY - box.top)) / box.height - 1);
  };
  const enabled = () => pad.getAttribute("aria-disabled") !== "true";
  let set = { yaw_deg: 0, pitch_deg: 0 };
  let steppedMs = -Infinity; // what the server says just after a key may be of the keys before
  pad.addEventListener("pointerdown", (event) => {
    if (!enabled()) return;
    pad.setPointerCapture(event.pointerId);
    point(event);
  });
  pad.addEventListener("pointermove", (event) => pad.hasPointerCapture(event.pointerId) && point(event));
  pad.addEventListener("dblclick", () => enabled() && letGo());
  pad.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!enabled() || !(step || event.key === "Escape")) return;
    event.preventDefault();
    event.stopPropagation();
    if (!step) return void letGo();
    const stepped = (from, by, most) => Math.max(-most, Math.min(most, from + by * KEY_STEP_DEG));
    set = { yaw_deg: stepped(set.yaw_deg, step[0], YAW_MAX_DEG), pitch_deg: stepped(set.pitch_deg, step[1], PITCH_MAX_DEG) };
    steppedMs = performance.now();
    aim(set.yaw_deg / YAW_MAX_DEG, set.pitch_deg / PITCH_MAX_DEG);
  });
  const place = (mark, pose) => {
    mark.style.left = `${50 + 50 * clamp((pose.yaw_deg ?? 0) / YAW_MAX_DEG)}%`;
    mark.style.top = `${50 + 50 * clamp((pose.pitch_deg ?? 0) / PITCH_MAX_DEG)}%`;
  };
  return {
    pad,
    forget() {
      steppedMs = -Infinity;
      aim.forget();
    },
    showSet(pose) {
      if (performance.now() - steppedMs > LET_GO_MS) set = { yaw_deg: pose.yaw_deg ?? 0, pitch_deg: pose.pitch_deg ?? 0 };
      dot.classList.toggle("on", pose.yaw_deg !== null || pose.pitch_deg !== null);
      place(dot, pose);
    },
    showNow: (pose) => place(ring, pose),
  };
}

export function headPart(send) {
  /** What waits to be sent must not come after the release, and take the head back. */
  const letGo = () => {
    for (const waiting of [pad, sendSteered, ...Object.values(sliders)]) waiting.forget();
    steered = {};
    send("pose.release");
  };
  const pad = posePad(send, letGo);
  const sliders = Object.fromEntries(Object.entries(CHANNELS).map(([id, { channel, ...range }]) => [
    id, slider({ id, key: id, ...range, act: (value) => send("pose.set", { [channel]: value, ease_ms: EASE_MS }) }),
  ]));
  let steered = {}; // channels that sticks and knobs have moved since they were last sent
  const sendSteered = throttled(() => {
    send("pose.set", { ...steered, ease_ms: EASE_MS });
    steered = {};
  }, SEND_EVERY_MS);
  /** Turns the head as sticks and knobs do: whatever they move together is one command, or they would be more than the server takes. */
  const steer = (angles) => {
    if (sliders.yaw.input.disabled) return;
    for (const [id, angle] of Object.entries(angles)) steered[CHANNELS[id].channel] = sliders[id].put(angle);
    sendSteered();
  };
  const dial = (id) => ({ input: sliders[id].input, move: (angle) => steer({ [id]: angle }) });
  const turns = element("div", { class: "grid few" },
    button("left", "turn_left", () => send("pose.set", { yaw_deg: -TURN_DEG }), { id: "left", "data-icon": "product_left" }),
    button("ahead", "ahead", letGo, { id: "ahead", "data-icon": "target" }),
    button("right", "turn_right", () => send("pose.set", { yaw_deg: TURN_DEG }), { id: "right", "data-icon": "product_right" }));
  const fixed = tick("head-fix", "head_fix", (on) => send("head.fix", { on }));
  const looks = element("div", { class: "grid flow" });
  let looked = null;
  const offer = (names) => {
    if (names.join() === Array.from(looks.children, (made) => made.dataset.look).join()) return;
    looks.replaceChildren(...names.map((name) => button(`look:${name}`, name,
      () => (looked === name ? send("look.release") : send("look.at", { target: name })),
      { "data-look": name, "data-sends": "look.at", "aria-pressed": "false" })));
  };
  offer(usual("look"));
  let [set, now] = [{}, {}]; // what operators have asked for, and what the head does
  return {
    root: card("head", fixed.label, pad.pad, turns, worded("h3", "look"), looks,
      ...["yaw", "pitch", "roll"].map((id) => sliders[id].row),
      element("details", {}, worded("summary", "picture"), ...PICTURE.map((id) => sliders[id].row))),
    dials: { yaw: dial("yaw"), pitch: dial("pitch"), roll: dial("roll") },
    steer,
    hear(message) {
      if (message.type === "state") {
        set = message.pose;
        pad.showSet(set);
        fixed.box.checked = Boolean(message.head_fixed);
        const targets = Object.keys(message.targets ?? {});
        if (targets.length) offer(targets);
        looked = message.look ?? null;
        for (const made of looks.children) press(made, made.dataset.look === looked);
      } else if (message.type === "face") {
        now = message.pose;
        pad.showNow(now);
      } else return;
      for (const [id, { channel }] of Object.entries(CHANNELS)) sliders[id].show(set[channel] ?? null, now[channel] ?? null);
    },
  };
}
