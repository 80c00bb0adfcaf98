"""What realtime/media/peer.py takes from aiortc's insides is there, and offers are read before aiortc sees them."""

import asyncio
import datetime
import gc
import re
import socket
import time

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.rtcdtlstransport import RTCCertificate
from aiortc.rtp import RtcpByePacket, RtcpSenderInfo, RtcpSrPacket
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from realtime.errors import BadRequest
from realtime.media import peer as peer_module
from realtime.media.hub import Hubs
from realtime.media.peer import Peer, read_offer, stay_for_more


def rsa_certificate() -> RTCCertificate:
    """What GStreamer and others present."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
    return RTCCertificate(key, builder.sign(key, hashes.SHA256()))  # type: ignore[arg-type]


async def viewer(certificate: RTCCertificate | None = None) -> RTCPeerConnection:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    assert hasattr(connection, "_RTCPeerConnection__certificates")
    if certificate:
        connection._RTCPeerConnection__certificates = [certificate]
        certificate._create_ssl_context = RsaContext(certificate)  # type: ignore[method-assign]
    connection.addTransceiver("video", direction="recvonly")
    await connection.setLocalDescription(await connection.createOffer())
    return connection


class RsaContext:
    """The other side's own choice of ciphers."""

    def __init__(self, certificate: RTCCertificate):
        self._original = certificate._create_ssl_context

    def __call__(self, srtp_profiles):  # type: ignore[no-untyped-def]
        context = self._original(srtp_profiles)
        context.set_cipher_list(b"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256")
        return context


def test_a_peer_with_an_rsa_key_connects() -> None:
    async def run() -> None:
        connection = await viewer(rsa_certificate())
        peer = Peer((), None, Hubs.create(), on_closed=lambda: None)
        answer = await peer.answer(connection.localDescription.sdp)
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        assert await connected(peer)
        await asyncio.gather(connection.close(), peer.close())

    asyncio.run(run())


async def connected(peer: Peer, seconds: float = 5) -> bool:
    for _ in range(int(seconds / 0.05)):
        if peer.state in ("connected", "failed", "closed"):
            break
        await asyncio.sleep(0.05)
    return peer.state == "connected"


def test_stray_datagrams_do_not_end_a_connection() -> None:
    """Port scanners send empty ones."""

    async def run() -> None:
        connection, peer = await viewer(), Peer((), None, Hubs.create(), on_closed=lambda: None)
        answer = await peer.answer(connection.localDescription.sdp)
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        assert await connected(peer)
        doors = re.findall(r"a=candidate:\S+ 1 udp \d+ (\d+\.\S+) (\d+)", answer)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for address, port in doors:
                for datagram in (b"", b"\x80" * 1600, b"\x16" * 1400, b"\x80"):
                    stranger.sendto(datagram, (address, int(port)))
        await asyncio.sleep(0.3)
        assert doors and peer.state == "connected"
        await asyncio.gather(connection.close(), peer.close())

    asyncio.run(run())


def test_whoever_cannot_be_reached_may_still_reach_us() -> None:
    """A browser without leave to hear the microphone gives names that nobody else can look up, and some say that these are all."""

    async def run() -> None:
        connection, peer = await viewer(), Peer((), None, Hubs.create(), on_closed=lambda: None)
        hidden = re.sub(r"(a=candidate:\S+ 1 udp \d+) \S+", r"\1 nobody-knows.local", connection.localDescription.sdp)
        assert "nobody-knows.local" in hidden and "a=end-of-candidates" in hidden
        began_s = time.monotonic()
        answer = await peer.answer(hidden)
        assert time.monotonic() - began_s < 0.9, "nothing is looked up"
        await peer.add_candidates(
            "a=candidate:1 1 udp 2130706431 nobody-knows.local 9 typ host\r\na=end-of-candidates\r\n"
        )
        await asyncio.sleep(0.2)
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        assert await connected(peer)
        await asyncio.gather(connection.close(), peer.close())

    asyncio.run(run())


def test_a_connection_that_does_not_close_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_module, "CLOSING_S", 0.1)

    async def run() -> None:
        gone = asyncio.Event()
        peer = Peer((), None, None, on_closed=gone.set)
        monkeypatch.setattr(peer._connection, "close", asyncio.Event().wait)
        await asyncio.wait_for(peer.close(), 5)
        assert gone.is_set()

    asyncio.run(run())


def test_a_connection_that_fails_to_close_after_that_is_no_fault_that_nobody_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(peer_module, "CLOSING_S", 0.05)

    async def run() -> None:
        faults: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context))
        peer = Peer((), None, None, on_closed=lambda: None)

        async def fail() -> None:
            await asyncio.sleep(0.15)
            raise ConnectionError("half closed")

        monkeypatch.setattr(peer._connection, "close", fail)
        await peer.close()
        await asyncio.sleep(0.2)
        gc.collect()
        assert faults == []

    asyncio.run(run())


def test_a_request_for_a_key_frame_reaches_the_hub() -> None:
    """aiortc calls `_send_keyframe` on a PLI; packets have no other way to hear of it."""

    async def run() -> None:
        assert hasattr(RTCRtpSender, "_send_keyframe")
        connection, hubs = await viewer(), Hubs.create()
        peer = Peer((), None, hubs, on_closed=lambda: None)
        await peer.answer(connection.localDescription.sdp)
        hub = hubs.video["H264"]
        assert hub.take_key_frame_request(0.0)
        peer._connection.getSenders()[0]._send_keyframe()
        assert hub.take_key_frame_request(1.0)
        await asyncio.gather(connection.close(), peer.close())
        assert not hub.viewers

    asyncio.run(run())


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


def test_a_host_without_a_microphone_is_told() -> None:
    async def run() -> None:
        connection = await viewer()
        peer = Peer((), lambda samples, timestamp: None, None, on_closed=lambda: None)
        with pytest.raises(BadRequest, match="send the microphone"):
            await peer.answer(connection.localDescription.sdp)
        await asyncio.gather(connection.close(), peer.close())

    asyncio.run(run())


def test_a_peer_that_never_connects_gives_its_place_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_module, "CONNECT_S", 0.1)

    async def run() -> None:
        client, gone = RTCPeerConnection(RTCConfiguration(iceServers=[])), asyncio.Event()
        client.addTransceiver("video", direction="recvonly")
        await client.setLocalDescription(await client.createOffer())
        without = "\r\n".join(line for line in client.localDescription.sdp.splitlines() if "candidate" not in line)
        peer = Peer((), None, Hubs.create(), on_closed=gone.set)
        await peer.answer(without + "\r\n")
        await asyncio.wait_for(gone.wait(), 60)
        await client.close()

    asyncio.run(run())


def test_more_candidates_than_a_peer_needs_are_refused() -> None:
    async def run() -> None:
        client = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        client.addTransceiver("video", direction="recvonly")
        await client.setLocalDescription(await client.createOffer())
        sdp = client.localDescription.sdp + "".join(
            f"a=candidate:{i} 1 udp 1 192.0.2.1 {i + 1000} typ host\r\n" for i in range(peer_module.MAX_CANDIDATES + 1)
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


async def offer_of(*kinds: str, direction: str = "recvonly") -> tuple[RTCPeerConnection, str]:
    client = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    for kind in kinds:
        client.addTransceiver(kind, direction=direction)
    await client.setLocalDescription(await client.createOffer())
    return client, client.localDescription.sdp


async def answered(sdp: str) -> str:
    """The answer to one who watches."""
    peer = Peer((), None, Hubs.create(), on_closed=lambda: None)
    try:
        return await peer.answer(sdp)
    finally:
        await peer.close()


def test_media_that_a_bundle_names_and_the_offer_has_not_are_no_hindrance() -> None:
    """FFmpeg's WHIP muxer names both when it sends sound alone."""

    async def run() -> None:
        client, sdp = await offer_of("audio")
        assert "m=audio" in await answered(sdp.replace("a=group:BUNDLE 0", "a=group:BUNDLE 0 1"))
        await client.close()

    asyncio.run(run())


def test_h264_in_a_form_that_we_do_not_send_gives_way_to_vp8() -> None:
    """GStreamer's whepclientsrc offers single NAL units beside VP8."""

    async def run() -> None:
        client, sdp = await offer_of("video")
        answer = await answered(re.sub("packetization-mode=1", "packetization-mode=0", sdp))
        assert "VP8/90000" in answer and "H264" not in answer
        await client.close()

    asyncio.run(run())


def test_media_without_a_direction_go_both_ways() -> None:
    async def run() -> None:
        client, sdp = await offer_of("audio", "video")
        answer = await answered(sdp.replace("a=recvonly\r\n", "", 1))
        assert answer.count("a=sendonly") == answer.count("a=sendrecv") == 1
        await client.close()

    asyncio.run(run())


def test_a_host_without_opus_is_told() -> None:
    async def run() -> None:
        client, sdp = await offer_of("audio", direction="sendonly")
        peer = Peer((), lambda samples, timestamp: None, None, on_closed=lambda: None)
        with pytest.raises(BadRequest, match="send Opus"):
            await peer.answer(sdp.replace("opus/48000/2", "speex/16000"))
        await asyncio.gather(client.close(), peer.close())

    asyncio.run(run())


def test_a_host_who_says_bye_and_goes_on_is_heard_all_the_same() -> None:
    async def run() -> None:
        connection = RTCPeerConnection()
        receiver, handled = connection.addTransceiver("audio").receiver, []

        async def handle(packet: object) -> None:
            handled.append(packet)

        receiver._handle_rtcp_packet = handle
        stay_for_more(receiver)
        for packet in (RtcpByePacket([1]), RtcpSrPacket(1, RtcpSenderInfo(0, 0, 0, 0))):
            await receiver._handle_rtcp_packet(packet)
        assert len(handled) == 1 and isinstance(handled[0], RtcpSrPacket)
        await connection.close()

    asyncio.run(run())
