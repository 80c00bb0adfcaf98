/** The panel's cue sheet: stepped through, run by the clock, edited, opened from a file and saved to one. */
import { clockTime, cueDialog } from "./cue_dialog.js";
import { element, worded } from "./dom.js";
import { keep, recall } from "./kept.js";
import { button, card, fileButton, iconButton, press, smallButton } from "./panel_parts.js";
import { refusal, word } from "./strings.js";
import { readJson } from "./webrtc.js";

const KEPT = "flap-cues"; // the sheet of the last show that had one, and its session
const KEPT_BEFORE = "flap-cues-before"; // that of the show before

/**
 * The rundown: the next cue is marked, Enter runs it, a click makes another one the next.
 * @param {(type: string, fields?: Object) => string | null} send
 * @param {(sentence: string) => void} say
 * @param {(id: string) => string} nameOf  what a presenter is called
 */
export function cuePart(send, say, nameOf) {
  let sheet = { name: "", cues: [], running: false };
  let place = null; // the session, and who we are in it
  const offered = { gestures: [], expressions: [], presenters: [], targets: [], scenes: [] };
  const list = element("ol", { class: "cues" });
  const none = worded("p", "no_cues", { class: "hint" });
  const clock = smallButton("cue-run", "cue_run", () => send("cue.run", { on: !sheet.running }), { "data-sends": "cue.run", "aria-pressed": "false" });
  const go = button("cue", "cue_go", () => send("cue.go"), { id: "cue-go", "data-sends": "cue.go", class: "wide" });
  const editing = smallButton("cue-edit", "edit", () => edit(!root.classList.contains("editing")), { "aria-pressed": "false" });
  const add = smallButton("cue-add", "cue_add", () => ask({ name: "", commands: [] }));
  const again = smallButton("cue-again", "cues_again", () => open(sheetBefore(place.session)));
  const file = fileButton("cue-open", "open_file", ".json,application/json",
    (chosen) => readSheet(chosen).then(open, () => say(word("cues_unreadable"))));
  const save = smallButton("cue-save", "save_file", () => download(`${sheet.name || "cue-sheet"}.json`, plain(sheet)));
  const root = card("cues", clock, list, none, go, element("div", { class: "tools" }, editing, add, file, save, again));

  const edit = (on) => {
    root.classList.toggle("editing", on);
    press(editing, on);
  };
  /** Gives the server another sheet; it tells every operator, this one too. Throws its refusal. */
  const put = async (changed, anew = "") => readJson(await fetch(`/api/sessions/${place.session}/cues?operator=${place.operator}${anew}`, {
    method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify(plain(changed)),
  }));
  const replace = (changed, anew) => put(changed, anew).catch((error) => say(refusal(error)));
  /** A sheet of another show, whose cues may have the names of this one's. */
  const open = (other) => replace(other, "&anew=yes");
  let changing = Promise.resolve();
  /** One change after the other, each of what the one before has left. */
  const withCues = (change) => {
    changing = changing.then(async () => Object.assign(sheet, await put({ ...sheet, cues: change(sheet.cues) })))
      .catch((error) => say(refusal(error)));
  };
  const move = (id, by) => withCues((cues) => {
    const [moved, at] = [[...cues], cues.findIndex((cue) => cue.id === id)];
    if (at >= 0 && cues[at + by]) moved.splice(at + by, 0, ...moved.splice(at, 1));
    return moved;
  });
  /** One without an id is new, and gets the first that is free when it is kept: others may have added some meanwhile. */
  const ask = (cue) => cueDialog(cue, offered, nameOf, (changed) => {
    const known = sheet.cues.some(({ id }) => id === cue.id);
    const kept = { ...changed, id: cue.id ?? freeId(sheet.cues) };
    return put({ ...sheet, cues: known ? sheet.cues.map((other) => (other.id === cue.id ? kept : other)) : [...sheet.cues, kept] });
  });

  const row = (cue, index) => {
    const name = cue.name || cue.id;
    const made = element("button", { type: "button", "data-sends": "cue.select", "data-cue": cue.id,
      click: () => (root.classList.contains("editing") ? ask(cue) : send("cue.select", { cue: cue.id })),
      dblclick: () => root.classList.contains("editing") || send("cue.go", { cue: cue.id }) },
    element("span", {}, name));
    if (cue.at_ms !== null && cue.at_ms !== undefined) made.append(element("small", {}, clockTime(cue.at_ms)));
    if (cue.key) made.append(element("kbd", {}, cue.key));
    const tools = element("div", { class: "cue-tools" },
      iconButton("up", "move_up", () => move(cue.id, -1), { hidden: index === 0, "data-of": name }),
      iconButton("down", "move_down", () => move(cue.id, 1), { hidden: index === sheet.cues.length - 1, "data-of": name }),
      iconButton("remove", "delete", () => withCues((cues) => cues.filter(({ id }) => id !== cue.id)), { "data-of": name }));
    return element("li", {}, made, tools);
  };
  /** New rows; the keyboard stays on the same button of its cue, or of the one that is in its place now: lost, its next Enter would run a cue. */
  const fill = () => {
    const place = [...list.children].findIndex((made) => made.querySelector(":focus-visible"));
    const buttons = (made) => [...(made?.querySelectorAll("button") ?? [])];
    const button = buttons(list.children[place]).indexOf(document.activeElement);
    const id = list.children[place]?.querySelector("[data-cue]").dataset.cue;
    list.replaceChildren(...sheet.cues.map(row));
    if (place < 0) return;
    const now = sheet.cues.findIndex((cue) => cue.id === id);
    const offers = buttons(list.children[now < 0 ? Math.min(place, sheet.cues.length - 1) : now]);
    (offers[button]?.hidden ? offers[0] : offers[button])?.focus();
  };
  const showNext = () => {
    const row = list.querySelector('[aria-current="true"]')?.parentElement.getBoundingClientRect();
    const box = list.getBoundingClientRect();
    if (row && row.top < box.top) list.scrollTop -= box.top - row.top;
    else if (row && row.bottom > box.bottom) list.scrollTop += row.bottom - box.bottom;
  };
  let [filled, next] = ["", null]; // the cues that the list shows, and which is the next
  return {
    root,
    /** The cue that a key belongs to, if any. */
    cueOfKey: (key) => sheet.cues.find((cue) => cue.key?.toLowerCase() === key.toLowerCase()) ?? null,
    hear(message) {
      if (message.type === "hello") place = message;
      else if (message.type === "catalog") {
        const { expressions, presenters } = message;
        Object.assign(offered, { expressions, presenters, gestures: message.gestures.map(({ name }) => name) });
      } else if (message.type === "state") {
        Object.assign(offered, { targets: Object.keys(message.targets ?? {}), scenes: message.obs_scenes ?? [] });
      }
      if (message.type !== "cues") return;
      sheet = message;
      if (sheet.cues.length) keepSheet(place.session, sheet);
      else forgetSheet(place.session);
      none.hidden = sheet.cues.length > 0;
      go.hidden = clock.hidden = save.hidden = editing.hidden = !sheet.cues.length;
      again.hidden = sheet.cues.length > 0 || !sheetBefore(place.session);
      if (JSON.stringify(sheet.cues) !== filled) {
        filled = JSON.stringify(sheet.cues);
        fill();
      }
      for (const made of list.querySelectorAll("[data-cue]")) {
        made.setAttribute("aria-current", String(made.dataset.cue === sheet.next));
        made.classList.toggle("done", made.dataset.cue === sheet.last);
      }
      if (next !== (next = sheet.next)) showNext();
      press(clock, sheet.running);
    },
  };
}

function kept(name) {
  return JSON.parse(recall(name) ?? "null");
}

/** Keeps a show's sheet for the next show; a first cue here does not take the place of the whole sheet of the show before. */
function keepSheet(session, sheet) {
  const last = kept(KEPT);
  if (last && last.session !== session) keep(KEPT_BEFORE, JSON.stringify(last));
  keep(KEPT, JSON.stringify({ session, ...plain(sheet) }));
}

/** A show whose sheet was emptied leaves the one before to the next show. */
function forgetSheet(session) {
  if (kept(KEPT)?.session === session) keep(KEPT, recall(KEPT_BEFORE) ?? "null");
}

/** The sheet of the show before this one, null without one. */
function sheetBefore(session) {
  const last = kept(KEPT);
  return last?.session === session ? kept(KEPT_BEFORE) : last;
}

/** A sheet as its file has it: without what is not set. */
function plain({ name, cues }) {
  const set = ([, value]) => value !== null && value !== undefined && value !== "";
  return { name: name ?? "", cues: cues.map((cue) => Object.fromEntries(Object.entries(cue).filter(set))) };
}

/** The sheet of a file; the server looks at what is in it. Throws when it is none. */
async function readSheet(file) {
  const { name = "", cues } = JSON.parse(await file.text());
  if (!Array.isArray(cues)) throw new SyntaxError("no cues");
  return { name, cues };
}

function download(name, content) {
  const link = element("a", { href: URL.createObjectURL(new Blob([JSON.stringify(content, null, 2)], { type: "application/json" })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** An id that no cue has yet. */
function freeId(cues) {
  const taken = new Set(cues.map(({ id }) => id));
  let number = cues.length + 1;
  while (taken.has(`cue-${number}`)) number += 1;
  return `cue-${number}`;
}
