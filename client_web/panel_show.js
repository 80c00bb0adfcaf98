/** The panel's cards for the show: OBS's scenes, text on the picture, who is at the desk. */
import { element, worded } from "./dom.js";
import { card, oneLine, press } from "./panel_parts.js";

/** OBS's scenes, where the server is linked to OBS; the one that is on is marked. Hidden without a link. */
export function scenePart(send) {
  const grid = element("div", { class: "grid flow" });
  const root = card("scenes", null, grid);
  root.hidden = true;
  return {
    root,
    hear(message) {
      if (message.type !== "state") return;
      const names = message.obs_scenes ?? [];
      root.hidden = names.length === 0;
      if (names.join("\n") !== Array.from(grid.children, (made) => made.dataset.scene).join("\n")) {
        grid.replaceChildren(...names.map((name) => element("button", { type: "button", "data-scene": name, "data-sends": "obs.scene", "aria-pressed": "false",
          click: () => send("obs.scene", { name }) }, element("span", {}, name))));
      }
      for (const made of grid.children) press(made, made.dataset.scene === message.obs_scene);
    },
  };
}

/** A line of text over the picture. It may be prepared while another one is shown: then the line follows the server no more. */
export function overlayPart(send) {
  let shown = "";
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
      if (message.type !== "state") return;
      const isPrepared = oneLine(text.value) !== shown || document.activeElement === text;
      shown = oneLine(message.overlay ?? "");
      if (!isPrepared) text.value = shown;
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
