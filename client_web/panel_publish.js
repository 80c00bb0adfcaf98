/** The panel's card for where the show is sent: platforms by RTMP, other servers by WHIP. */
import { element, refill, throttled, worded } from "./dom.js";
import { card, iconButton, press, smallButton } from "./panel_parts.js";
import { refusal, word } from "./strings.js";
import { postJson, readJson } from "./webrtc.js";

const KINDS = ["rtmp", "whip"];
const BROKEN = ["reconnecting", "failed"];
const LOOK_EVERY_MS = 2000;

/** What the server is asked for: platforms name an address and a key, which RTMP wants as one. */
export function order(kind, url, key) {
  if (kind === "whip") return key ? { kind, url, token: key } : { kind, url };
  return { kind, url: key ? `${url.replace(/\/+$/, "")}/${key}` : url };
}

/**
 * @param {() => string | null} sessionId of the session that is directed
 * @param {(sentence: string) => void} say
 */
export function publishPart(sessionId, say) {
  let [open, kind, running, listed] = [false, KINDS[0], [], null]; // `running` is of the session `listed`
  const kinds = KINDS.map((name) => element("button", { type: "button", id: `publish-${name}`, "data-kind": name, click: () => choose(name) }, name.toUpperCase()));
  const url = element("input", { type: "url", id: "publish-url", required: true, maxlength: 2000, autocomplete: "off", spellcheck: "false", "data-word-label": "publish_url" });
  const key = element("input", { type: "password", id: "publish-key", maxlength: 1000, autocomplete: "off", "data-word-hint": "publish_key", "data-word-label": "publish_key" });
  const start = element("button", { type: "submit", class: "small", id: "publish-start" }, worded("span", "publish_start"));
  const form = element("form", { class: "publish", hidden: true, submit: (event) => { event.preventDefault(); begin(); } },
    element("div", { class: "segments" }, ...kinds), url, element("div", { class: "beside" }, key, start));
  const list = element("ul", { class: "people outputs" });
  const toggle = smallButton("publish", "publish_add", () => show(!open));

  const choose = (name) => {
    kind = name;
    url.placeholder = name === "rtmp" ? "rtmps://live.example.com/app" : "https://live.example.com/whip";
    for (const made of kinds) press(made, made.dataset.kind === name);
  };
  const show = (on) => {
    open = on;
    form.hidden = !on;
    press(toggle, on);
    if (on) url.focus();
  };
  let isAsking = false;
  const begin = async () => {
    if (isAsking) return; // pressed twice: the same key would be sent to twice
    isAsking = true;
    try {
      await postJson(path(), order(kind, url.value.trim(), key.value.trim()));
      key.value = "";
      show(false);
    } catch (error) {
      say(refusal(error));
    } finally {
      isAsking = false;
    }
    look();
  };
  const path = () => `/api/sessions/${encodeURIComponent(sessionId())}/outputs`;
  const end = async (id) => {
    const answer = await fetch(`${path()}/${encodeURIComponent(id)}`, { method: "DELETE" });
    if (!answer.ok && answer.status !== 404) await readJson(answer);
    draw(running.filter((output) => output.id !== id));
    look();
  };
  const draw = (outputs) => {
    running = outputs;
    refill(list, ...running.map((output) => element("li", { "data-state": output.state },
      element("span", {}, output.target), worded("small", `publish_${output.state}`),
      iconButton("remove", "publish_end", () => end(output.id).catch((error) => say(refusal(error)))),
      output.detail ? element("p", { class: "detail" }, output.detail) : null)));
    list.dispatchEvent(new Event("words", { bubbles: true }));
  };
  const look = throttled(async () => {
    const asked = sessionId();
    if (!asked) return;
    try {
      const found = await readJson(await fetch(path()));
      if (sessionId() !== asked) return;
      for (const { id, target, state, detail } of found) {
        const before = running.find((output) => output.id === id);
        if (BROKEN.includes(state) && before?.state !== state) say(`${target}: ${word(`publish_${state}`)} (${detail})`);
      }
      if (seen(found) !== seen(running)) draw(found); // a row that is made anew loses its focus
    } catch {
      // the session has just ended, or this operator may not look: the list stays as it was
    }
  }, LOOK_EVERY_MS);

  const sayTheyAreOver = () => {
    const targets = running.filter(({ state }) => state !== "failed").map(({ target }) => target);
    if (targets.length) say(word("publish_over").replace("{targets}", () => targets.join(", ")));
  };
  const seen = (outputs) => JSON.stringify(outputs.map(({ id, state, detail }) => [id, state, detail]));

  choose(kind);
  return {
    root: card("publish", toggle, form, list),
    hear(message) {
      if (message.type === "ended" && message.reason !== "taken") sayTheyAreOver();
      if (message.type === "ended" || (message.type === "hello" && sessionId() !== listed)) {
        listed = sessionId();
        draw([]);
      }
      if (message.type === "hello" || message.type === "stats") look();
    },
  };
}
