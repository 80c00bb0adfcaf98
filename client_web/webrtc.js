/** What every page of ours needs to talk WebRTC to the server. */

/** A peer connection with the server's STUN and TURN addresses. */
export function peerConnection(iceServers) {
  return new RTCPeerConnection({ iceServers: iceServers.map((urls) => ({ urls })) });
}

/** Makes the offer and waits until every candidate is in it, two seconds at most; returns its SDP. */
export async function completeOffer(peer) {
  await peer.setLocalDescription(await peer.createOffer());
  if (peer.iceGatheringState !== "complete") {
    await new Promise((resolve) => {
      setTimeout(resolve, 2000);
      peer.addEventListener("icegatheringstatechange", () => peer.iceGatheringState === "complete" && resolve());
    });
  }
  return peer.localDescription.sdp;
}

/** The body of a JSON answer; throws the server's own sentence when it refuses. */
export async function readJson(response) {
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error?.message ?? `The server answered ${response.status}.`);
  return answer;
}
