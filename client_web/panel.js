/** The operator's panel, used by the host's page and by the operator's: sends commands, follows what the server says. */
import { element, throttled } from "./dom.js";
import { cuePart } from "./panel_cues.js";
import { emotionPart, gesturePart, lifePart, safetyPart } from "./panel_face.js";
import { headPart } from "./panel_head.js";
import { inputPart, listenToKeys } from "./panel_inputs.js";
import { layOut } from "./panel_layout.js";
import { publishPart } from "./panel_publish.js";
import { operatorsPart, overlayPart, scenePart } from "./panel_show.js";
import { sourcePart } from "./panel_sources.js";
import { refusal, translate, word } from "./strings.js";

const SENT_KEPT = 200; // ids of commands that may still be refused
const PRESSED = "button:not([role=tab]), input:not([type=text], [type=url], [type=password])"; // one that is typed into would let the rest of a word press keys
const REDRAW = ["state", "catalog", "cues"]; // messages that make buttons and change words

export class Panel {
  #root;
  #send;
  #say;
  #parts;
  #sources;
  #sessionId;
  #sent = new Map(); // id -> type of what was sent
  #state = null; // the last one of this session
  #isOn = false;
  #focused = null; // what the keyboard was on when the controls could be used last

  /**
   * @param {HTMLElement} root is filled
   * @param {(type: string, fields?: Object) => string | null} send returns the command's id
   * @param {(sentence: string) => void} say shows a sentence for a moment
   * @param {() => string | null} sessionId of the session that is directed, also while its channel is being opened again
   * @param {(id: string) => string} nameOf what a presenter is called
   */
  constructor(root, send, say, sessionId, nameOf) {
    [this.#root, this.#send, this.#say, this.#sessionId] = [root, send, say, sessionId];
    const command = (type, fields) => this.#command(type, fields);
    const make = (part) => part(command, say, nameOf);
    const [safety, emotions, gestures, head, life] = [safetyPart, emotionPart, gesturePart, headPart, lifePart].map(make);
    const [cues, scenes, overlay, sources, operators] = [cuePart, scenePart, overlayPart, sourcePart, operatorsPart].map(make);
    const publish = publishPart(sessionId, say);
    const devices = inputPart(root, { ...head.dials, ...emotions.dials, ...life.dials }, head.steer, (key) => say(word(key)));
    this.#parts = [safety, emotions, gestures, head, life, cues, scenes, overlay, sources, publish, operators, devices];
    this.#sources = sources;
    layOut(root, safety, { face: [emotions, gestures], head: [head, life], show: [cues, scenes, overlay], more: [sources, publish, operators, devices] });
    root.addEventListener("words", throttled(() => translate(root), 100));
    listenToKeys(root, cues.cueOfKey, command);
    translate(root);
    this.enable(false);
  }

  /** A message of the server. */
  hear(message) {
    if (message.type === "hello") this.#state = null;
    if (message.type === "state") this.#state = message;
    for (const part of this.#parts) part.hear(message);
    const isLateFrame = message.code === "too_many" && this.#sent.get(message.id) === "drive.frame"; // of a webcam after a break
    if (message.type === "error" && !isLateFrame) this.#refused(message);
    if (REDRAW.includes(message.type)) this.#dress();
  }

  /** Whether its controls can be used; the camera is kept for as long as the session is not left. */
  enable(on) {
    if (this.#isOn && !on) this.#focused = this.#root.querySelector(":focus-visible");
    this.#isOn = on;
    this.#root.classList.toggle("off", !on);
    this.#dress();
    if (!on && !this.#sessionId()) this.#sources.leave();
    this.#root.querySelector("#pad").setAttribute("aria-disabled", String(!on));
    if (!on) return;
    if (document.activeElement === document.body) this.#focused?.focus();
    this.#focused = null;
  }

  /** Buttons that a message has made are like the others. */
  #dress() {
    for (const control of this.#root.querySelectorAll(PRESSED)) control.disabled = !this.#isOn;
    this.#sources.enable(this.#isOn);
    translate(this.#root);
  }

  #command(type, fields) {
    const id = this.#send(type, fields);
    if (id) this.#sent.set(id, type);
    if (this.#sent.size > SENT_KEPT) this.#sent.delete(this.#sent.keys().next().value);
    return id;
  }

  /** What this server cannot do is said once and shown on its controls; everything else is said in its own words. */
  #refused({ id, code, message }) {
    this.#putBack();
    if (code !== "not_supported") return this.#say(refusal({ code, message }));
    const type = this.#sent.get(id);
    for (const control of this.#root.querySelectorAll(`[data-sends="${CSS.escape(type ?? "")}"]`)) control.classList.add("missing");
    this.#say(word("not_supported"));
  }

  /** Nothing has changed, so the server will not say again where the controls belong. */
  #putBack() {
    for (const input of this.#root.querySelectorAll("input[type=range]")) input.dispatchEvent(new Event("refused"));
    if (this.#state) this.hear(this.#state);
  }
}
