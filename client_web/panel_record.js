/** The panel's corner for gestures of one's own: recorded here, opened from a file, deleted. */
import { element, refill, worded } from "./dom.js";
import { fileButton, iconButton, smallButton } from "./panel_parts.js";
import { refusal, word } from "./strings.js";
import { readJson } from "./webrtc.js";

const LONGEST_S = 20; // what is done later is not kept

/**
 * `row` is shown while the button `tile` is pressed, and while somebody records.
 * @param {(type: string, fields?: Object) => string | null} send
 * @param {(sentence: string) => void} say
 */
export function recordPart(send, say) {
  let [open, recording, sinceMs, timer] = [false, false, 0, null];
  const tile = element("button", { type: "button", class: "record", id: "record", "aria-pressed": "false", click: () => { show(!open); if (open && !recording) name.focus(); } },
    element("i", { class: "dot" }), worded("span", "record"));
  const name = element("input", { type: "text", id: "record-name", maxlength: 40, autocomplete: "off", "data-word-hint": "record_name", "data-word-label": "record_name" });
  const begin = smallButton("record-start", "record_start", () => send("gesture.record", { on: true }), { "data-sends": "gesture.record" });
  const keep = smallButton("record-keep", "keep", () => {
    if (!name.value.trim()) return name.focus();
    if (send("gesture.record", { on: false, name: name.value.trim() })) keep.disabled = true; // once: the state that follows hides it
  });
  const drop = smallButton("record-drop", "discard", () => send("gesture.record", { on: false }));
  const clock = element("output", { class: "clock", "aria-live": "off" });
  const own = element("ul", { class: "people own" });
  const problems = element("ul", { class: "problems" });
  const file = fileButton("gesture-file", "open_file", ".json,application/json", async (chosen) => {
    try {
      const gesture = JSON.parse(await chosen.text());
      await ask(chosen.name.replace(/\.json$/i, ""), { method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify(gesture) });
    } catch (error) {
      say(error instanceof SyntaxError ? word("gesture_unreadable") : refusal(error));
    }
  });
  const row = element("div", { class: "recorder", hidden: true }, worded("p", "record_hint", { class: "hint" }),
    element("form", { class: "beside", submit: (event) => { event.preventDefault(); (recording ? keep : begin).click(); } }, name, clock, begin, keep, drop),
    element("div", { class: "beside" }, own, file), problems);

  const ask = async (gesture, request) => {
    const answer = await fetch(`/api/gestures/${encodeURIComponent(gesture)}`, request);
    if (!answer.ok) await readJson(answer);
  };
  const forget = (gesture) => {
    if (!confirm(word("forget_sure").replace("{name}", gesture))) return;
    ask(gesture, { method: "DELETE" }).catch((error) => say(refusal(error)));
  };
  const show = (on) => {
    open = on;
    row.hidden = !open && !recording;
    tile.setAttribute("aria-pressed", String(!row.hidden));
    tile.classList.toggle("on", recording);
    begin.hidden = recording;
    keep.hidden = drop.hidden = clock.hidden = !recording;
  };
  const tick = () => { clock.textContent = `${Math.min(LONGEST_S, Math.floor((performance.now() - sinceMs) / 1000))} / ${LONGEST_S} s`; };
  show(false);
  return {
    tile, row,
    hear(message) {
      if (message.type === "catalog") {
        refill(own, ...message.gestures.filter(({ custom }) => custom).map((gesture) => element("li", {}, gesture.name,
          iconButton("remove", "delete", () => forget(gesture.name), { "data-of": gesture.name }))));
        problems.replaceChildren(...(message.problems ?? []).map((problem) => element("li", {}, problem)));
        if (message.problems?.length) show(true);
      } else if ((message.type === "state" && Boolean(message.recording_gesture) !== recording) || (message.type === "ended" && recording)) {
        recording = !recording;
        clearInterval(timer);
        if (recording) {
          sinceMs = performance.now();
          tick();
          timer = setInterval(tick, 250);
        } else {
          name.value = "";
        }
        show(recording);
      }
    },
  };
}
