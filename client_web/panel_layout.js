/** Where the panel's cards stand: side by side where there is room, behind tabs where there is none. */
import { element, worded } from "./dom.js";

const COLUMNS = { tabbed: [["face"], ["head"], ["show", "more"]], two: [["face", "show"], ["head", "more"]], three: [["face"], ["head"], ["show", "more"]] };
const TABS = ["tab_face", "tab_head", "tab_show"];

/**
 * Fills the panel, and moves the cards when the window changes.
 * @param {HTMLElement} root
 * @param {{root: HTMLElement}} safety stays in sight
 * @param {Object<string, {root: HTMLElement}[]>} groups by the names in COLUMNS
 */
export function layOut(root, safety, groups) {
  const wide = matchMedia("(min-width: 1700px)");
  const narrow = matchMedia("(max-width: 900px)");
  const tabs = element("nav", { class: "segments tabs", role: "tablist", "data-word-label": "operator" }, ...TABS.map((key, index) =>
    element("button", { type: "button", role: "tab", id: key, "aria-controls": `column-${index}`, click: () => choose(index) }, worded("span", key))));
  const columns = TABS.map((key, index) => element("div", { class: "column", id: `column-${index}` }));
  const choose = (chosen) => {
    columns.forEach((column, index) => column.classList.toggle("chosen", index === chosen));
    Array.from(tabs.children).forEach((tab, index) => {
      tab.setAttribute("aria-selected", String(index === chosen));
      tab.tabIndex = index === chosen ? 0 : -1;
    });
  };
  tabs.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const at = Array.from(tabs.children).indexOf(event.target);
    const next = tabs.children[(at + by + TABS.length) % TABS.length];
    next.focus();
    next.click();
  });
  const place = () => {
    const tabbed = narrow.matches || root.closest("main.host") !== null;
    const wanted = COLUMNS[tabbed ? "tabbed" : wide.matches ? "three" : "two"];
    root.classList.toggle("tabbed", tabbed);
    columns.forEach((column, index) => {
      column.replaceChildren(...(wanted[index] ?? []).flatMap((name) => groups[name].map((part) => part.root)));
      column.hidden = !wanted[index];
      if (tabbed) column.setAttribute("role", "tabpanel");
      else column.removeAttribute("role");
    });
  };
  root.replaceChildren(safety.root, tabs, ...columns);
  choose(0);
  place();
  for (const query of [wide, narrow]) query.addEventListener("change", place);
}
