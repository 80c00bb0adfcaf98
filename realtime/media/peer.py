"""The only file that knows aiortc's peer connections: a host's microphone in, the avatar out to viewers and to other servers."""

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np
from aioice.ice import get_host_addresses
from aiortc import (
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtcdtlstransport import RTCCertificate, SRTPProtectionProfile
from aiortc.sdp import candidate_from_sdp
from numpy.typing import NDArray
from OpenSSL import SSL

from flap.config import MEDIA_RATE_HZ
from realtime.errors import BadRequest, NotFound, Unavailable, Unprocessable
from realtime.media import mends, packing, repair
from realtime.media.encoder import WEBRTC_CODECS
from realtime.media.hub import Hub, Hubs, HubTrack
from realtime.media.ice import IceServer
from realtime.media.offer import MAX_CANDIDATES, NO_HELP, Offer, patient, read_offer
from realtime.sound import jitter_buffer

# RSA is what GStreamer and others present; aiortc by itself shares no cipher with them
DTLS_CIPHERS = b":".join(
    b"ECDHE-%s-%s" % (key, cipher)
    for key in (b"ECDSA", b"RSA")
    for cipher in (b"AES128-GCM-SHA256", b"CHACHA20-POLY1305", b"AES256-GCM-SHA384")
)
SDP_LINE = re.compile(r"[a-z]=")
CONNECT_S = 20.0  # whoever has not connected by then gives the place back
CLOSING_S = 2.0  # nobody waits longer for a TURN server that has gone
Hear = Callable[[NDArray[np.int16], int], None]  # mono sound at 48 kHz and its RTP timestamp
logger = logging.getLogger(__name__)
_CLOSING: set[asyncio.Task[None]] = set()  # which would else be forgotten


class Certificate(RTCCertificate):
    """aiortc's certificate, which also talks to peers whose key is RSA."""

    def _create_ssl_context(self, srtp_profiles: list[SRTPProtectionProfile]) -> SSL.Context:
        context = super()._create_ssl_context(srtp_profiles)
        context.set_cipher_list(DTLS_CIPHERS)
        return context


async def close_connection(connection: RTCPeerConnection, gathering: asyncio.Task[None] | None = None) -> None:
    """Waits CLOSING_S at most; what is left to do goes on by itself, since aiortc cannot close what it has closed in part.

    `gathering` is waited for first: what a TURN server gives afterwards would be kept for good.
    """

    async def close() -> None:
        if gathering:
            await asyncio.gather(gathering, return_exceptions=True)
        await connection.close()

    closing = asyncio.create_task(close(), name="close connection")
    _CLOSING.add(closing)
    closing.add_done_callback(_closed)
    if closing in (await asyncio.wait((closing,), timeout=CLOSING_S))[0]:
        closing.result()


def _closed(closing: asyncio.Task[None]) -> None:
    _CLOSING.discard(closing)
    if not closing.cancelled() and (error := closing.exception()):  # nobody may wait for it any more
        logger.warning("a connection did not close: %r", error)


def new_connection(ice_servers: Sequence[IceServer]) -> RTCPeerConnection:
    mends.mend()
    servers = [RTCIceServer(s.urls, s.username, s.credential) for s in ice_servers]
    connection = RTCPeerConnection(RTCConfiguration(iceServers=servers))
    connection._RTCPeerConnection__certificates = [Certificate.generateCertificate()]
    return connection


def send_hub(connection: RTCPeerConnection, hub: Hub, codec: str, at_once: bool = True) -> HubTrack:
    """Adds a hub's packets, which are in `codec`, to what a connection sends; not `at_once` when it may never connect."""
    track = hub.subscribe(at_once)
    sender = connection.addTrack(track)
    # aiortc filters codecs while it reads an offer, so the choice has to stand before
    transceiver = next(t for t in connection.getTransceivers() if t.sender is sender)
    offered = RTCRtpSender.getCapabilities(hub.kind).codecs
    transceiver.setCodecPreferences(
        [c for c in offered if c.mimeType.lower() in (f"{hub.kind}/{codec}".lower(), f"{hub.kind}/rtx")]
    )
    # packets bypass aiortc's encoder, which would have got the request
    sender._send_keyframe = lambda: hub.viewer_asks(track, time.monotonic())
    packing.install(sender, hub.packer(f"{hub.kind}/{codec}"))
    if hub.kind == "video":
        repair.install(sender, hub.count_repeated)
        repair.hear_reports(sender, lambda share: hub.viewer_loses(track, share, time.monotonic()))
    else:
        repair.refuse(sender)
    return track


class Peer:
    """One browser or player: `microphone` hears it, `hubs` send it the avatar; either may be None."""

    def __init__(
        self,
        ice_servers: Sequence[IceServer],
        microphone: Hear | None,
        hubs: Hubs | None,
        on_closed: Callable[[], None],
    ):
        self._connection = new_connection(ice_servers)
        self._microphone, self._hubs, self._on_closed = microphone, hubs, on_closed
        self._tracks: list[HubTrack] = []
        self._listening: asyncio.Task[None] | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._candidates = 0
        self._closed, self._gone = False, asyncio.Event()
        self.is_host, self.sends_avatar = microphone is not None, hubs is not None
        self.entity_tag = f'"{secrets.token_urlsafe(6)}"'  # of its ICE session, which stays the same (RFC 9725, 4.3)
        self._connection.on("connectionstatechange", self._state_changed)
        self._connection.on("track", self._track_came)

    @property
    def state(self) -> str:
        return self._connection.connectionState

    async def answer(self, offer_sdp: str) -> str:
        """SDP answer with every candidate.

        Raises BadRequest for an SDP that cannot be read or has nothing for us, NotFound when it is closed meanwhile.
        """
        offer = read_offer(offer_sdp)
        if self.is_host and "audio" not in offer.sent:
            raise BadRequest("the offer sends no audio: send the microphone")
        if self.is_host and "opus" not in offer.codecs:
            raise BadRequest("the offer's audio is not Opus: send Opus")
        if self.sends_avatar and not offer.received:
            raise BadRequest("the offer receives neither audio nor video: ask for the avatar with a=recvonly")
        try:
            if self._hubs:
                self._send(self._hubs, offer)
            if self.is_host and "audio" not in self._kinds():
                self._ask_for_opus()
            await self._connection.setRemoteDescription(RTCSessionDescription(patient(offer_sdp), "offer"))
            mends.ignore_data(self._connection)
            await self._connection.setLocalDescription(await self._connection.createAnswer())
        except Exception as error:  # aiortc raises whatever its parser trips over
            if not self._closed:
                with suppress(Exception):  # and again when it closes what it has half built
                    await self.close()
                raise BadRequest(f"the SDP offer cannot be answered: {error}") from error
        if self._closed:  # meanwhile; aiortc does not look, and keeps what it has got of a TURN server since
            for transceiver in self._connection.getTransceivers():
                await transceiver.receiver.transport.transport._connection.close()
            raise NotFound("this session has ended")
        answer: str = self._connection.localDescription.sdp
        if "a=candidate:" not in answer:
            await self.close()
            if not get_host_addresses(use_ipv4=True, use_ipv6=True):
                raise Unavailable("this machine has no network address to send pictures from: connect it to a network")
            raise Unavailable("this server has no free UDP port for another connection: try again later")
        self._connecting = asyncio.create_task(self._expect(), name="connect")
        return answer

    async def _expect(self) -> None:
        await asyncio.sleep(CONNECT_S)
        if self.state != "connected":
            await self.close()

    def _send(self, hubs: Hubs, offer: Offer) -> None:
        if "video" in offer.received:
            codec = next((codec for codec in WEBRTC_CODECS if codec.lower() in offer.codecs), None)
            if codec is None:
                raise BadRequest(f"the offer has no {' or '.join(WEBRTC_CODECS)} video")
            self._tracks.append(send_hub(self._connection, hubs.video[codec], codec))
        if "audio" in offer.received:
            self._tracks.append(send_hub(self._connection, hubs.sound["opus"], "opus"))

    def _kinds(self) -> set[str]:
        return {transceiver.kind for transceiver in self._connection.getTransceivers()}

    def _ask_for_opus(self) -> None:
        """The answer names Opus alone, whatever the offer would rather send."""
        heard = self._connection.addTransceiver("audio", direction="recvonly")
        known = RTCRtpReceiver.getCapabilities("audio").codecs
        heard.setCodecPreferences([codec for codec in known if codec.mimeType.lower() == "audio/opus"])

    async def add_candidates(self, fragment: str) -> None:
        """Trickled candidates of a `application/trickle-ice-sdpfrag` (RFC 8840).

        Raises BadRequest when it is none, Unprocessable for an ICE restart.
        """
        middle = None
        for line in filter(None, map(str.strip, fragment.splitlines())):
            if not SDP_LINE.match(line):
                raise BadRequest(f"not an SDP fragment: {line[:80]}")
            name, _, value = line.partition(":")
            if name == "a=ice-ufrag" and value not in self._offered_fragments():
                raise Unprocessable("ICE restart is not supported: delete this connection and make a new one")
            elif name == "a=mid":
                middle = value
            elif name == "a=candidate" and not NO_HELP.match(line):
                await self._add_candidate(value, middle)

    def _offered_fragments(self) -> list[str]:
        return re.findall(r"^a=ice-ufrag:(\S+)", self._connection.remoteDescription.sdp, re.MULTILINE)

    async def _add_candidate(self, value: str, middle: str | None) -> None:
        try:
            candidate = candidate_from_sdp(value)
        except (ValueError, AssertionError, IndexError) as error:
            raise BadRequest(f"not an ICE candidate: {value[:80]}") from error
        self._candidates += 1
        if self._candidates > MAX_CANDIDATES:
            raise BadRequest(f"more than {MAX_CANDIDATES} ICE candidates")
        candidate.sdpMid = middle
        candidate.sdpMLineIndex = 0 if middle is None else None
        await self._connection.addIceCandidate(candidate)

    def _track_came(self, track: MediaStreamTrack) -> None:
        receiver = next(r for r in self._connection.getReceivers() if r.track is track)
        if track.kind == "audio" and self._microphone:
            jitter_buffer.install(receiver)
            mends.stay_for_more(receiver)
            mends.hear_few_streams(receiver)
            self._listening = asyncio.create_task(self._listen(track, self._microphone), name="listen")
        else:
            mends.ignore_media(receiver)

    async def _listen(self, track: MediaStreamTrack, microphone: Hear) -> None:
        try:
            while True:
                frame = await track.recv()
                samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels))
                if frame.sample_rate != MEDIA_RATE_HZ:
                    raise BadRequest(f"sound came at {frame.sample_rate} Hz; send Opus")
                microphone(samples.mean(1).astype(np.int16), frame.pts)
        except MediaStreamError:
            pass
        except BadRequest as error:
            logger.warning("host dropped: %s", error)
            await self.close()

    async def _state_changed(self) -> None:
        if self.state in ("failed", "closed"):
            await self.close()

    async def close(self) -> None:
        """Frees everything; safe to call twice: whoever comes second waits for the first."""
        if self._closed:
            await self._gone.wait()
            return
        self._closed = True
        for track in self._tracks:
            track.stop()
        for task in (self._connecting, self._listening):
            if task and task is not asyncio.current_task():
                task.cancel()
        try:
            await close_connection(self._connection)
        finally:
            self._on_closed()
            self._gone.set()


class OfferingPeer:
    """The avatar to another server, which answers: a WHIP client's connection (RFC 9725)."""

    def __init__(self, ice_servers: Sequence[IceServer], hubs: Hubs):
        self._connection, self._over = new_connection(ice_servers), asyncio.Event()
        self._gathering: asyncio.Task[None] | None = None
        self._connection.on("connectionstatechange", self._state_changed)
        self._tracks = [
            send_hub(self._connection, hubs.video["H264"], "H264", at_once=False),
            send_hub(self._connection, hubs.sound["opus"], "opus", at_once=False),
        ]
        for transceiver in self._connection.getTransceivers():
            transceiver.direction = "sendonly"

    @property
    def is_connected(self) -> bool:
        return bool(self._connection.connectionState == "connected")

    @property
    def frames(self) -> int:
        """Pictures that it was given."""
        return self._tracks[0].given

    async def offer(self) -> str:
        """SDP with every candidate: what the other side would trickle needs no answer from us."""
        gather = self._connection.setLocalDescription(await self._connection.createOffer())
        self._gathering = asyncio.create_task(gather, name="gather candidates")
        await asyncio.shield(self._gathering)  # aioice loses what it is given after it was cancelled
        sdp: str = self._connection.localDescription.sdp
        return sdp

    async def accept(self, answer_sdp: str) -> None:
        """Raises BadRequest for what is no answer to the offer."""
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(answer_sdp, "answer"))
        except Exception as error:  # aiortc raises whatever its parser trips over
            raise BadRequest(f"the SDP answer cannot be used: {error}") from error

    def _state_changed(self) -> None:
        if self._connection.connectionState in ("failed", "closed"):
            self._over.set()

    async def ended(self) -> None:
        """Waits until the connection has failed, or the session has ended."""
        await self._over.wait()

    async def close(self) -> None:
        for track in self._tracks:
            track.stop()
        await close_connection(self._connection, self._gathering)
