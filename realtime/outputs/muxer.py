"""Encoded packets written as MPEG-TS or FLV, copied and not encoded again."""

from typing import Literal, Protocol

import av

from flap.config import FRAME_RATE_HZ, MEDIA_RATE_HZ
from realtime.media.disclosure import MARK

OPTIONS = {
    # what waits for the other stream waits a frame at most
    "mpegts": {"flush_packets": "1", "max_interleave_delta": "40000"},
    "flv": {"flvflags": "no_duration_filesize"},
}


class Sink(Protocol):
    def write(self, data: bytes) -> int: ...


class Muxer:
    """Time 0 is its first key frame; what comes before is left out. Says in the container that it is made by AI."""

    def __init__(self, target: str | Sink, container: Literal["mpegts", "flv"], *, picture_size: int, sound: bool):
        self._out = av.open(target, "w", format=container, options=OPTIONS[container])
        self._out.metadata.update({"service_name": MARK, "service_provider": "FLAP Live", "comment": MARK})
        self._video = self._out.add_mux_stream("h264", rate=FRAME_RATE_HZ, width=picture_size, height=picture_size)
        self._sound = self._out.add_stream("aac", rate=MEDIA_RATE_HZ) if sound else None
        self._start_s: float | None = None

    def put(self, is_picture: bool, packet: av.Packet) -> None:
        """Writes a picture or a piece of sound. Raises OSError (av.FFmpegError) when the target is gone."""
        second = float(packet.pts * packet.time_base)
        if self._start_s is None and is_picture and packet.is_keyframe:
            self._start_s = second
        if self._start_s is None or second < self._start_s:
            return
        copied = av.Packet(bytes(packet))  # muxing changes a packet's times, and others hold the same one
        copied.time_base, copied.is_keyframe = packet.time_base, packet.is_keyframe
        copied.pts = copied.dts = packet.pts - round(self._start_s / packet.time_base)
        copied.stream = self._video if is_picture else self._sound
        self._out.mux(copied)

    def close(self) -> None:
        self._out.close()
