/** How the show runs, in the page's head: state, delay, frame rate, lost frames, viewers, and one word for all of it. */
import { element, worded } from "./dom.js";
import { translate } from "./strings.js";

const WINDOW_MS = 2000;
const LOST_REPORTS = 10; // one a second
const GOOD = { framesPerSecond: 23, latencyMs: 450 };
const FAIR = { framesPerSecond: 17, latencyMs: 900 };
const FIELDS = ["state", "latency", "rate", "dropped", "viewers", "quality"];

export class Health {
  #values;
  #root;
  #shown = []; // moments of the pictures shown lately
  #live = false;
  #latencyMs = null;
  #lost = []; // pictures lost since the session began, as of the last reports

  /** @param {HTMLElement} root a <dl> to fill @param {HTMLVideoElement} video whose pictures are counted */
  constructor(root, video) {
    this.#root = root;
    this.#values = Object.fromEntries(FIELDS.map((id) => [id, element("dd", { id }, "–")]));
    root.replaceChildren(...FIELDS.map((id) => element("div", {}, worded("dt", id), this.#values[id])));
    for (const id of FIELDS.slice(1)) this.#values[id].parentElement.dataset.wordTitle = `${id}_hint`;
    const count = (now) => {
      this.#shown = [...this.#shown.filter((moment) => moment > now - WINDOW_MS), now];
      video.requestVideoFrameCallback(count);
    };
    video.requestVideoFrameCallback(count);
  }

  /** The connection's state by its word. */
  become(state) {
    this.#live = state === "live";
    this.#values.state.dataset.word = state;
    if (!this.#live) this.#clear();
    translate(this.#root);
  }

  /** @param {Object} stats the server's @param {number} receiveDelayMs what the pictures take from there to this screen */
  show(stats, receiveDelayMs) {
    if (!this.#live) return;
    this.#latencyMs = (stats.mic_to_frame_ms.p50 || stats.delay_ms) + receiveDelayMs;
    this.#values.latency.textContent = `${Math.round(this.#latencyMs)} ms`;
    this.#values.rate.textContent = `${this.#framesPerSecond().toFixed(1)} / ${stats.target_frames_per_second} fps`;
    this.#lost = [...this.#lost, stats.late_frames].slice(-LOST_REPORTS - 1);
    this.#values.dropped.textContent = String(this.#lost.at(-1) - this.#lost[0]);
    this.#values.viewers.textContent = String(stats.viewers);
    this.#values.quality.dataset.word = this.#grade();
    this.#values.quality.dataset.level = stats.quality_level ? `−${stats.quality_level}` : "";
    translate(this.#root);
  }

  #framesPerSecond() {
    const [first, last] = [this.#shown[0], this.#shown.at(-1)];
    return last > first ? (1000 * (this.#shown.length - 1)) / (last - first) : 0;
  }

  #grade() {
    const reaches = ({ framesPerSecond, latencyMs }) => this.#framesPerSecond() >= framesPerSecond && this.#latencyMs <= latencyMs;
    return reaches(GOOD) ? "good" : reaches(FAIR) ? "fair" : "poor";
  }

  #clear() {
    this.#shown = [];
    this.#lost = [];
    for (const id of FIELDS.slice(1)) {
      delete this.#values[id].dataset.word;
      delete this.#values[id].dataset.level;
      this.#values[id].textContent = "–";
    }
  }
}
