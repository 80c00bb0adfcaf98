"""The pages in Firefox: a host, a viewer beside it, and an operator who directs what both of them see."""

import time
from pathlib import Path

import pytest

from tests.browser_probe import serving
from tests.fakes import face_column, mouth_opening
from tests.firefox import firefox_page, needs_firefox
from tests.operator_page import FAKE, sessions

pytestmark = [pytest.mark.slow, needs_firefox]
LIVE = "document.body.dataset.state === 'live'"
SHOWN = "document.getElementById('avatar').readyState >= 2"
KEEP_PEERS = """() => {
  const Peer = window.RTCPeerConnection;
  window.peers = [];
  window.RTCPeerConnection = class extends Peer { constructor(...given) { super(...given); window.peers.push(this); } };
}"""
RECEIVED = """(async () => {
  const all = [];
  for (const peer of window.peers) (await peer.getStats()).forEach((entry) => all.push(entry));
  return Object.fromEntries(all.filter(({ type }) => type === "inbound-rtp").map(
    ({ kind, framesDecoded, packetsReceived }) => [kind, { framesDecoded, packetsReceived }]));
})()"""


def test_a_host_speaks_a_viewer_watches_and_an_operator_turns_the_head(tmp_path: Path) -> None:
    with (
        serving(FAKE, tmp_path / "server.log") as address,
        firefox_page(tmp_path / "host") as host,
        firefox_page(tmp_path / "guest") as guest,
    ):
        host.before_scripts(KEEP_PEERS)
        host.goto(f"{address}/?lang=en")
        host.click(".card")
        host.click("#start")
        host.until(LIVE)
        assert sessions(address)[0]["host_connected"]
        host.until(SHOWN)
        assert face_column(host.picture()) > 0
        # it hears the tone of Firefox's own microphone
        assert max(mouth_opening(host.picture()) for _ in range(20)) > 10

        guest.goto(f"{address}/watch?lang=en")
        guest.until(LIVE)
        assert guest.evaluate("document.getElementById('avatar').muted")  # Firefox lets nothing sound unasked
        guest.click("#listen")
        guest.until("!document.getElementById('avatar').muted && !document.getElementById('avatar').paused")
        assert abs(face_column(guest.picture()) - face_column(host.picture())) < 8

        guest.goto(f"{address}/operator?lang=en")
        guest.until(LIVE)
        straight = face_column(host.picture())
        guest.click("#right")
        for page in (host, guest):
            until_s = time.monotonic() + 10
            while not face_column(page.picture()) >= straight + 20:  # of an empty picture it is no number
                assert time.monotonic() < until_s, "the head never turned"
        assert host.complaints == [] and guest.complaints == []

        host.until(f"{RECEIVED}.then(({{ video, audio }}) => video.framesDecoded > 100 && audio.packetsReceived > 100)")
        host.evaluate("void (window.confirm = () => true)")
        host.click("#stop")
        host.until("document.body.dataset.state === 'idle'")
