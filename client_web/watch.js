/** A page with the avatar and nothing else, for viewers and for an OBS browser source: `/watch?session=ID&background=COLOUR`. */
import { parse } from "./messages.js";
import { refusal, translate, word } from "./strings.js";
import { findSession, watchSession } from "./webrtc.js";

const RETRY_MS = 1500;
const video = document.getElementById("avatar");
const notice = document.getElementById("notice");
const listen = document.getElementById("listen");
const inObs = "obsstudio" in window; // what OBS gives its browser sources
// a colour to key out; OBS puts the picture over others, a browser shows it alone
document.body.style.background = new URLSearchParams(location.search).get("background") ?? (inObs ? "transparent" : "#07090d");

/** Plays with sound where the browser allows it (OBS does), otherwise silently until Listen is pressed. */
async function show(stream) {
  if (video.srcObject !== stream) video.srcObject = stream;
  try {
    await video.play();
  } catch {
    video.muted = true;
    listen.hidden = false;
    await video.play().catch(() => {});
  }
}

/** Tells viewers why they see nothing; what OBS shows goes on air, so there it stays empty. */
function say(sentence) {
  notice.textContent = sentence;
  notice.hidden = !sentence || inObs;
}

/** Hears what becomes of a session while it is watched; returns what ends that. */
function hear(session, onMessage) {
  const events = new EventSource(`/api/sessions/${session.id}/events`);
  events.addEventListener("message", (event) => onMessage(parse(event.data)));
  return () => events.close();
}

listen.addEventListener("click", () => {
  video.muted = false;
  listen.hidden = true;
});
video.addEventListener("playing", () => {
  document.body.dataset.state = "live";
  say("");
});

/** Until it is over; the picture goes with it. Returns what to say then. */
async function watch(session) {
  let [peer, over] = [null, "show_interrupted"];
  let stopHearing;
  const ended = new Promise((resolve) => {
    stopHearing = hear(session, (message) => {
      if (message.type === "draining") say(word("show_ends"));
      if (message.type !== "ended") return;
      over = message.reason === "shutdown" ? "shut_down" : "show_over";
      resolve();
    });
  });
  try {
    await Promise.race([watchSession(session, show, (made) => { peer = made; }), ended]);
  } finally {
    stopHearing();
    peer?.close();
    video.srcObject = null;
  }
  return over;
}

translate();
let idle = "show_not_begun";
for (;;) {
  try {
    const session = await findSession();
    if (session) idle = await watch(session);
    else if (idle !== "show_over") idle = "show_not_begun";
    say(word(idle));
  } catch (error) {
    say(error instanceof TypeError ? word("server_silent") : refusal(error));
  }
  document.body.dataset.state = "waiting";
  await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
}
