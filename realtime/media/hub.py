"""Fan-out of encoded packets: one queue a viewer, bounded, so that a slow viewer never slows another."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import get_args

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from flap.config import IMAGE_SIZE
from realtime.media.bitrate import RATES, Bitrate, step
from realtime.media.encoder import SoundCodec, VideoCodec
from realtime.media.packing import SharedPacker

logger = logging.getLogger(__name__)
VIDEO_QUEUE_PACKETS = 12
SOUND_QUEUE_PACKETS = 12
KEY_FRAME_INTERVAL_S = 0.4  # requests closer together than this are answered by one key frame
ONE_VIEWERS_INTERVAL_S = 1.0  # one who asks again sooner does not make everybody's pictures dearer
REPORT_S = 10.0  # an older report says nothing


class Hub:
    """Packets of one encoder to its viewers. Drop rule: a full queue is emptied, and video goes on with a key frame."""

    def __init__(self, kind: str, queue_packets: int, picture_size: int = IMAGE_SIZE):
        self.kind, self.dropped, self.sent_bytes = kind, 0, 0
        self.repeated = 0  # packets that were sent again unasked
        self._queue_packets = queue_packets
        self._queues: dict[HubTrack, asyncio.Queue[av.Packet | None]] = {}
        self._waiting: set[HubTrack] = set()  # for a key frame
        self._key_frame_wanted = True
        self._last_key_frame_s = float("-inf")
        self._asked_s: dict[HubTrack, float] = {}  # when each viewer last asked for a key frame
        self._lost: dict[HubTrack, tuple[float, float]] = {}  # (share of its packets, second of its report)
        self._bitrate = Bitrate(rates=RATES[picture_size])
        self._packer: SharedPacker | None = None

    @property
    def viewers(self) -> int:
        return len(self._queues)

    @property
    def waiting(self) -> int:
        """Packets that wait for the slowest viewer."""
        return max((queue.qsize() for queue in self._queues.values()), default=0)

    def packer(self, mime_type: str) -> SharedPacker:
        """What makes RTP payloads of its packets, all of which are of this type, for every viewer."""
        self._packer = self._packer or SharedPacker(mime_type)
        return self._packer

    def subscribe(self, at_once: bool = True) -> "HubTrack":
        """A track for one viewer; video starts with a key frame. Not `at_once` it gets nothing before it is first read."""
        queue: asyncio.Queue[av.Packet | None] = asyncio.Queue(self._queue_packets)
        track = HubTrack(self, queue)
        if at_once:
            self.begin(track)
        return track

    def begin(self, track: "HubTrack") -> None:
        if track not in self._queues and track.readyState == "live":
            self._queues[track] = track.queue
            self._wait_for_key_frame(track)
        elif track in self._waiting:
            self.request_key_frame()

    def unsubscribe(self, track: "HubTrack") -> None:
        self._queues.pop(track, None)
        self._waiting.discard(track)
        self._asked_s.pop(track, None)
        self._lost.pop(track, None)

    def count_repeated(self) -> None:
        self.repeated += 1

    def request_key_frame(self) -> None:
        self._key_frame_wanted = True

    def viewer_asks(self, track: "HubTrack", now_s: float) -> None:
        """A receiver asks for a key frame (PLI or FIR)."""
        if track in self._queues and now_s - self._asked_s.get(track, float("-inf")) >= ONE_VIEWERS_INTERVAL_S:
            self._asked_s[track] = now_s
            self.request_key_frame()

    def viewer_loses(self, track: "HubTrack", share: float, now_s: float) -> None:
        """A receiver reports which share of its packets was lost lately."""
        if track in self._queues:
            self._lost[track] = share, now_s

    def bits_per_second(self, now_s: float) -> int:
        """What pictures may take from now on."""
        reports = (self._lost.get(track, (0.0, now_s)) for track in self._queues)
        before = self._bitrate.level
        self._bitrate = step(
            self._bitrate, (share if now_s - at_s < REPORT_S else 0.0 for share, at_s in reports), now_s
        )
        if self._bitrate.level != before:
            logger.info("pictures take %d bits a second now", self._bitrate.bits_per_second)
        return self._bitrate.bits_per_second

    def take_key_frame_request(self, now_s: float) -> bool:
        """Whether the next frame must be a key frame; coalesces requests."""
        if not self._key_frame_wanted or now_s - self._last_key_frame_s < KEY_FRAME_INTERVAL_S:
            return False
        self._key_frame_wanted, self._last_key_frame_s = False, now_s
        return True

    def publish(self, packets: list[av.Packet]) -> None:
        for packet in packets:
            if self._packer and self._queues:
                # now, because VP8 numbers its pictures: not in the order in which viewers read them
                self._packer.pack(packet)
            for track, queue in self._queues.items():
                if queue.full():
                    self._empty(track)
                if packet.is_keyframe:
                    self._waiting.discard(track)
                if track not in self._waiting:
                    queue.put_nowait(packet)
                    self.sent_bytes += packet.size

    def _empty(self, track: "HubTrack") -> None:
        """A viewer who has not connected yet is no reason for a key frame: all would get it."""
        if track.is_read:
            self.dropped += track.queue.qsize()
            self._wait_for_key_frame(track)
        elif self.kind == "video":
            self._waiting.add(track)
        while not track.queue.empty():
            track.queue.get_nowait()

    def _wait_for_key_frame(self, track: "HubTrack") -> None:
        if self.kind == "video":
            self._waiting.add(track)
            self.request_key_frame()


class HubTrack(MediaStreamTrack):
    """What one viewer's sender reads; stops when the hub forgets it."""

    def __init__(self, hub: Hub, queue: "asyncio.Queue[av.Packet | None]"):
        super().__init__()
        self.kind, self.given = hub.kind, 0  # packets that were read
        self.is_read = False  # by whoever has connected
        self._hub, self.queue = hub, queue

    async def recv(self) -> av.Packet:
        if not self.is_read:
            self.is_read = True
            self._hub.begin(self)
        packet = await self.queue.get() if self.readyState == "live" else None
        if packet is None:
            raise MediaStreamError
        self.given += 1
        return packet

    def stop(self) -> None:
        super().stop()
        self._hub.unsubscribe(self)
        if self.queue.full():
            self.queue.get_nowait()
        self.queue.put_nowait(None)  # wakes a sender that waits


@dataclass(frozen=True)
class Hubs:
    """A session's streams; each is encoded once, and only while somebody watches it. Pictures are `picture_size` wide and high."""

    video: Mapping[VideoCodec, Hub]
    sound: Mapping[SoundCodec, Hub]
    picture_size: int = IMAGE_SIZE

    @classmethod
    def create(cls, picture_size: int = IMAGE_SIZE) -> "Hubs":
        video = {codec: Hub("video", VIDEO_QUEUE_PACKETS, picture_size) for codec in get_args(VideoCodec)}
        sound = {codec: Hub("audio", SOUND_QUEUE_PACKETS) for codec in get_args(SoundCodec)}
        return cls(video, sound, picture_size)

    def _of(self, kind: str) -> Iterable[Hub]:
        return self.video.values() if kind == "video" else self.sound.values()

    def waiting(self, kind: str) -> int:
        """Packets of a kind ("video", "audio") that wait for the slowest viewer."""
        return max(hub.waiting for hub in self._of(kind))

    def dropped(self, kind: str) -> int:
        return sum(hub.dropped for hub in self._of(kind))

    @property
    def repeated(self) -> int:
        """Packets that were sent again to viewers who lose some."""
        return sum(hub.repeated for hub in self.video.values())

    def sent_bytes(self) -> dict[str, int]:
        """By codec, to all viewers."""
        return {codec: hub.sent_bytes for codec, hub in (*self.video.items(), *self.sound.items())}

    @property
    def watched(self) -> bool:
        return any(hub.viewers for hub in self.video.values())
