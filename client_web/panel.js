/** The operator's panel, used by the host's page and by the operator's: sends commands, follows what the server says. */
import { element, throttled } from "./dom.js";
import { emotionPart, gesturePart, lifePart, safetyPart } from "./panel_face.js";
import { headPart } from "./panel_head.js";
import { inputPart, listenToKeys } from "./panel_inputs.js";
import { cuePart, operatorsPart, overlayPart, sourcePart } from "./panel_show.js";
import { translate, word } from "./strings.js";

const SENT_KEPT = 200; // ids of commands that may still be refused

export class Panel {
  #root;
  #send;
  #say;
  #parts;
  #sent = new Map(); // id -> type of what was sent

  /**
   * @param {HTMLElement} root is filled
   * @param {(type: string, fields?: Object) => string | null} send returns the command's id
   * @param {(sentence: string) => void} say shows a sentence for a moment
   */
  constructor(root, send, say) {
    [this.#root, this.#send, this.#say] = [root, send, say];
    const command = (type, fields) => this.#command(type, fields);
    const [safety, emotions, gestures, cues] = [safetyPart, emotionPart, gesturePart, cuePart].map((make) => make(command));
    const [head, life, overlay, sources, operators] = [headPart, lifePart, overlayPart, sourcePart, operatorsPart].map((make) => make(command));
    const devices = inputPart(root, { ...head.dials, ...emotions.dials, ...life.dials }, (key) => say(word(key)));
    this.#parts = [safety, emotions, gestures, cues, head, life, overlay, sources, operators, devices];
    const column = (...parts) => element("div", { class: "column" }, ...parts.map((part) => part.root));
    root.replaceChildren(safety.root, column(emotions, gestures, cues, overlay), column(head, life, sources, operators, devices));
    root.addEventListener("words", throttled(() => translate(root), 100));
    listenToKeys(root, cues.cueOfKey, command);
    translate(root);
    this.enable(false);
  }

  /** A message of the server. */
  hear(message) {
    for (const part of this.#parts) part.hear(message);
    if (message.type === "error") this.#refused(message);
    if (message.type === "state" || message.type === "catalog" || message.type === "cues") translate(this.#root);
  }

  /** Whether its controls can be used. */
  enable(on) {
    this.#root.classList.toggle("off", !on);
    for (const control of this.#root.querySelectorAll("button, input")) control.disabled = !on;
    this.#root.querySelector("#pad").setAttribute("aria-disabled", String(!on));
  }

  #command(type, fields) {
    const id = this.#send(type, fields);
    if (id) this.#sent.set(id, type);
    if (this.#sent.size > SENT_KEPT) this.#sent.delete(this.#sent.keys().next().value);
    return id;
  }

  /** What this server cannot do is said once and shown on its controls; everything else is said in its own words. */
  #refused({ id, code, message }) {
    if (code !== "not_supported") return this.#say(message);
    const type = this.#sent.get(id);
    for (const control of this.#root.querySelectorAll(`[data-sends="${CSS.escape(type ?? "")}"]`)) control.classList.add("missing");
    this.#say(word("not_supported"));
  }
}
