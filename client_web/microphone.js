/** The host's microphone: opens it, lets one choose among several, and shows that it hears. */
import { element } from "./dom.js";
import { icon } from "./icons.js";
import { keep, recall } from "./kept.js";
import { smallButton } from "./panel_parts.js";
import { word } from "./strings.js";

const KEPT = "flap-microphone";
const LOOK_EVERY_MS = 200;
const FLOOR_DB = -60; // where the bar begins
const HEARD_DB = -50; // quieter than this is nothing
const SILENT_AFTER_MS = 8000;
const QUIET_AFTER_MS = 30_000; // the same of one that was heard: speakers pause
const OF_ONE_DEVICE = ["NotReadableError", "OverconstrainedError"]; // another one may be opened

/**
 * Opens the microphone `only`, else the one that was chosen last, or another one when that is not there or cannot be opened; the
 * browser's own errors say what went wrong.
 */
export async function openMicrophone(only = null) {
  if (!navigator.mediaDevices) throw new DOMException("insecure", "SecurityError");
  const raw = new URLSearchParams(location.search).has("raw-microphone");
  const audio = { echoCancellation: !raw, noiseSuppression: !raw, autoGainControl: !raw, channelCount: 1 };
  const open = (id) => navigator.mediaDevices.getUserMedia({
    audio: id ? { ...audio, deviceId: { exact: id } } : audio, // Chromium takes `ideal` for a hint that it may ignore
  });
  if (only) return open(only);
  const chosen = recall(KEPT);
  let failure;
  const attempt = (id) => open(id).catch((error) => {
    if (!OF_ONE_DEVICE.includes(error.name)) throw error;
    failure = error;
  });
  let opened = await attempt(chosen);
  for (const id of opened ? [] : await allBut(chosen)) opened ??= await attempt(id);
  if (!opened) throw failure;
  return opened;
}

/** Whichever the browser takes by itself (null), then each by its id; browsers tell the ids once one was asked for. */
async function allBut(tried) {
  const devices = await navigator.mediaDevices.enumerateDevices();
  const ids = devices.filter(({ kind }) => kind === "audioinput").map(({ deviceId }) => deviceId);
  return [null, ...ids].filter((id) => id !== tried);
}

/** A bar that moves with the voice, and the list of microphones where there is another one; one that is plugged in again is heard again. */
export class MicrophonePart {
  #bar = element("i");
  #level = element("b", { id: "level", role: "img", "data-word-label": "level" }, this.#bar);
  #list = element("select", { id: "microphones", "data-word-label": "microphone", hidden: true });
  #again = smallButton("microphone-again", "try_again", () => this.#replace(), { hidden: true });
  #root;
  #say;
  #keep;
  #kept = "";
  #hear;
  #change;
  #track = null; // that is listened to
  #stop = () => {};

  /**
   * @param {HTMLElement} root is filled
   * @param {() => Promise<{energy: number, seconds: number} | null>} hear says what the microphone has given since it was opened
   * @param {(only?: string) => Promise<void>} change listens to this microphone alone, or to any; or throws and goes on with the one before
   * @param {(sentence: string) => void} say shows a sentence for a moment
   * @param {(sentence: string) => void} keep shows one until the next, or an empty one
   */
  constructor(root, hear, change, say, keep) {
    [this.#root, this.#hear, this.#change, this.#say, this.#keep] = [root, hear, change, say, keep];
    this.#list.addEventListener("change", () => this.#choose());
    navigator.mediaDevices?.addEventListener("devicechange", () => this.#follow()); // none on insecure addresses
    navigator.permissions?.query({ name: "microphone" }).then((permission) => {
      permission.addEventListener("change", () => this.#follow()); // one that is given again makes no devicechange
    }, () => {}); // not every browser knows this permission
    root.replaceChildren(icon("microphone"), this.#level, this.#list, this.#again);
    root.hidden = true;
  }

  /** Shows this microphone, or none. */
  show(stream) {
    this.#stop();
    this.#worry("");
    this.#again.hidden = true;
    this.#root.hidden = !stream;
    this.#track = stream?.getAudioTracks()[0] ?? null;
    if (!stream) return;
    this.#track.addEventListener("ended", () => this.#replace()); // unplugged: stop() makes no event
    for (const event of ["mute", "unmute"]) this.#track.addEventListener(event, () => this.#heed());
    this.#stop = this.#look();
    if (this.#track.muted) this.#heed();
    this.#offer();
  }

  /** Browsers mute one that goes on: Safari in all tabs but the last that has opened one, others by a switch or in a call. */
  #heed() {
    if (this.#track?.readyState !== "live") return;
    const { muted } = this.#track;
    this.#worry(muted ? word("microphone_muted") : "");
    this.#again.hidden = !muted;
    if (muted) this.#draw(FLOOR_DB);
  }

  async #choose() {
    const chosen = this.#list.value;
    try {
      await this.#change(chosen);
      if (this.#track?.getSettings().deviceId === chosen) keep(KEPT, chosen); // else another was chosen meanwhile
    } catch {
      this.#say(word("microphone_unopened"));
      await this.#offer(); // what is heard stands chosen
    }
  }

  /** Something was plugged in or out, or is allowed or forbidden now. */
  async #follow() {
    if (!this.#track) return;
    await this.#offer();
    if (this.#track?.readyState === "ended") await this.#replace();
  }

  /** Goes from one that is gone to the chosen one, or to any. */
  async #replace() {
    try {
      await this.#change();
      if (this.#track?.readyState === "live") this.#say(word("microphone_replaced").replace("{name}", () => this.#track.label));
    } catch (error) {
      if (this.#track?.readyState !== "ended") return; // stopped meanwhile, or another one was chosen
      this.#worry(word(error.name === "NotAllowedError" ? "microphone_forbidden" : "microphone_lost"));
      this.#draw(FLOOR_DB);
      this.#again.hidden = false;
    }
  }

  /** Says what is wrong until it is not. */
  #worry(sentence) {
    if (sentence === this.#kept) return;
    this.#kept = sentence;
    this.#keep(sentence);
  }

  /** By the connection's own statistics: an AudioContext would cost a tenth of a processor core. */
  #look() {
    const track = this.#track;
    let [before, wasHeard, isSaid] = [null, false, false];
    let heardMs = performance.now();
    const look = async () => {
      const now = await this.#hear();
      this.#level.hidden = now !== null && now.seconds === undefined; // Firefox does not tell
      const [energy, seconds] = now && before ? [now.energy - before.energy, now.seconds - before.seconds] : [0, 0];
      before = now;
      const isKnown = seconds > 0 && !track.muted; // else nothing is sent, nobody knows, or it is said already
      if (!isKnown) heardMs = performance.now();
      if (!isKnown || track !== this.#track || track.readyState === "ended") return;
      const level = 10 * Math.log10(energy / seconds + 1e-12);
      this.#draw(level);
      const silentMs = performance.now() - heardMs;
      if (level > HEARD_DB) {
        [heardMs, wasHeard, isSaid] = [performance.now(), true, false];
        this.#worry("");
      } else if (!wasHeard && silentMs > SILENT_AFTER_MS) this.#worry(word("microphone_silent"));
      else if (wasHeard && !isSaid && silentMs > QUIET_AFTER_MS) {
        isSaid = true;
        this.#say(word("microphone_silent")); // for a moment: a host may only listen for a while
      }
    };
    const timer = setInterval(() => look().catch(() => {}), LOOK_EVERY_MS);
    return () => clearInterval(timer);
  }

  #draw(level) {
    this.#bar.style.transform = `scaleX(${Math.max(0, Math.min(1, 1 - level / FLOOR_DB)).toFixed(3)})`;
  }

  async #offer() {
    const devices = await navigator.mediaDevices.enumerateDevices().catch(() => []);
    if (!this.#track) return; // stopped meanwhile
    const heard = this.#track.readyState === "live" ? this.#track.getSettings().deviceId : null;
    const microphones = devices.filter(({ kind }) => kind === "audioinput");
    this.#list.replaceChildren(...microphones.map(({ deviceId, label }) => element("option", { value: deviceId }, label)));
    this.#list.selectedIndex = microphones.findIndex(({ deviceId }) => deviceId === heard); // none: then any is a change
    this.#list.hidden = microphones.every(({ deviceId }) => !deviceId || deviceId === heard); // without an id: forbidden
  }
}
