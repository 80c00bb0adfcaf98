/** What every page of ours needs to talk WebRTC to the server. */

export const TOO_MANY = 429; // the status of those who have asked too often
const ANSWER_MS = 10_000;
const PASSING_MS = 6000; // a connection that breaks off for less mends itself

/** Throws the code `no_webrtc` where the browser has none, or keeps it back. */
export function checkWebRtc() {
  if (!("RTCPeerConnection" in window)) throw Object.assign(new Error("no WebRTC"), { code: "no_webrtc" });
}

/** A peer connection with the server's STUN and TURN servers; throws as `checkWebRtc` does. */
export function peerConnection(iceServers) {
  checkWebRtc();
  return new RTCPeerConnection({ iceServers });
}

/**
 * Makes the offer and waits until every candidate is in it, two seconds at most. Returns its SDP, and what sends the candidates that
 * come later to the connection's address once that is known (RFC 8840).
 */
export async function completeOffer(peer) {
  await peer.setLocalDescription(await peer.createOffer());
  if (peer.iceGatheringState !== "complete") {
    await new Promise((resolve) => {
      setTimeout(resolve, 2000);
      peer.addEventListener("icegatheringstatechange", () => peer.iceGatheringState === "complete" && resolve());
    });
  }
  let [late, address] = [[], null];
  const pass = () => {
    if (!address || !late.length) return;
    const body = late.map(({ sdpMid, candidate }) => `a=mid:${sdpMid}\r\na=${candidate}\r\n`).join("");
    late = [];
    const headers = { "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": "*" };
    fetch(address, { method: "PATCH", headers, body }).catch(() => {}); // it may connect without them
  };
  peer.addEventListener("icecandidate", ({ candidate }) => {
    if (candidate?.candidate) late.push(candidate);
    pass();
  });
  const trickleTo = (url) => {
    address = url;
    pass();
  };
  return { sdp: peer.localDescription.sdp, trickleTo };
}

/** The body of a JSON answer; throws the server's own sentence, its code and status, and when to try again, when it refuses. */
export async function readJson(response) {
  if (response.ok) return response.json();
  const answer = await response.json().catch(() => null); // a proxy's refusal is no JSON
  throw Object.assign(new Error(answer?.error?.message ?? `The server answered ${response.status}.`), {
    code: answer?.error?.code, status: response.status, retryAfterMs: 1000 * Number(response.headers.get("Retry-After")) || 0,
  });
}

/** What `ask` makes of a signal that ends its wait; a server that is too slow is one that does not answer: it throws what `fetch` does then. */
export async function inTime(ask, waitMs = ANSWER_MS) {
  try {
    return await ask(AbortSignal.timeout(waitMs));
  } catch (error) {
    const isLate = error.name === "TimeoutError" || error.name === "AbortError"; // WebKit's fetch forgets why
    throw isLate ? new TypeError("the server has not answered in time", { cause: error }) : error;
  }
}

/** Sends JSON and returns the body of the answer; throws as `readJson` does, and as `fetch` does when `signal` ends it. */
export async function postJson(path, body, signal) {
  return readJson(await fetch(path, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal,
  }));
}

/**
 * Watches a session by WHEP. `onStream` gets picture and voice, `onPeer` the connection, `onAnswer` is told that the server takes
 * this viewer; settles when that is over.
 */
export async function watchSession(session, onStream, onPeer = () => {}, onAnswer = () => {}) {
  const peer = peerConnection(session.ice_servers);
  onPeer(peer);
  const over = new Promise((resolve) => {
    let lost;
    peer.addEventListener("connectionstatechange", () => {
      clearTimeout(lost);
      if (["failed", "closed"].includes(peer.connectionState)) resolve();
      if (peer.connectionState === "disconnected") lost = setTimeout(resolve, PASSING_MS);
    });
  });
  try {
    const stream = new MediaStream();
    peer.addEventListener("track", (event) => {
      stream.addTrack(event.track);
      onStream(stream);
    });
    for (const kind of ["video", "audio"]) peer.addTransceiver(kind, { direction: "recvonly" });
    const { sdp: body, trickleTo } = await completeOffer(peer);
    const sdp = await inTime(async (signal) => {
      const response = await fetch(`/api/sessions/${session.id}/whep`, {
        method: "POST", headers: { "Content-Type": "application/sdp" }, body, signal,
      });
      if (!response.ok) return readJson(response);
      trickleTo(response.headers.get("Location"));
      return response.text();
    });
    onAnswer();
    await peer.setRemoteDescription({ type: "answer", sdp });
    await over;
  } finally {
    peer.close();
  }
}

/** The sessions that run now, the newest last. */
export function listSessions() {
  return inTime(async (signal) => readJson(await fetch("/api/sessions", { signal })));
}

/** The session that the address names, else the one of the id `last`, else the newest; null when there is none. */
export async function findSession(last) {
  const wanted = new URLSearchParams(location.search).get("session");
  const sessions = await listSessions();
  const found = sessions.find(({ id }) => id === (wanted ?? last));
  return found ?? (wanted ? null : sessions.at(-1) ?? null);
}

/**
 * A function from statistics to milliseconds from the server to the screen: half a round trip, jitter buffer, decoder. Its `pictures`
 * is how many the connection has decoded.
 */
export function receiveDelay() {
  let before = null; // the video's statistics when they were last read
  const delay = (statistics) => {
    const entries = [...(statistics?.values() ?? [])];
    const now = entries.find((entry) => entry.type === "inbound-rtp" && entry.kind === "video");
    delay.pictures = now?.framesDecoded ?? 0;
    if (!now?.jitterBufferEmittedCount || !now.framesDecoded) return 0;
    if (now.framesDecoded < before?.framesDecoded) before = null; // another connection counts anew
    const route = entries.find((entry) => entry.type === "candidate-pair" && entry.nominated);
    const lately = (sum, count) => (now[sum] - (before?.[sum] ?? 0)) / Math.max(1, now[count] - (before?.[count] ?? 0));
    const waitedS = lately("jitterBufferDelay", "jitterBufferEmittedCount") + lately("totalDecodeTime", "framesDecoded");
    before = now;
    return 1000 * (waitedS + (route?.currentRoundTripTime ?? 0) / 2);
  };
  delay.pictures = 0;
  return delay;
}
