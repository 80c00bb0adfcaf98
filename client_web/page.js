/** The host's page: microphone in, avatar out, and the operator's panel beside it. */
import { AvatarClient } from "./avatar.js";
import { Awake } from "./awake.js";
import { Health } from "./health.js";
import { KeptShow } from "./kept_show.js";
import { MicrophonePart } from "./microphone.js";
import { Notice } from "./notice.js";
import { Panel } from "./panel.js";
import { play } from "./playing.js";
import { Presenters } from "./presenters.js";
import { farewell, refusal, remarksOf, switchLanguage, translate, welcome, word } from "./strings.js";

const $ = (id) => document.getElementById(id);
const video = $("avatar");
const notice = new Notice($("notice"));
const health = new Health($("health"), video);
const awake = new Awake();
const kept = new KeptShow();

const ON_AIR = ["live", "reconnecting"]; // viewers see the avatar of this page, and commands reach it
const LEFT = ["idle", "stopping", "still_on_air", "failed"]; // the host has gone from it, though it may still run
let isSending = false; // a file that is to be spoken
let parting = ""; // what is said as long as the server is shutting down

const client = new AvatarClient({
  onState(state, detail) {
    document.body.dataset.state = state;
    health.become(state);
    awake.keep(ON_AIR.includes(state));
    kept.keep(client.sessionId, client.isTaken);
    if (!ON_AIR.includes(state)) parting = "";
    notice.keep([parting, detail].filter(Boolean).join(" "));
    const stopped = state === "idle" || state === "failed";
    const isPressed = [$("start"), $("stop")].includes(document.activeElement);
    $("start").disabled = !stopped;
    $("stop").disabled = stopped || state === "stopping";
    $("start").hidden = !stopped;
    $("stop").hidden = stopped;
    if (isPressed && (state === "starting" || state === "stopping")) $("stage").focus({ preventScroll: true }); // not the other button: Enter may still be down
    showFile();
    $("placeholder").hidden = state === "live" && video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
    invite(state === "starting" ? "invite_allow" : "invite_idle");
    if (!ON_AIR.includes(state)) $("hush").hidden = true;
    $("viewer-page").href = client.sessionId ? `/watch?session=${client.sessionId}` : "/watch";
    $("operator-page").href = client.sessionId ? `/operator?session=${client.sessionId}` : "/operator";
    panel.enable(ON_AIR.includes(state) && client.directs);
    presenters.enable(ON_AIR.includes(state) ? client.directs : stopped);
    // who has pressed Stop hears the server no more
    if (stopped && !client.sessionId) panel.hear({ type: "ended", reason: client.isTaken ? "taken" : "over" });
  },
  async onMessage(message) {
    if (message.type !== "ended") panel.hear(message); // that follows with the state
    if (message.type === "stats") health.show(message, await client.receiveDelayMs(), client.pictures);
    else if (message.type === "catalog") await presenters.follow(message.presenters);
    else if (message.type === "draining") notice.keep(parting = farewell(message));
    if (message.type !== "state") return;
    presenters.show(message.presenter);
    showPlaceholder();
    $("hush").hidden = !message.speech;
  },
  onAside: (sentence) => notice.flash(sentence),
  onMicrophone(stream) {
    microphone.show(stream);
    if (stream && client.state === "starting") invite("invite_connecting");
  },
  onStream(stream) {
    if (video.srcObject !== stream) video.srcObject = stream;
    play(video);
  },
});
const panel = new Panel($("panel"), (type, fields) => client.send(type, fields), (sentence) => notice.flash(sentence),
  () => (LEFT.includes(client.state) ? null : client.sessionId), (id) => presenters.nameOf(id));
const microphone = new MicrophonePart($("microphone"), () => client.heard(), (only) => client.changeMicrophone(only),
  (sentence) => notice.flash(sentence), (sentence) => notice.keep(sentence, "microphone"));
const presenters = new Presenters($("presenters"), choose, (presenter) => {
  const isOnAir = ON_AIR.includes(client.state);
  if (!isOnAir) choose(presenter); // what is on air changes by a press alone
  if (isOnAir || presenter.remarks?.length) notice.flash(isOnAir ? welcome(presenter) : remarksOf(presenter));
}, () => {
  if (!presenters.chosen && !ON_AIR.includes(client.state)) choose(presenters.first); // one who is on air stays there
});

function choose(presenter) {
  if (ON_AIR.includes(client.state)) return void client.send("presenter.set", { presenter: presenter.id });
  if (client.state !== "idle" && client.state !== "failed") return;
  presenters.show(presenter.id);
  showPlaceholder();
}

/** A file is sent for up to a minute; chosen once more meanwhile it would be spoken twice. */
function showFile() {
  $("file").disabled = isSending || client.state !== "live";
  $("file").previousElementSibling.dataset.word = isSending ? "file_sending" : "speak_file";
  translate($("file").parentElement);
}

/** Who may not direct is not told when a file ends. */
function showHush(on) {
  if (!client.directs) $("hush").hidden = !on;
}

function invite(key) {
  $("invitation").dataset.word = key;
  translate($("stage"));
}

function showPlaceholder() {
  const chosen = presenters.chosen;
  if (!chosen) return;
  $("placeholder").src = chosen.thumbnail_url;
  $("placeholder").alt = chosen.name;
}

/** A show that this browser hosted when it died. */
async function lookForKeptShow() {
  const isIdle = () => (client.state === "idle" || client.state === "failed") && !client.sessionId;
  const session = await kept.left(() => notice.keep(isIdle() ? word("show_hosted") : "", "kept"));
  notice.keep("", "kept");
  if (!session || !isIdle()) return;
  presenters.show(session.presenter);
  showPlaceholder();
  client.goOnWith(session);
}

video.addEventListener("playing", () => { $("placeholder").hidden = true; });
$("start").addEventListener("click", () => client.start(presenters.chosen?.id));
$("stop").addEventListener("click", () => {
  if (!ON_AIR.includes(client.state) || confirm(word("stop_sure"))) client.stop();
});
$("hush").addEventListener("click", () => client.hush().then(() => showHush(false), (error) => notice.flash(refusal(error))));
$("file").addEventListener("change", async (event) => {
  const [file] = event.target.files;
  event.target.value = ""; // the same file may be chosen again
  isSending = true;
  showFile();
  await client.speak(file).then(() => showHush(true), (error) => notice.flash(refusal(error)));
  isSending = false;
  showFile();
});
$("listen").addEventListener("change", (event) => {
  video.muted = !event.target.checked;
  if (video.srcObject) play(video);
});
$("language").addEventListener("click", switchLanguage);
let isAsked = false; // whether the show is to end with its page; telephones go back a page by a swipe, and ask nobody
addEventListener("beforeunload", (event) => {
  isAsked = true;
  if (ON_AIR.includes(client.state)) event.preventDefault();
});
addEventListener("pagehide", () => (isAsked || !ON_AIR.includes(client.state) ? client.stop() : client.leave()));
addEventListener("pageshow", ({ persisted }) => persisted && location.reload()); // its connections are not alive

translate();
document.body.dataset.state = "idle";
health.become("idle");
presenters.load().then(showPlaceholder, (error) => notice.keep(refusal(error)));
lookForKeptShow();
window.flapClient = client;
