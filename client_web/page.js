import { AvatarClient } from "./avatar.js";

const $ = (id) => document.getElementById(id);
const video = $("avatar");
const STATES = { idle: "Ready", starting: "Connecting…", live: "Live", stopping: "Stopping…", failed: "Stopped" };
const HOLD_MS = 2000; // of an expression
let presenter = null;
let frames = [];

const client = new AvatarClient({
  onState(state, detail) {
    document.body.dataset.state = state;
    $("state").textContent = STATES[state];
    notify(detail ?? "");
    $("start").disabled = !(state === "idle" || state === "failed");
    $("stop").disabled = state !== "live" && state !== "starting";
    for (const control of document.querySelectorAll(".controls button, .controls input")) control.disabled = state !== "live";
    $("placeholder").hidden = state === "live";
    $("file").disabled = state !== "live";
    $("hush").hidden = true;
    if (state !== "live") for (const id of ["latency", "rate"]) $(id).textContent = "–";
  },
  onMessage(message) {
    if (message.type === "stats") {
      showLatency(message.mic_to_frame_ms.p50 || message.delay_ms);
    } else if (message.type === "state") {
      $("freeze").setAttribute("aria-pressed", message.frozen);
      showPose(message.pose);
    } else if (message.type === "speech") {
      $("hush").hidden = message.what !== "started";
    } else if (message.type === "error") {
      notify(message.message);
    }
  },
  onStream(stream) {
    if (video.srcObject !== stream) video.srcObject = stream;
    video.play().catch(() => {});
  },
});

function notify(sentence) {
  $("notice").textContent = sentence;
  $("notice").hidden = !sentence;
}

/** From the microphone's samples at the server to the picture on this screen. */
async function showLatency(micToFrameMs) {
  const latencyMs = micToFrameMs + (await client.receiveDelayMs());
  if (client.state === "live") $("latency").textContent = `${Math.round(latencyMs)} ms`;
}

function showPose(pose) {
  for (const axis of ["yaw", "pitch", "roll"]) {
    const slider = $(axis);
    if (document.activeElement !== slider) slider.value = pose[`${axis}_deg`] ?? 0;
    $(`${axis}-value`).textContent = `${Math.round(slider.value)}°`;
  }
  for (const [axis, side] of [["yaw", "left"], ["pitch", "top"]]) {
    $("pad-dot").style[side] = `${50 + (50 * (pose[`${axis}_deg`] ?? 0)) / $(axis).max}%`;
  }
}

function countFrame(now) {
  frames.push(now);
  frames = frames.filter((time) => time > now - 2000);
  if (client.state === "live" && frames.length > 10) {
    const span = frames[frames.length - 1] - frames[0];
    $("rate").textContent = `${((1000 * (frames.length - 1)) / span).toFixed(1)} fps`;
  }
  video.requestVideoFrameCallback(countFrame);
}
video.requestVideoFrameCallback(countFrame);

async function listPresenters() {
  const response = await fetch("/api/presenters");
  const list = await response.json();
  for (const person of list) {
    const card = document.createElement("button");
    card.className = "card";
    card.type = "button";
    card.setAttribute("role", "radio");
    const picture = document.createElement("img");
    picture.src = person.thumbnail_url;
    picture.alt = "";
    const name = document.createElement("span");
    name.textContent = person.name;
    card.append(picture, name);
    card.addEventListener("click", () => choose(person, card));
    $("presenters").append(card);
    if (!presenter) choose(person, card);
  }
}

function choose(person, card) {
  if (client.state !== "idle" && client.state !== "failed") return;
  presenter = person;
  for (const other of document.querySelectorAll(".card")) other.setAttribute("aria-checked", other === card);
  $("placeholder").src = person.thumbnail_url;
  $("placeholder").alt = person.name;
}

$("start").addEventListener("click", () => client.start(presenter?.id));
$("stop").addEventListener("click", () => client.stop());
$("file").addEventListener("change", async (event) => {
  const [file] = event.target.files;
  event.target.value = ""; // the same file may be chosen again
  await client.speak(file).catch((error) => notify(error.message));
});
$("listen").addEventListener("change", (event) => { video.muted = !event.target.checked; });

const ACTIONS = {
  release: () => client.send("expression.release"),
  hush: () => client.send("speech.stop"),
  blink: () => client.send("blink.now"),
  neutral: () => client.send("neutral"),
  freeze: () => client.send("freeze", { on: $("freeze").getAttribute("aria-pressed") !== "true" }),
  left: () => client.send("pose.set", { yaw_deg: -25 }),
  ahead: () => client.send("pose.release"),
  right: () => client.send("pose.set", { yaw_deg: 25 }),
};
const BUTTONS = Object.keys(ACTIONS).map($);
for (const button of BUTTONS) button.addEventListener("click", ACTIONS[button.id]);
for (const button of document.querySelectorAll("[data-gesture]")) {
  BUTTONS.push(button);
  button.addEventListener("click", () => client.send("gesture.play", { name: button.dataset.gesture }));
}
for (const button of document.querySelectorAll("[data-expression]")) {
  BUTTONS.push(button);
  button.addEventListener("click", () => client.send("expression.set", { name: button.dataset.expression, hold_ms: HOLD_MS }));
}
const KEYS = new Map([["ArrowLeft", $("left")], ["ArrowRight", $("right")], ["ArrowUp", $("ahead")]]);
for (const button of BUTTONS) {
  const key = button.querySelector("kbd")?.textContent.toLowerCase();
  if (key) KEYS.set(key, button);
}
for (const axis of ["yaw", "pitch", "roll"]) {
  $(axis).addEventListener("input", () => {
    client.send("pose.set", { [`${axis}_deg`]: Number($(axis).value), ease_ms: 120 });
  });
}
function aim(event) {
  const box = $("pad").getBoundingClientRect();
  const across = (position, start, length) => Math.max(-1, Math.min(1, (2 * (position - start)) / length - 1));
  const pose = {
    yaw_deg: across(event.clientX, box.left, box.width) * $("yaw").max,
    pitch_deg: across(event.clientY, box.top, box.height) * $("pitch").max,
  };
  client.send("pose.set", { ...pose, ease_ms: 120 });
}
$("pad").addEventListener("pointerdown", (event) => {
  $("pad").setPointerCapture(event.pointerId);
  aim(event);
});
$("pad").addEventListener("pointermove", (event) => {
  if ($("pad").hasPointerCapture(event.pointerId)) aim(event);
});
$("pad").addEventListener("dblclick", () => client.send("pose.release"));
$("blink-rate").addEventListener("change", (event) => {
  client.send("blink.rate", { per_minute: Number(event.target.value) });
});
document.addEventListener("keydown", (event) => {
  const button = KEYS.get(event.key);
  if (!button || event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target.tagName === "INPUT") return;
  event.preventDefault();
  button.click(); // does nothing while it is disabled
});
addEventListener("pagehide", () => client.stop());

document.body.dataset.state = "idle";
for (const control of document.querySelectorAll(".controls button, .controls input")) control.disabled = true;
listPresenters().catch(() => {
  notify("The server does not answer. Start it with `make run`, then reload this page.");
});
window.flapClient = client;
