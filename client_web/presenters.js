/** The presenters as cards to choose from, and the dialog that makes a new one of a photograph. */
import { element, worded } from "./dom.js";
import { icon } from "./icons.js";
import { iconButton } from "./panel_parts.js";
import { photographRefusal, refusal, translate, word } from "./strings.js";
import { readJson } from "./webrtc.js";

export class Presenters {
  #root;
  #choose;
  #onAdded;
  #onRemoved;
  #people = [];
  #chosen = null;
  #enabled = true;

  /**
   * @param {HTMLElement} root is filled
   * @param {(presenter: {id, name, thumbnail_url}) => void} choose is told of clicks
   * @param {(presenter: Object) => void} onAdded is told of one who was made of a photograph here
   * @param {() => void} onRemoved is told that one was removed here
   */
  constructor(root, choose, onAdded, onRemoved = () => {}) {
    [this.#root, this.#choose, this.#onAdded, this.#onRemoved] = [root, choose, onAdded, onRemoved];
    root.addEventListener("keydown", (event) => this.#step(event));
  }

  get chosen() {
    return this.#people.find((person) => person.id === this.#chosen) ?? null;
  }

  get first() {
    return this.#people[0];
  }

  /** What a presenter is called; an id that is not known is shown as it is. */
  nameOf(id) {
    return this.#people.find((person) => person.id === id)?.name ?? id;
  }

  /** Asks the server who there is; the first stands chosen unless another does. */
  async load() {
    this.#people = await readJson(await fetch("/api/presenters"));
    this.#root.replaceChildren(...this.#people.map((person) => this.#card(person)), this.#addCard());
    translate(this.#root);
    this.show(this.#chosen ?? this.#people[0]?.id); // one who was removed may still be on show
    this.enable(this.#enabled);
  }

  /** Whether one may be chosen; another may be added either way. */
  enable(on) {
    this.#enabled = on;
    for (const made of this.#root.querySelectorAll("[data-presenter]")) made.disabled = !on;
  }

  /** Asks again when others than these are shown: somebody was added or removed elsewhere. */
  async follow(ids) {
    const known = new Set(this.#people.map(({ id }) => id));
    if (known.size !== ids.length || ids.some((id) => !known.has(id))) await this.load().catch(() => {});
  }

  /** Marks a presenter as the one that is on. */
  show(id) {
    this.#chosen = id;
    for (const made of this.#root.querySelectorAll("[data-presenter]")) {
      made.setAttribute("aria-checked", String(made.dataset.presenter === id));
      made.tabIndex = made.dataset.presenter === id ? 0 : -1;
    }
  }

  /** Arrow keys go from one to the next, as in every group of radio buttons; Space or Enter chooses. */
  #step(event) {
    const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const cards = [...this.#root.children];
    cards.at((cards.indexOf(event.target) + by) % cards.length)?.focus();
  }

  #card(person) {
    return element("button", { type: "button", class: "card", role: "radio", "data-presenter": person.id, "aria-checked": "false",
      click: () => this.#choose(person) },
    element("img", { src: person.thumbnail_url, alt: "", width: 72, height: 72, loading: "lazy" }), element("span", {}, person.name));
  }

  #addCard() {
    return element("button", { type: "button", class: "add", id: "add-presenter", "data-word-label": "add_title",
      click: () => addDialog((made) => this.load().then(() => this.#onAdded(made)), this.#people.filter(({ added }) => added), () => this.load().then(this.#onRemoved)) },
    element("i", {}, icon("add")), worded("span", "add"));
  }
}

/** Those who were added, each with a way to remove it for good; `say` gets refusals. */
function ownList(own, onRemoved, say) {
  const remove = async (person, row) => {
    if (!confirm(word("remove_sure").replace("{name}", person.name))) return;
    try {
      const answer = await fetch(`/api/presenters/${person.id}`, { method: "DELETE" });
      if (!answer.ok) await readJson(answer);
      row.remove();
      await onRemoved();
    } catch (error) {
      say(refusal(error));
    }
  };
  return element("ul", { class: "people own" }, ...own.map((person) => {
    const row = element("li", {}, person.name, iconButton("remove", "delete", () => remove(person, row), { "data-of": person.name }));
    return row;
  }));
}

/**
 * Asks for a photograph, a name and why it may be used; `onAdded` gets the new presenter. Below stand those who were added
 * before (`own`); `onRemoved` is told when one of them is gone.
 */
function addDialog(onAdded, own, onRemoved) {
  const file = element("input", { type: "file", id: "photograph", accept: "image/jpeg,image/png,image/webp", required: true });
  const preview = element("img", { alt: "", hidden: true });
  const drop = element("label", { class: "drop", for: "photograph" }, preview, worded("b", "add_choose"), worded("small", "add_hint"), file);
  const name = element("input", { type: "text", id: "photograph-name", required: true, maxlength: 40, autocomplete: "off" });
  const consent = element("select", { id: "photograph-consent", required: true }, worded("option", "consent_choose", { value: "" }),
    worded("option", "consent_self", { value: "It is me." }), worded("option", "consent_permission", { value: "The person shown has agreed." }),
    worded("option", "consent_generated", { value: "The picture shows nobody: it is drawn or generated." }));
  const addedBy = element("input", { type: "text", id: "photograph-added-by", maxlength: 80, autocomplete: "name" });
  const outcome = element("p", { class: "outcome", role: "alert" });
  const refuse = (sentence) => {
    outcome.textContent = sentence;
    outcome.classList.add("refused");
  };
  const submit = element("button", { type: "submit", class: "primary" }, worded("span", "add_submit"));
  const close = element("button", { type: "button", click: () => dialog.close() }, worded("span", "cancel"));
  const field = (key, input) => element("label", { class: "field" }, worded("span", key), input);
  const form = element("form", { method: "dialog" }, worded("h2", "add_title"), drop, field("add_name", name), field("add_consent", consent),
    field("add_by", addedBy), outcome, element("div", { class: "beside end" }, close, submit),
    own.length ? element("section", {}, worded("h3", "add_own"), ownList(own, onRemoved, refuse)) : null);
  const dialog = element("dialog", { class: "add-dialog", "data-word-label": "add_title" }, form);

  file.addEventListener("change", () => {
    if (preview.src) URL.revokeObjectURL(preview.src);
    preview.hidden = !file.files[0];
    preview.src = file.files[0] ? URL.createObjectURL(file.files[0]) : "";
    outcome.textContent = "";
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    submit.disabled = true;
    outcome.textContent = word("add_looking");
    outcome.classList.remove("refused");
    try {
      const query = new URLSearchParams({ name: name.value, consent: consent.value });
      if (addedBy.value) query.set("added_by", addedBy.value);
      const [photograph] = file.files;
      const made = await readJson(await fetch(`/api/presenters?${query}`,
        { method: "POST", headers: { "Content-Type": photograph.type }, body: photograph }));
      await onAdded(made);
      dialog.close();
    } catch (error) {
      refuse(photographRefusal(error));
    } finally {
      submit.disabled = false;
    }
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  translate(dialog);
  dialog.showModal();
}
