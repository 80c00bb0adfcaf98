/** The operator's page: directs a session that somebody else hosts, without a microphone. */
import { Awake } from "./awake.js";
import { DeskClient } from "./desk.js";
import { element, worded } from "./dom.js";
import { Health } from "./health.js";
import { Notice } from "./notice.js";
import { Panel } from "./panel.js";
import { play } from "./playing.js";
import { Presenters } from "./presenters.js";
import { farewell, refusal, switchLanguage, translate, welcome, word } from "./strings.js";
import { readJson } from "./webrtc.js";

const $ = (id) => document.getElementById(id);
const settings = new URLSearchParams(location.search);
const video = $("avatar");
const notice = new Notice($("notice"));
const health = new Health($("health"), video);
const awake = new Awake();

const client = new DeskClient({
  onState(state, why) {
    document.body.dataset.state = state;
    health.become(state);
    if (state === "waiting" || state === "failed") notice.keep("");
    $("waiting").dataset.word = state === "starting" ? "starting" : "waiting_for_show";
    translate($("stage"));
    if (!why) return;
    delete $("waiting").dataset.word;
    $("waiting").textContent = why;
  },
  onDirects(on) {
    panel.enable(on);
    presenters.enable(on);
    awake.keep(client.sessionId !== null);
    $("end-show").disabled = client.sessionId === null;
    if (!on) $("hush").hidden = true;
    if (!client.sessionId) showHost(true);
  },
  async onMessage(message) {
    panel.hear(message);
    if (message.type === "stats") health.show(message, await client.receiveDelayMs(), client.pictures);
    else if (message.type === "state") showState(message);
    else if (message.type === "catalog") await presenters.follow(message.presenters);
    else if (message.type === "draining") notice.keep(farewell(message));
  },
  onStream(stream) {
    if (video.srcObject !== stream) video.srcObject = stream;
    play(video);
  },
  onSessions: showSessions,
}, { session: settings.get("session"), name: settings.get("name") ?? "" });
const panel = new Panel($("panel"), (type, fields) => client.send(type, fields), (sentence) => notice.flash(sentence),
  () => client.sessionId, (id) => presenters.nameOf(id));
const presenters = new Presenters($("presenters"), (presenter) => client.send("presenter.set", { presenter: presenter.id }),
  (presenter) => notice.flash(welcome(presenter)));

function showState({ presenter, host_connected: isHosted, speech }) {
  presenters.show(presenter);
  $("hush").hidden = !speech;
  showHost(isHosted);
}

/** A screen reader speaks what is written, not what is shown. */
function showHost(isHosted) {
  if (isHosted) {
    delete $("no-host").dataset.word;
    $("no-host").textContent = "";
  } else $("no-host").dataset.word = "without_host";
  translate(document.querySelector("header"));
}

async function endShow() {
  const id = client.sessionId;
  if (!id || !confirm(word("end_show_sure"))) return;
  try {
    const answer = await fetch(`/api/sessions/${id}`, { method: "DELETE" });
    if (!answer.ok && answer.status !== 404) await readJson(answer);
  } catch (error) {
    notice.flash(refusal(error));
  }
}

let listed = "";
function showSessions(sessions, chosen) {
  const now = JSON.stringify([sessions.map(({ id, presenter, host_connected }) => [id, presenter, host_connected]), chosen]);
  if (now === listed) return; // a list that is open must not change under the hand
  listed = now;
  const options = sessions.map(({ id, presenter, host_connected }) => element("option", { value: id, selected: id === chosen },
    [presenters.nameOf(presenter), id.slice(0, 4), host_connected ? null : word("without_host")].filter(Boolean).join(" · ")));
  if (!options.length) options.push(worded("option", "no_sessions"));
  else if (!options.some((option) => option.selected)) options.unshift(worded("option", "choose_session", { value: "", selected: true, disabled: true }));
  $("sessions").replaceChildren(...options);
  $("sessions").disabled = !sessions.length;
  translate($("sessions"));
}

$("sessions").addEventListener("change", (event) => client.choose(event.target.value));
$("end-show").addEventListener("click", endShow);
$("hush").addEventListener("click", () => client.send("speech.stop"));
$("listen").addEventListener("change", (event) => {
  video.muted = !event.target.checked;
  if (video.srcObject) play(video);
});
$("language").addEventListener("click", switchLanguage);
addEventListener("pageshow", ({ persisted }) => persisted && location.reload()); // its connections are not alive
translate();
presenters.enable(false); // until there is a show
presenters.load().then(() => { listed = ""; }).catch((error) => notice.flash(refusal(error)));
client.run();
window.flapClient = client;
