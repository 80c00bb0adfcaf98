/** The host's microphone: opens it, lets one choose among several, and shows that it hears. */
import { element } from "./dom.js";
import { icon } from "./icons.js";

const KEPT = "flap-microphone";
const LOOK_EVERY_MS = 200;
const FLOOR_DB = -60; // where the bar begins
const HEARD_DB = -50; // quieter than this is nothing
const SILENT_AFTER_MS = 8000;

/** Opens the microphone that was chosen last, or any when that is not there; the browser's own errors say what went wrong. */
export async function openMicrophone() {
  if (!navigator.mediaDevices) throw new DOMException("insecure", "SecurityError");
  const raw = new URLSearchParams(location.search).has("raw-microphone");
  const audio = { echoCancellation: !raw, noiseSuppression: !raw, autoGainControl: !raw, channelCount: 1 };
  const chosen = localStorage.getItem(KEPT);
  const wanted = chosen ? { ...audio, deviceId: { exact: chosen } } : audio; // Chromium takes `ideal` for a hint that it may ignore
  return navigator.mediaDevices.getUserMedia({ audio: wanted }).catch((error) => {
    if (chosen && error.name === "OverconstrainedError") return navigator.mediaDevices.getUserMedia({ audio });
    throw error;
  });
}

/** A bar that moves with the voice, and the list of microphones where there are several. */
export class MicrophonePart {
  #bar = element("i");
  #list = element("select", { id: "microphones", "data-word-label": "microphone", hidden: true });
  #root;
  #say;
  #hear;
  #stop = () => {};

  /**
   * @param {HTMLElement} root is filled
   * @param {() => Promise<{energy: number, seconds: number} | null>} hear says what the microphone has given since it was opened
   * @param {() => void} onChoose is told when another microphone was chosen
   * @param {(key: string) => void} say shows a sentence by its word
   */
  constructor(root, hear, onChoose, say) {
    [this.#root, this.#hear, this.#say] = [root, hear, say];
    this.#list.addEventListener("change", () => {
      localStorage.setItem(KEPT, this.#list.value);
      onChoose();
    });
    root.replaceChildren(icon("microphone"), element("b", { id: "level", role: "img", "data-word-label": "level" }, this.#bar), this.#list);
    root.hidden = true;
  }

  /** Shows this microphone, or none. */
  show(stream) {
    this.#stop();
    this.#root.hidden = !stream;
    if (!stream) return;
    const [track] = stream.getAudioTracks();
    track.addEventListener("ended", () => this.#say("microphone_lost")); // unplugged: stop() makes no event
    this.#stop = this.#look();
    this.#offer(track.getSettings().deviceId).catch(() => {});
  }

  /** By the connection's own statistics: an AudioContext would cost a tenth of a processor core. */
  #look() {
    let before = null;
    let heardMs = performance.now();
    let warned = false;
    const look = async () => {
      const now = await this.#hear();
      const [energy, seconds] = now && before ? [now.energy - before.energy, now.seconds - before.seconds] : [0, 0];
      before = now;
      if (seconds <= 0) return; // nothing is sent yet
      const level = 10 * Math.log10(energy / seconds + 1e-12);
      this.#bar.style.transform = `scaleX(${Math.max(0, Math.min(1, 1 - level / FLOOR_DB)).toFixed(3)})`;
      if (level > HEARD_DB) heardMs = performance.now();
      if (warned || performance.now() - heardMs < SILENT_AFTER_MS) return;
      warned = true;
      this.#say("microphone_silent");
    };
    const timer = setInterval(() => look().catch(() => {}), LOOK_EVERY_MS);
    return () => clearInterval(timer);
  }

  async #offer(current) {
    const devices = await navigator.mediaDevices.enumerateDevices();
    const microphones = devices.filter(({ kind }) => kind === "audioinput");
    this.#list.replaceChildren(...microphones.map(({ deviceId, label }) => element("option", { value: deviceId, selected: deviceId === current }, label)));
    this.#list.hidden = microphones.length < 2;
  }
}
