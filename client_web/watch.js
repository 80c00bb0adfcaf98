/** A page with the avatar and nothing else, for viewers and for an OBS browser source: `/watch?session=ID&background=COLOUR`. */
import { parse } from "./messages.js";
import { play } from "./playing.js";
import { Backoff, sleep } from "./retry.js";
import { refusal, translate, word } from "./strings.js";
import { findSession, watchSession } from "./webrtc.js";

const RETRY_MS = 1500;
const IDLE_AFTER_LOOKS = 40; // in vain, a minute
const IDLE_MS = 4500; // with the answer's way a show that begins is seen within five seconds
const LONGEST_RETRY_MS = 30_000; // while the server refuses
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
  } catch (error) {
    if (error.name !== "NotAllowedError") return; // it has broken before its first picture; the next one is heard
    video.muted = true;
    listen.hidden = inObs;
    await play(video); // a telephone that saves its battery refuses that too
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
  if (video.srcObject) play(video);
});
video.addEventListener("playing", () => {
  document.body.dataset.state = "live";
  say("");
});

let watched = null; // the id of the session that was seen last, until it has ended

/** Until it is over; the picture goes with it. Returns what to say then. */
async function watch(session) {
  let [peer, over] = [null, "show_unseen"];
  let stopHearing = () => {};
  let end;
  const ended = new Promise((resolve) => { end = resolve; });
  const listenForTheEnd = () => {
    stopHearing = hear(session, (message) => {
      if (message.type === "draining") say(word("show_ends"));
      if (message.type !== "ended") return;
      watched = null;
      over = message.reason === "shutdown" ? "shut_down" : "show_over";
      end();
    });
  };
  const accept = (made) => {
    peer = made;
    peer.addEventListener("connectionstatechange", () => {
      if (peer.connectionState !== "connected" || over !== "show_unseen") return;
      over = "show_interrupted";
      watched = session.id;
    });
  };
  try {
    // one who is refused costs the server no stream of events
    await Promise.race([watchSession(session, show, accept, listenForTheEnd), ended]);
  } finally {
    stopHearing();
    peer?.close();
    video.srcObject = null;
  }
  return over;
}

addEventListener("pageshow", ({ persisted }) => persisted && location.reload()); // its connections are not alive
translate();
const refused = new Backoff(RETRY_MS, LONGEST_RETRY_MS);
const notThere = new URLSearchParams(location.search).has("session") ? "show_over" : "show_not_begun"; // a show's id is new with it
let idle = notThere;
let looksInVain = 0;
for (;;) {
  let pause = () => sleep(looksInVain < IDLE_AFTER_LOOKS ? RETRY_MS : IDLE_MS);
  try {
    const session = await findSession(watched);
    looksInVain = session ? 0 : looksInVain + 1;
    if (session && idle === notThere) say(word("starting"));
    if (session) idle = await watch(session);
    else if (idle !== "show_over") idle = notThere;
    say(word(idle));
    refused.reset();
  } catch (error) {
    say(error instanceof TypeError ? word("server_silent") : refusal(error));
    if (error.status && error.status !== 404) pause = () => refused.wait(error); // 404: it has just ended, the next may have begun
  }
  document.body.dataset.state = "waiting";
  await pause();
}
