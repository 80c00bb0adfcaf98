"""Offers are read, and refused with a reason, before aiortc sees them."""

import asyncio

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from realtime.errors import BadRequest
from realtime.media.offer import MAX_CANDIDATES, read_offer
from tests.webrtc_client import viewer


def test_an_offer_says_what_it_wants() -> None:
    async def run() -> None:
        connection = await viewer()
        offer = read_offer(connection.localDescription.sdp)
        assert (offer.sent, offer.received) == (set(), {"video"})
        assert {"h264", "vp8"} <= offer.codecs
        await connection.close()

    asyncio.run(run())


@pytest.mark.parametrize("sdp", ["", "nonsense", "v=0\r\ns=-\r\n", "a=x" * 40_000])
def test_what_is_no_offer_is_a_bad_request(sdp: str) -> None:
    with pytest.raises(BadRequest):
        read_offer(sdp)


def test_more_candidates_than_a_peer_needs_are_refused() -> None:
    async def run() -> None:
        client = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        client.addTransceiver("video", direction="recvonly")
        await client.setLocalDescription(await client.createOffer())
        sdp = client.localDescription.sdp + "".join(
            f"a=candidate:{i} 1 udp 1 192.0.2.1 {i + 1000} typ host\r\n" for i in range(MAX_CANDIDATES + 1)
        )
        with pytest.raises(BadRequest, match="more than 64 ICE candidates"):
            read_offer(sdp)
        await client.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("find", "put", "reason"),
    [
        ("a=group:BUNDLE 0 1", "a=group:BUNDLE 7 0 1", "must name them"),
        ("a=mid:1", "a=mid:0", "must differ"),
        ("m=audio", "m=video", "more than one stream of a kind"),
    ],
)
def test_an_offer_that_aiortc_would_trip_over_is_refused_before(find: str, put: str, reason: str) -> None:
    """Found by benchmarks.fuzz: half-built connections of such offers could neither answer nor close."""

    async def run() -> None:
        client = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        for kind in ("audio", "video"):
            client.addTransceiver(kind, direction="recvonly")
        await client.setLocalDescription(await client.createOffer())
        offer = client.localDescription.sdp
        assert read_offer(offer).received == {"audio", "video"}
        with pytest.raises(BadRequest, match=reason):
            read_offer(offer.replace(find, put))
        await client.close()

    asyncio.run(run())
