/** A page with the avatar and nothing else, for viewers and for an OBS browser source: `/watch?session=ID&background=COLOUR`. */
import { findSession, watchSession } from "./webrtc.js";

const RETRY_MS = 1500;
const video = document.getElementById("avatar");
const notice = document.getElementById("notice");
const listen = document.getElementById("listen");
// a colour to key out, or nothing
document.body.style.background = new URLSearchParams(location.search).get("background") ?? "transparent";

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

function say(sentence) {
  notice.textContent = sentence;
  notice.hidden = !sentence;
}

listen.addEventListener("click", () => {
  video.muted = false;
  listen.hidden = true;
});
video.addEventListener("playing", () => {
  document.body.dataset.state = "live";
  say("");
});

for (;;) {
  try {
    const session = await findSession();
    if (session) await watchSession(session, show);
    say(session ? "The show is interrupted." : "The show has not begun.");
  } catch (error) {
    say(error instanceof TypeError ? "The server does not answer." : error.message);
  }
  document.body.dataset.state = "waiting";
  await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
}
