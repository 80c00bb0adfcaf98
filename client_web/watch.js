/** A page with the avatar and nothing else, for viewers and for an OBS browser source: `/watch?session=ID&background=COLOUR`. */
import { translate, word } from "./strings.js";
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

listen.addEventListener("click", () => {
  video.muted = false;
  listen.hidden = true;
});
video.addEventListener("playing", () => {
  document.body.dataset.state = "live";
  say("");
});

translate();
for (;;) {
  try {
    const session = await findSession();
    if (session) await watchSession(session, show);
    say(session ? word("show_interrupted") : word("show_not_begun"));
  } catch (error) {
    say(error instanceof TypeError ? word("server_silent") : error.message);
  }
  document.body.dataset.state = "waiting";
  await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
}
