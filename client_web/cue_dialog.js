/** The dialog that edits one cue: what a hand would press at its moment, and further commands as JSON. */
import { PANIC_KEYS } from "./controls.js";
import { element, worded } from "./dom.js";
import { oneLine } from "./panel_parts.js";
import { refusal, translate, word } from "./strings.js";

/** What has a field of its own: a command's type, and the property that the field sets. */
const FIELDS = {
  expression: { type: "expression.set", property: "name" },
  gesture: { type: "gesture.play", property: "name" },
  look: { type: "look.at", property: "target" },
  text: { type: "overlay.set", property: "text" },
  scene: { type: "obs.scene", property: "name" },
  presenter: { type: "presenter.set", property: "presenter" },
};
const FURTHER = "further"; // the place of a command that has no field
const LASTING = ["expression", "text"]; // these may go by themselves

/** A cue's commands as fields, and those that have none. */
export function split(commands) {
  const fields = {};
  const others = [];
  for (const command of commands) {
    const name = Object.keys(FIELDS).find((key) => FIELDS[key].type === command.type && command[FIELDS[key].property] && !fields[key]);
    if (name) fields[name] = command;
    else others.push(command);
  }
  return { fields, others };
}

/**
 * Opens it. `onDone` gets the cue as it was left.
 * @param {{id: string, name?: string, key?: string, at_ms?: number, commands: Object[]}} cue
 * @param {{gestures: string[], expressions: string[], presenters: string[], targets: string[], scenes: string[]}} offered
 * @param {(id: string) => string} nameOf  what a presenter is called
 * @param {(cue: Object) => Promise<void>} onDone
 */
export function cueDialog(cue, offered, nameOf, onDone) {
  const { fields, others } = split(cue.commands);
  const places = cue.commands.map((command) => Object.keys(fields).find((name) => fields[name] === command) ?? FURTHER);
  const value = (name) => fields[name]?.[FIELDS[name].property] ?? "";
  const text = (id, given, attributes = {}) => element("input", { type: "text", id: `cue-${id}`, autocomplete: "off", value: given, ...attributes });
  const inputs = {
    name: text("name", cue.name ?? "", { maxlength: 80 }),
    key: text("key", cue.key ?? "", { maxlength: 1 }),
    at: text("at", cue.at_ms === null || cue.at_ms === undefined ? "" : clockTime(cue.at_ms), { placeholder: "1:30", pattern: "\\d+(:[0-5]?\\d(\\.\\d+)?)?" }),
    expression: choice("expression", offered.expressions, value("expression")),
    gesture: choice("gesture", offered.gestures, value("gesture")),
    look: choice("look", offered.targets, value("look")),
    text: text("text", oneLine(value("text")), { maxlength: 120, "data-word-hint": "overlay_hint" }),
    scene: choice("scene", offered.scenes, value("scene")),
    presenter: choice("presenter", offered.presenters, value("presenter"), nameOf),
  };
  const holds = Object.fromEntries(LASTING.map((name) => [name, element("input", { type: "number", id: `cue-${name}-s`, min: 0, max: 60, step: "any",
    "data-word-hint": "stays", "data-word-label": "hold_s", value: fields[name]?.hold_ms === undefined ? "" : fields[name].hold_ms / 1000 })]));
  const further = element("textarea", { id: "cue-further", rows: 4, spellcheck: "false", "data-word-label": "further" });
  const given = others.length ? JSON.stringify(others, null, 1) : "";
  further.value = given;
  const outcome = element("p", { class: "outcome refused", role: "alert" });
  const field = (key, ...made) => element("label", { class: "field" }, worded("span", key), ...made);
  const pair = (...made) => element("div", { class: "pair" }, ...made);
  const details = element("details", { open: others.length > 0 }, worded("summary", "further"), further);
  const close = element("button", { type: "button", click: () => dialog.close() }, worded("span", "cancel"));
  const form = element("form", { method: "dialog" }, worded("h2", "cue_edit"), field("cue_name", inputs.name),
    pair(field("cue_key", inputs.key), field("cue_at", inputs.at)),
    pair(field("cue_expression", inputs.expression), field("hold_s", holds.expression)),
    pair(field("cue_gesture", inputs.gesture), field("look", inputs.look)),
    pair(field("overlay", inputs.text), field("hold_s", holds.text)),
    pair(field("presenter", inputs.presenter), field("cue_scene", inputs.scene)), details, outcome,
    element("div", { class: "beside end" }, close, element("button", { type: "submit", id: "cue-keep", class: "primary" }, worded("span", "keep"))));
  const dialog = element("dialog", { class: "add-dialog cue-dialog", "data-word-label": "cue_edit" }, form);

  const ofField = (name) => {
    if (!inputs[name].value.trim()) return [];
    const made = { ...fields[name], type: FIELDS[name].type, [FIELDS[name].property]: inputs[name].value.trim() };
    if (LASTING.includes(name)) made.hold_ms = holds[name].value === "" ? undefined : Math.round(1000 * Number(holds[name].value));
    return [made];
  };
  /** What stood in the cue stays where it stood, for commands act in their order: "neutral" after an emotion undoes it. */
  const commands = () => {
    const typed = furtherCommands(further.value);
    const kept = further.value === given ? places : [...typed.map(() => FURTHER), ...places.filter((place) => place !== FURTHER)];
    const all = [...kept, ...Object.keys(FIELDS).filter((name) => !kept.includes(name))];
    return all.flatMap((place) => (place === FURTHER ? [typed.shift()] : ofField(place)));
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (PANIC_KEYS.includes(inputs.key.value.trim().toLowerCase())) {
      outcome.textContent = word("panic_key");
      return;
    }
    try {
      await onDone({ id: cue.id, name: inputs.name.value.trim(), key: inputs.key.value.trim(), at_ms: milliseconds(inputs.at.value), commands: commands() });
      dialog.close();
    } catch (error) {
      outcome.textContent = error instanceof SyntaxError ? word("further_wrong") : refusal(error);
    }
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  translate(dialog);
  dialog.showModal();
}

/** The list that was typed; throws SyntaxError for what is none. */
function furtherCommands(typed) {
  const commands = typed.trim() ? JSON.parse(typed) : [];
  if (!Array.isArray(commands)) throw new SyntaxError("not a list");
  return commands;
}

/** A list to choose one of, or nothing; what is chosen stays offered, even when it is not there now. Names are translated unless `nameOf` has them. */
function choice(id, names, chosen, nameOf = null) {
  const all = !chosen || names.includes(chosen) ? names : [...names, chosen];
  const option = (name, set) => (nameOf ? element("option", set, nameOf(name)) : worded("option", name, set));
  return element("select", { id: `cue-${id}` }, element("option", { value: "" }, "–"),
    ...all.map((name) => option(name, { value: name, selected: name === chosen })));
}

/** Milliseconds as "1:05". */
export function clockTime(ms) {
  const seconds = Number(((ms / 1000) % 60).toFixed(3));
  return `${Math.floor(ms / 60_000)}:${seconds < 10 ? "0" : ""}${seconds}`;
}

/** "1:30" or "90" as milliseconds; null for nothing. */
function milliseconds(text) {
  if (!text.trim()) return null;
  const [seconds, minutes = 0] = text.trim().split(":").reverse().map(Number);
  return 1000 * (60 * minutes + seconds);
}
