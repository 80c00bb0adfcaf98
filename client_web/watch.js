/** A page with the avatar and nothing else, for viewers and for an OBS browser source: `/watch?session=ID&background=COLOUR`. */
import { completeOffer, peerConnection, readJson } from "./webrtc.js";

const RETRY_MS = 1500;
const video = document.getElementById("avatar");
const notice = document.getElementById("notice");
const listen = document.getElementById("listen");
const settings = new URLSearchParams(location.search);
const wanted = settings.get("session");
document.body.style.background = settings.get("background") ?? "transparent"; // a colour to key out, or nothing

/** The session that the address names, or the newest; null when there is none. */
async function findSession() {
  const sessions = await readJson(await fetch("/api/sessions"));
  return (wanted ? sessions.find((session) => session.id === wanted) : sessions.at(-1)) ?? null;
}

/** Watches a session by WHEP; settles when the connection is over. */
async function watch(session) {
  const peer = peerConnection(session.ice_servers);
  const over = new Promise((resolve) => {
    peer.addEventListener("connectionstatechange", () => {
      if (["failed", "closed", "disconnected"].includes(peer.connectionState)) resolve();
    });
  });
  try {
    const stream = new MediaStream();
    peer.addEventListener("track", (event) => {
      stream.addTrack(event.track);
      show(stream);
    });
    for (const kind of ["video", "audio"]) peer.addTransceiver(kind, { direction: "recvonly" });
    const response = await fetch(`/api/sessions/${session.id}/whep`, {
      method: "POST", headers: { "Content-Type": "application/sdp" }, body: await completeOffer(peer),
    });
    if (!response.ok) await readJson(response);
    await peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
    await over;
  } finally {
    peer.close();
  }
}

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
    if (session) await watch(session);
    say(session ? "The show is interrupted." : "The show has not begun.");
  } catch (error) {
    say(error instanceof TypeError ? "The server does not answer." : error.message);
  }
  document.body.dataset.state = "waiting";
  await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
}
