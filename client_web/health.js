/** How the show runs, in the page's head: state, delay, frame rate, lost frames, viewers, and one word for all of it. */
import { element, worded } from "./dom.js";
import { translate } from "./strings.js";

const RATE_REPORTS = 2; // one a second
const FULL_RATE = 25; // pictures a second that the server sends, not all of them new when it draws fewer
const LOST_REPORTS = 10; // one a second
const GOOD = { framesPerSecond: 23, latencyMs: 450, lost: 12 }; // of 250 pictures in ten seconds
const FAIR = { framesPerSecond: 17, latencyMs: 900, lost: 60 };
const FIELDS = ["state", "latency", "rate", "dropped", "viewers", "quality"];

const grade = (newPerSecond, delayMs, lostPictures) => {
  const reaches = ({ framesPerSecond, latencyMs, lost }) => newPerSecond >= framesPerSecond && delayMs <= latencyMs && lostPictures <= lost;
  return reaches(GOOD) ? "good" : reaches(FAIR) ? "fair" : "poor";
};

export class Health {
  #values;
  #root;
  #video;
  #shown = []; // [moment, pictures shown since the beginning] of the last reports
  #live = false;
  #lost = []; // pictures lost since the session began, as of the last reports

  /** @param {HTMLElement} root a <dl> to fill @param {HTMLVideoElement} video whose pictures are counted */
  constructor(root, video) {
    this.#root = root;
    this.#video = video;
    this.#values = Object.fromEntries(FIELDS.map((id) => [id, element("dd", { id, "aria-live": id === "state" ? "polite" : null }, "–")]));
    root.replaceChildren(...FIELDS.map((id) => element("div", {}, worded("dt", id), this.#values[id])));
    for (const id of FIELDS.slice(1)) this.#values[id].parentElement.dataset.wordTitle = `${id}_hint`;
  }

  /** The connection's state by its word. */
  become(state) {
    this.#live = state === "live";
    this.#values.state.dataset.word = state;
    if (!this.#live) this.#clear();
    translate(this.#root);
  }

  /**
   * @param {Object} stats the server's
   * @param {number} receiveDelayMs what the pictures take from there to this screen
   * @param {number} decoded pictures of this connection
   */
  show(stats, receiveDelayMs, decoded) {
    if (!this.#live) return;
    this.#count(decoded);
    const newPerSecond = this.#framesPerSecond() * Math.min(stats.target_frames_per_second / FULL_RATE, 1);
    const latencyMs = (stats.mic_to_frame_ms.p50 || stats.delay_ms) + receiveDelayMs;
    this.#values.latency.textContent = `${Math.round(latencyMs)} ms`;
    this.#values.rate.textContent = `${newPerSecond.toFixed(1)} / ${stats.target_frames_per_second} fps`;
    this.#lost = [...this.#lost, stats.late_frames].slice(-LOST_REPORTS - 1);
    const lost = this.#lost.at(-1) - this.#lost[0];
    this.#values.dropped.textContent = String(lost);
    this.#values.viewers.textContent = String(stats.viewers);
    this.#values.quality.dataset.word = grade(newPerSecond, latencyMs, lost);
    this.#values.quality.dataset.level = stats.quality_level ? `−${stats.quality_level}` : "";
    translate(this.#root);
  }

  /** Once a report: a callback for every picture would have the page drawn anew for each. */
  #count(decoded) {
    const { totalVideoFrames, droppedVideoFrames } = this.#video.getVideoPlaybackQuality();
    const shown = totalVideoFrames - droppedVideoFrames || decoded; // not every browser counts what comes by WebRTC
    this.#shown = [...this.#shown, [performance.now(), shown]].slice(-RATE_REPORTS - 1);
  }

  #framesPerSecond() {
    const [[firstMs, first], [lastMs, last]] = [this.#shown[0], this.#shown.at(-1)];
    return lastMs > firstMs ? (1000 * (last - first)) / (lastMs - firstMs) : 0;
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
