"""A peer is answered, connected and let go, whatever the other side is."""

import asyncio
import datetime
import gc
import re
import time

import pytest
from aioice import ice
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.rtcdtlstransport import RTCCertificate
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from realtime.errors import BadRequest, NotFound, Unavailable
from realtime.media import peer as peer_module
from realtime.media.hub import Hubs
from realtime.media.peer import OfferingPeer, Peer
from tests.webrtc_client import connected, offer_of, viewer


def rsa_certificate() -> RTCCertificate:
    """What GStreamer and others present."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
    certificate = RTCCertificate(key, builder.sign(key, hashes.SHA256()))  # type: ignore[arg-type]
    certificate._create_ssl_context = RsaContext(certificate)  # type: ignore[method-assign]
    return certificate


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


def test_a_host_is_answered_with_opus_alone_whatever_it_would_rather_send() -> None:
    """An answer that names PCMU first gets PCMU, which is not heard."""

    async def run() -> None:
        client, sdp = await offer_of("audio", direction="sendonly")
        kinds = dict(re.findall(r"a=rtpmap:(\d+) (\w+)/", sdp))
        (opus,) = (number for number, name in kinds.items() if name == "opus")
        (pcmu,) = (number for number, name in kinds.items() if name == "PCMU")
        turned = re.sub(r"(m=audio \d+ \S+) .*", rf"\1 {pcmu} {opus}", sdp)
        peer = Peer((), lambda samples, timestamp: None, None, on_closed=lambda: None)
        answer = await peer.answer(turned)
        assert re.findall(r"a=rtpmap:\d+ (\w+)/", answer) == ["opus"]
        assert "a=recvonly" in answer
        await asyncio.gather(client.close(), peer.close())

    asyncio.run(run())


def test_whoever_joins_a_session_that_ends_meanwhile_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        client, sdp = await offer_of("video")
        peer = Peer((), None, Hubs.create(), on_closed=lambda: None)
        gather = peer._connection.setLocalDescription

        async def gather_while_the_session_ends(description: RTCSessionDescription) -> None:
            await gather(description)
            await peer.close()

        monkeypatch.setattr(peer._connection, "setLocalDescription", gather_while_the_session_ends)
        with pytest.raises(NotFound, match="session has ended"):
            await peer.answer(sdp)
        await client.close()

    asyncio.run(run())


def test_whoever_closes_a_peer_second_waits_until_its_place_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        free: list[bool] = []
        peer = Peer((), None, Hubs.create(), on_closed=lambda: free.append(True))
        close = peer._connection.close

        async def close_slowly() -> None:
            await asyncio.sleep(0.2)
            await close()

        monkeypatch.setattr(peer._connection, "close", close_slowly)
        first = asyncio.create_task(peer.close())
        await asyncio.sleep(0)
        await peer.close()
        assert free == [True]
        await first

    asyncio.run(run())


def test_an_offer_that_is_given_up_is_gathered_to_its_end_before_it_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a TURN server gives afterwards would be kept for good."""

    async def run() -> None:
        done: list[str] = []
        peer = OfferingPeer((), Hubs.create())
        gather, close = peer._connection.setLocalDescription, peer._connection.close

        async def gather_slowly(description: RTCSessionDescription) -> None:
            await asyncio.sleep(0.2)
            await gather(description)
            done.append("gathered")

        async def note_the_end() -> None:
            done.append("closed")
            await close()

        monkeypatch.setattr(peer._connection, "setLocalDescription", gather_slowly)
        monkeypatch.setattr(peer._connection, "close", note_the_end)
        offering = asyncio.create_task(peer.offer())
        await asyncio.sleep(0.05)
        offering.cancel()
        await asyncio.gather(offering, return_exceptions=True)
        await peer.close()
        assert done == ["gathered", "closed"]

    asyncio.run(run())


def test_a_machine_without_a_network_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ice.ifaddr, "get_adapters", lambda: [])

    async def run() -> None:
        sdp = (await viewer()).localDescription.sdp
        peer = Peer((), None, Hubs.create(), on_closed=lambda: None)
        with pytest.raises(Unavailable, match="no network address"):
            await peer.answer(sdp)

    asyncio.run(run())
