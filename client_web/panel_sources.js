/** The panel's mixer of faces from elsewhere: a webcam, a clip, phones. */
import { element, worded } from "./dom.js";
import { card, fileButton, iconButton, press, slider, smallButton } from "./panel_parts.js";
import { refusal, word } from "./strings.js";
import { readJson } from "./webrtc.js";
import { Webcam } from "./webcam.js";

const DRIVEN = ["pose", "lips", "jaw", "brows", "eyes", "lids"];
const USUAL_MIX = { pose: 1, brows: 1, eyes: 1, lids: 1 }; // of a webcam: speech keeps the mouth
const SENT_KEPT = 60; // ids of webcam frames that may still be refused
const RELEASED_MS = 1200; // the server keeps a source for a channel that is gone for a little less

/** One source: whether it sees a face, its neutral face, and which groups it moves. */
function strip(send, source) {
  let weights = {};
  const mix = (groups) => {
    const asked = { ...weights, ...groups };
    if (send("drive.mix", { source, groups: asked })) weights = asked; // what is pressed next must not undo it; a refusal puts it back
  };
  const chips = DRIVEN.map((group) => element("button", { type: "button", "data-mix": group, "aria-pressed": "false",
    click: () => mix({ [group]: weights[group] > 0 ? 0 : 1 }) }, worded("span", `mix_${group}`)));
  const sliders = DRIVEN.map((group) => slider({ id: `mix-${source}-${group}`, key: `mix_${group}`, min: 0, max: 1, step: 0.05, value: 0,
    act: (weight) => mix({ [group]: weight }) }));
  const lamp = element("i", { class: "lamp" });
  const seen = worded("small", "face_lost");
  const calibrate = smallButton(`calibrate-${source}`, "calibrate", () => send("drive.calibrate", { source }));
  const root = element("section", { class: "source", "data-source": source },
    element("div", { class: "source-head" }, lamp, worded("b", `source_${source}`), seen, calibrate),
    element("div", { class: "segments six" }, ...chips),
    element("details", {}, worded("summary", "mix_fine"), ...sliders.map((made) => made.row)));
  return {
    root,
    show({ tracking, groups, calibrated }) {
      weights = { ...groups };
      lamp.classList.toggle("on", tracking);
      seen.dataset.word = tracking ? (calibrated ? "face_calibrated" : "face_seen") : "face_lost";
      DRIVEN.forEach((group, index) => {
        press(chips[index], groups[group] > 0);
        sliders[index].show(groups[group] ?? 0);
      });
    },
  };
}

/**
 * @param {(type: string, fields?: Object) => string | null} send
 * @param {(sentence: string) => void} say
 */
export function sourcePart(send, say) {
  const strips = new Map();
  let mixed = {}; // source -> the groups that it moves, as the server says
  let session = null;
  let sent = [];
  const preview = element("video", { class: "webcam", muted: true, playsinline: true, hidden: true, "data-word-label": "webcam_preview" });
  let [isDirected, fromMs] = [false, 0]; // whether webcam frames reach a session, from when on they may
  const drive = (frame) => {
    const id = isDirected && performance.now() >= fromMs && send("drive.frame", frame);
    if (id) sent = [...sent, id].slice(-SENT_KEPT);
  };
  const webcam = new Webcam(preview, drive, () => {
    stop();
    say(word("webcam_lost"));
  });
  let opening = false;
  const start = smallButton("webcam", "webcam_start", () => (webcam.on || opening ? stop() : begin()), { "aria-pressed": "false" });
  const list = element("div", { class: "sources" });
  const stopClip = iconButton("remove", "clip_stop", () => endClip().catch((error) => say(refusal(error))), { id: "clip-stop", hidden: true });
  const endClip = async () => {
    const answer = await fetch(`/api/sessions/${session}/clip`, { method: "DELETE" });
    if (!answer.ok && answer.status !== 404) await readJson(answer);
  };
  const showClip = (key) => {
    clip.firstChild.dataset.word = key;
    root.dispatchEvent(new Event("words", { bubbles: true }));
  };
  const clip = fileButton("clip", "clip_play", "video/*,image/*,.npz", async (file) => {
    showClip("clip_looking"); // for up to two minutes
    try {
      await readJson(await fetch(`/api/sessions/${session}/clip?loop=yes`, { method: "POST", body: file }));
      if (!Object.keys(mixed.clip ?? {}).length) send("drive.mix", { source: "clip", groups: USUAL_MIX });
    } catch (error) {
      say(refusal(error));
    } finally {
      showClip("clip_play");
    }
  });
  const root = card("sources", null, worded("p", "sources_hint", { class: "hint" }),
    element("div", { class: "tools" }, start, clip, stopClip), preview, list);

  const allow = () => { start.disabled = !isDirected && !webcam.on && !opening; }; // one's own camera can always be let go
  const show = (key) => {
    start.firstChild.dataset.word = key;
    press(start, webcam.on);
    allow();
    root.dispatchEvent(new Event("words", { bubbles: true }));
  };
  const stop = () => {
    opening = false;
    webcam.stop();
    show("webcam_start");
  };
  const begin = async () => {
    opening = true;
    show("webcam_opening");
    try {
      if (!(await webcam.start())) return; // stopped meanwhile
      opening = false;
      if (!Object.keys(mixed.webcam ?? {}).length) send("drive.mix", { source: "webcam", groups: USUAL_MIX });
      show("webcam_stop");
    } catch (error) {
      stop();
      say(error.name in Webcam.SENTENCES ? word(Webcam.SENTENCES[error.name]) : refusal(error));
    }
  };
  const leave = () => (webcam.on || opening) && stop();
  return {
    root,
    /** The session is left: the camera is let go. */
    leave,
    /** Whether commands reach the session. */
    enable(on) {
      if (on && !isDirected) fromMs = performance.now() + RELEASED_MS;
      isDirected = on;
      allow();
    },
    hear(message) {
      if (message.type === "hello") {
        if (message.session !== session) leave();
        session = message.session;
      }
      // somebody else drives with a webcam; frames that came too many at once, after a break of the network, are only lost
      if (message.type === "error" && message.code !== "too_many" && sent.includes(message.id)) stop();
      if (message.type !== "state") return;
      const sources = message.sources ?? [];
      mixed = Object.fromEntries(sources.map(({ source, groups }) => [source, groups]));
      for (const source of sources) {
        if (!strips.has(source.source)) {
          const made = strip(send, source.source);
          strips.set(source.source, made);
          list.append(made.root);
        }
        strips.get(source.source).show(source);
      }
      for (const [name, made] of strips) made.root.hidden = !(name in mixed);
      stopClip.hidden = !sources.some(({ source, tracking }) => source === "clip" && tracking);
    },
  };
}
