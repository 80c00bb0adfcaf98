/**
 * The webcam's face as numbers. MediaPipe's Face Landmarker runs in this page, from files that the server has
 * (`make install-webcam`); pictures stay here, and only what `driveFrame` makes of them is sent.
 */

const FILES = "/webcam";
const CAMERA = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };
const LEAST_WEIGHT = 0.01;
const PORTRAIT_WIDTH_CM = 31; // of what the avatar's picture shows at the depth of its eyes
const USUAL_DISTANCE_CM = 50; // zoom 1; the server counts from the calibrated face
const STEADYING = 0.25; // how much of a head's new place counts: its distance trembles
const LOST = { source: "webcam", tracked: false };

export class Webcam {
  /** What to say of the errors that `start` throws, by name. */
  static SENTENCES = {
    NotInstalledError: "webcam_not_installed", NotAllowedError: "refused_camera", NotFoundError: "no_camera", NotReadableError: "busy_camera",
    SecurityError: "insecure",
  };

  #video;
  #onFrame;
  #onLost;
  #landmarker = null; // stays once it is loaded
  #stream = null;
  #place = null; // of the head in the last picture
  #run = 0; // counts starts and stops: a camera that opens after it was stopped is let go at once

  /** @param {HTMLVideoElement} video shows the camera @param {(frame: Object) => void} onFrame gets each `drive.frame`
   * @param {() => void} onLost hears that the camera has stopped by itself */
  constructor(video, onFrame, onLost) {
    [this.#video, this.#onFrame, this.#onLost] = [video, onFrame, onLost];
  }

  get on() {
    return this.#stream !== null;
  }

  /** Opens the camera and looks at every picture of it; says whether it is on, or was stopped meanwhile. Throws the browser's
   * error, or NotInstalledError. */
  async start() {
    const run = ++this.#run;
    if (!navigator.mediaDevices) throw new DOMException("insecure", "SecurityError");
    const unlessStopped = (error) => {
      if (run === this.#run) throw error;
      return null;
    };
    this.#landmarker ??= await loadLandmarker().catch(unlessStopped);
    if (run !== this.#run) return false;
    const stream = await navigator.mediaDevices.getUserMedia({ video: CAMERA }).catch(unlessStopped);
    if (run !== this.#run) {
      stream?.getTracks().forEach((track) => track.stop());
      return false;
    }
    this.#stream = stream;
    this.#video.srcObject = stream;
    this.#video.hidden = false;
    stream.getVideoTracks()[0].addEventListener("ended", () => { // unplugged
      this.stop();
      this.#onLost();
    });
    stream.getVideoTracks()[0].addEventListener("mute", () => stream === this.#stream && this.#show(LOST)); // by the browser: it may come back
    await this.#video.play().catch(unlessStopped);
    if (run !== this.#run) return false;
    this.#look();
    return true;
  }

  /** Lets the camera go; safe in every state. */
  stop() {
    this.#run += 1;
    if (!this.#stream) return;
    this.#stream.getTracks().forEach((track) => track.stop());
    this.#stream = this.#video.srcObject = null;
    this.#video.hidden = true;
    this.#show(LOST);
  }

  #look() {
    const stream = this.#stream;
    this.#video.requestVideoFrameCallback((now) => {
      if (stream !== this.#stream) return;
      this.#show(driveFrame(this.#landmarker.detectForVideo(this.#video, now)));
      this.#look();
    });
  }

  #show({ place = null, ...frame }) {
    this.#place = place && this.#place ? steadied(this.#place, place) : place;
    this.#onFrame({ ...frame, ...(this.#place && rounded(this.#place)) });
  }
}

/** A `drive.frame` of what MediaPipe has found: shapes by ARKit's names, head angles in degrees, and the head's `place`. */
function driveFrame({ faceBlendshapes: [shapes], facialTransformationMatrixes: [matrix] }) {
  if (!shapes || !matrix) return LOST;
  const weights = shapes.categories.filter(({ categoryName, score }) => categoryName !== "_neutral" && score >= LEAST_WEIGHT)
    .map(({ categoryName, score }) => [categoryName, Number(score.toFixed(3))]);
  return { source: "webcam", shapes: Object.fromEntries(weights), ...angles(matrix.data), place: placeOf(matrix.data) };
}

/** Where a head is that stands `x`, `y` and `-z` centimetres to the right, above and in front of the camera, as `pose.set` has it. */
function placeOf([, , , , , , , , , , , , x, y, z]) {
  const within = (bound, share) => Math.max(-bound, Math.min(bound, share));
  const zoom = Math.max(0.25, Math.min(4, USUAL_DISTANCE_CM / Math.max(-z, 1)));
  return { x: within(1, x / PORTRAIT_WIDTH_CM), y: within(1, -y / PORTRAIT_WIDTH_CM), zoom };
}

function steadied(before, now) {
  return Object.fromEntries(Object.entries(now).map(([name, value]) => [name, before[name] + STEADYING * (value - before[name])]));
}

function rounded(place) {
  return Object.fromEntries(Object.entries(place).map(([name, value]) => [name, Number(value.toFixed(4))]));
}

/** Yaw, pitch and roll of a 4 x 4 matrix, stored by columns: R = Ry(yaw) Rx(pitch) Rz(roll), as in flap/coefficients.py. */
function angles(matrix) {
  const at = (row, column) => matrix[4 * column + row];
  const degrees = (radians) => Number(((180 / Math.PI) * radians).toFixed(2));
  return {
    yaw_deg: degrees(Math.atan2(at(0, 2), at(2, 2))),
    pitch_deg: degrees(Math.asin(Math.max(-1, Math.min(1, -at(1, 2))))),
    roll_deg: degrees(Math.atan2(at(1, 0), at(1, 1))),
  };
}

async function loadLandmarker() {
  const answer = await fetch(`${FILES}/vision_bundle.mjs`, { method: "HEAD" });
  if (!answer.ok) throw new DOMException("the face tracker is not installed on this server", "NotInstalledError");
  const { FaceLandmarker } = await import(`${FILES}/vision_bundle.mjs`);
  const wasm = { wasmLoaderPath: `${FILES}/vision_wasm_internal.js`, wasmBinaryPath: `${FILES}/vision_wasm_internal.wasm` };
  return FaceLandmarker.createFromOptions(wasm, {
    baseOptions: { modelAssetPath: `${FILES}/face_landmarker.task`, delegate: "CPU" },
    runningMode: "VIDEO", numFaces: 1, outputFaceBlendshapes: true, outputFacialTransformationMatrixes: true,
  });
}
