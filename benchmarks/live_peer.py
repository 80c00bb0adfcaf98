"""Clients of a running server that note when everything arrives: a host who speaks and sees the avatar, and viewers who count.

They stand on private names of aiortc 1.16, as realtime/sound/jitter_buffer.py does: aiortc's own receivers hold pictures for one
frame and sound for 80 ms, and decode every picture for every viewer.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from random import Random

import aiohttp
import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from aiortc.rtp import RtcpSrPacket, RtpPacket
from numpy.typing import NDArray

from flap.config import MEDIA_RATE_HZ
from realtime.media.clock import BLOCK_SAMPLES
from realtime.media.encoder import VIDEO_CLOCK_HZ

BLOCK_S = BLOCK_SAMPLES / MEDIA_RATE_HZ
LEVELS_A_BLOCK = 20  # one a millisecond
GIVE_UP_S = 0.3  # on a packet that was asked for again
REFINED_LEVELS = 8
NTP_FRACTION = 2.0**32
MOUTH = (150, 215), (88, 168)  # rows and columns of 256 x 256 pixels; heads are framed by their eye and mouth lines
Bytes = Callable[[int, bytes, float], None]  # RTP timestamp, what was sent, monotonic second of arrival


def mouth_of(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Where the mouth is in a grey picture `[s, s]`."""
    rows, columns = ([edge * len(picture) // 256 for edge in edges] for edges in MOUTH)
    return picture[slice(*rows), slice(*columns)]


class SpokenSound(MediaStreamTrack):
    """A microphone: each 20 ms leave when they have been spoken, none earlier. Owns where in `sound` it is."""

    kind = "audio"

    def __init__(self, sound: NDArray[np.int16]):
        super().__init__()
        self.sound, self.start_s, self._block = sound, time.monotonic(), 0

    def spoken(self, first: int, count: int) -> NDArray[np.int16]:
        """Samples `first`.. since the start; the sound is said over and over."""
        return self.sound.take(range(first, first + count), mode="wrap")

    async def recv(self) -> av.AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        await asyncio.sleep(max(0.0, self.start_s + (self._block + 1) * BLOCK_S - time.monotonic()))
        samples = self.spoken(self._block * BLOCK_SAMPLES, BLOCK_SAMPLES)
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = MEDIA_RATE_HZ, self._block * BLOCK_SAMPLES
        frame.time_base = Fraction(1, MEDIA_RATE_HZ)
        self._block += 1
        return frame


@dataclass
class Clock:
    """RTP timestamps of one stream as seconds since its first, and what the sender's reports say of wall time."""

    rate: int
    _last: int | None = None
    _seconds: float = 0.0
    reports: list[tuple[float, float]] = field(default_factory=list)  # (stream second, sender's wall second)

    def second(self, timestamp: int) -> float:
        """Also where timestamps wrap, and for those that come a little late."""
        if self._last is None:
            self._last = timestamp
        step = (timestamp - self._last + 2**31) % 2**32 - 2**31
        second = self._seconds + step / self.rate
        if step > 0:
            self._last, self._seconds = timestamp, second
        return second

    def report(self, packet: RtcpSrPacket) -> None:
        if self._last is not None:
            info = packet.sender_info
            self.reports.append((self.second(info.rtp_timestamp), info.ntp_timestamp / NTP_FRACTION))


@dataclass
class Arrivals:
    """What came to the host, in order; seconds are those of the monotonic clock unless they are the stream's."""

    pictures: list[tuple[float, float, bool]] = field(default_factory=list)  # (stream second, arrival, is it a new one)
    mouths: list[float] = field(default_factory=list)  # how dark the mouth is, one a picture
    # (stream second, arrival, [20])
    levels: list[tuple[float, float, NDArray[np.float32]]] = field(default_factory=list)
    picture_clock: Clock = field(default_factory=lambda: Clock(VIDEO_CLOCK_HZ))
    sound_clock: Clock = field(default_factory=lambda: Clock(MEDIA_RATE_HZ))


class PictureBuffer:
    """In a video receiver's place for frames: hands each on with the packet that completes it, and waits for what is missing
    no longer than `GIVE_UP_S`."""

    def __init__(self, take: Bytes):
        self._take, self._waiting = take, {}  # type: ignore[var-annotated]
        self._next: int | None = None
        self._data = bytearray()
        self._stuck_since_s: float | None = None

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        """(whether a key frame is to be asked for, nothing to decode)."""
        now_s, number = time.monotonic(), packet.sequence_number
        if self._next is None:
            self._next = number
        if (number - self._next) % 65_536 < 32_768:
            self._waiting[number] = packet
        lost = False
        if self._stuck_since_s is not None and now_s - self._stuck_since_s > GIVE_UP_S:
            self._next = min(self._waiting, key=lambda n: (n - self._next) % 65_536)
            self._data.clear()
            lost = True
        while (ready := self._waiting.pop(self._next, None)) is not None:
            self._data += ready._data
            self._next = (self._next + 1) % 65_536
            if ready.marker:
                self._take(ready.timestamp, bytes(self._data), now_s)
                self._data.clear()
        self._stuck_since_s = (self._stuck_since_s or now_s) if self._waiting and not lost else None
        return lost, None


class SoundPackets:
    """In an audio receiver's place for packets: hands on what is not late."""

    def __init__(self, take: Bytes):
        self._take, self._newest = take, -1

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        if self._newest < 0 or 0 < (packet.sequence_number - self._newest) % 65_536 < 32_768:
            self._newest = packet.sequence_number
            self._take(packet.timestamp, packet._data, time.monotonic())
        return False, None


class Host:
    """Speaks and watches over one connection, as the page does (`POST /offer`). `loss` of all packets, both ways, is lost."""

    def __init__(self, http: aiohttp.ClientSession, base_url: str, sound: NDArray[np.int16]):
        self._http, self._base_url, self.microphone = http, base_url, SpokenSound(sound)
        self.session_id, self.loss, self.arrivals = "", 0.0, Arrivals()
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._random = Random(5)
        self._picture_decoder = av.CodecContext.create("h264", "r")
        self._sound_decoder = av.CodecContext.create("libopus", "r")
        self._last_picture: NDArray[np.uint8] | None = None

    async def join(self, presenter: str | None = None) -> None:
        self._connection.addTrack(self.microphone)
        self._connection.addTransceiver("video", direction="recvonly")
        self._connection.on("track", self._track_came)
        body = {"type": "offer", "sdp": await _offer(self._connection)} | (
            {"presenter": presenter} if presenter else {}
        )
        async with self._http.post(f"{self._base_url}/offer", json=body) as response:
            answer = await response.json()
            if response.status != 200:
                raise ConnectionError(answer["error"]["message"], answer["error"]["code"])
        self.session_id = answer["session_id"]
        await self._connection.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
        self._lose(self._connection.getSenders()[0].transport.transport)

    def forget(self) -> Arrivals:
        """What came since the last time."""
        came = self.arrivals
        self.arrivals = Arrivals(picture_clock=came.picture_clock, sound_clock=came.sound_clock)
        return came

    async def leave(self) -> None:
        await self._connection.close()

    def _track_came(self, track: MediaStreamTrack) -> None:
        receiver = next(r for r in self._connection.getReceivers() if r.track is track)
        is_picture = track.kind == "video"
        buffer = PictureBuffer(self._see) if is_picture else SoundPackets(self._hear)
        receiver._RTCRtpReceiver__jitter_buffer = buffer
        _listen_to_reports(receiver, lambda: self.arrivals.picture_clock if is_picture else self.arrivals.sound_clock)

    def _see(self, timestamp: int, data: bytes, _: float) -> None:
        try:
            frames = self._picture_decoder.decode(av.Packet(data))
        except av.FFmpegError:  # what the lost packets have left
            return
        for frame in frames:
            picture = frame.to_ndarray(format="gray")
            second = self.arrivals.picture_clock.second(timestamp)
            self.arrivals.pictures.append((second, time.monotonic(), differs(picture, self._last_picture)))
            self._last_picture = picture
            self.arrivals.mouths.append(-float(mouth_of(picture).mean()))

    def _hear(self, timestamp: int, data: bytes, now_s: float) -> None:
        second = self.arrivals.sound_clock.second(timestamp)
        for frame in self._sound_decoder.decode(av.Packet(data)):
            self.arrivals.levels.append(
                (second, now_s, levels(frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0]))
            )

    def _lose(self, transport) -> None:  # type: ignore[no-untyped-def]
        send, receive = transport._send, transport._recv

        async def lossy_send(data: bytes) -> None:
            if self._random.random() >= self.loss:
                await send(data)

        async def lossy_receive() -> bytes:
            while True:
                data: bytes = await receive()
                if self._random.random() >= self.loss:
                    return data

        transport._send, transport._recv = lossy_send, lossy_receive


class CountingViewer:
    """A WHEP viewer that reads RTP headers and nothing else, so that ten of them take little of the machine."""

    def __init__(self, http: aiohttp.ClientSession, base_url: str, session_id: str):
        self._http, self._base_url, self._session_id = http, base_url, session_id
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._where = ""
        self.frames_s: list[float] = []  # when each frame was complete

    async def join(self) -> None:
        for kind in ("video", "audio"):
            self._connection.addTransceiver(kind, direction="recvonly")
        url, sdp = f"{self._base_url}/api/sessions/{self._session_id}/whep", {"Content-Type": "application/sdp"}
        async with self._http.post(url, data=await _offer(self._connection), headers=sdp) as response:
            answer = await response.text()
            if response.status != 201:
                raise ConnectionError(answer)
            self._where = response.headers["Location"]
        await self._connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        receiver = self._connection.getReceivers()[0]
        receiver.transport._handle_rtp_data = self._count
        video = next(m for m in answer.split("m=") if m.startswith("video"))
        self._payload_type = int(video.split()[3])

    async def _count(self, data: bytes, arrival_time_ms: int) -> None:
        if data[1] == 0x80 | self._payload_type:  # the marker: a frame ends (RFC 3550, 5.1)
            self.frames_s.append(time.monotonic())

    async def leave(self) -> None:
        async with self._http.delete(self._base_url + self._where):
            pass
        await self._connection.close()


def differs(picture: NDArray[np.uint8], before: NDArray[np.uint8] | None) -> bool:
    """Whether a decoded grey picture shows something new: one that is shown again is only refined, by up to 6 levels."""
    return before is None or int(np.abs(np.subtract(picture, before, dtype=np.int16)).max()) > REFINED_LEVELS


def levels(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """Mean magnitude of every millisecond of a block `[960]` -> `[20]`."""
    return np.abs(samples.astype(np.float32)).reshape(LEVELS_A_BLOCK, -1).mean(1)


async def _offer(connection: RTCPeerConnection) -> str:
    await connection.setLocalDescription(await connection.createOffer())
    return connection.localDescription.sdp  # type: ignore[no-any-return]


def _listen_to_reports(receiver: RTCRtpReceiver, clock: Callable[[], Clock]) -> None:
    handle = receiver._handle_rtcp_packet

    async def listen(packet: object) -> None:
        if isinstance(packet, RtcpSrPacket):
            clock().report(packet)
        await handle(packet)

    receiver._handle_rtcp_packet = listen
