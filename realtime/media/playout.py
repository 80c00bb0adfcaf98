"""Sound and pictures that wait for their moment, and leave together when the clock says so."""

import time
from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from flap.config import FRAME_RATE_HZ
from realtime.media.clock import BLOCK_SAMPLES, BLOCKS_PER_FRAME, MediaClock, sleep_until
from realtime.media.compositor import Compositor, Dressing
from realtime.media.delay import SENDING_MS
from realtime.media.disclosure import Disclosure
from realtime.media.encoder import PictureEncoder, SoundCodec, SoundEncoder, VideoCodec, picture_encoder, sound_encoder
from realtime.media.hub import Hubs
from realtime.media.standby import STANDBY_S
from realtime.render.renderer import Renderer
from realtime.sound.microphone import MicrophoneChunk
from realtime.telemetry.metrics import SessionMetrics

# everything is encoded by so much before it leaves: sound that is late now and then makes browsers hold all of it longer
AHEAD_S = SENDING_MS / 1000
MAX_LATE_S = 0.1  # later than this the clock is caught up with by leaving out, not by hurrying
SILENCE = np.zeros(BLOCK_SAMPLES, np.int16)
FADE = np.clip(np.linspace(2, 0, BLOCK_SAMPLES, dtype=np.float32) - 1, 0, 1)  # gone in 10 ms, without a click
HELD_FRAMES = 15  # after a picture that was held for longer the next one fades in
STANDBY_FRAMES = round(STANDBY_S * FRAME_RATE_HZ)


@dataclass(frozen=True)
class Wanted:
    """How the next picture is encoded."""

    key_frame: bool
    bits_per_second: int


@dataclass(frozen=True)
class Encoded:
    """A frame's pictures by codec; `is_avatar` when they show it, and no still in its place."""

    packets: Mapping[VideoCodec, list[av.Packet]] = field(default_factory=dict)
    is_avatar: bool = False


class Playout:
    """Drop rule: sound that missed its moment is left out; of pictures the newest whose moment has come is on show."""

    def __init__(
        self, hubs: Hubs, renderer: Renderer, metrics: SessionMetrics, disclosure: Disclosure, clock: MediaClock
    ):
        self.standby = Dressing()  # for when pictures stay away
        self.clock, self.wanted_delay_s = clock, clock.delay_s  # what the clock's delay slides to
        self._hubs, self._renderer, self._metrics = hubs, renderer, metrics
        self._compositor = Compositor(disclosure, hubs.picture_size)
        self._sound: dict[int, NDArray[np.int16]] = {}  # block -> [960]
        self._arrived_s: dict[int, float | None] = {}  # frame -> when its sound arrived
        self._pictures: dict[int, NDArray[np.uint8]] = {}  # frame -> [s, s, 3]
        self._period = 1  # frames that a picture lasts
        self._picture: NDArray[np.uint8] | None = None
        self._next_block = 0  # the first whose sound has not left yet
        self.next_frame = 0  # the first whose picture is not chosen yet
        self._shown_frame: int | None = None  # the one that it was made for
        self._held_frames = 0  # for how many those who watch have seen nothing new
        self._still: Path | None = None  # what was shown last in the avatar's place
        self._dressing = Dressing()
        self._dressings: dict[int, Dressing] = {}  # frame from which -> what
        self._sound_encoders: dict[SoundCodec, SoundEncoder] = {}
        self._video_encoders: dict[VideoCodec, PictureEncoder] = {}

    @property
    def queued(self) -> dict[str, int]:
        """What waits for its moment."""
        return {"sound_blocks": len(self._sound), "pictures": len(self._pictures)}

    def put_sound(self, first_frame: int, heard: MicrophoneChunk) -> None:
        first_block = first_frame * BLOCKS_PER_FRAME
        for block, samples in enumerate(heard.samples.reshape(-1, BLOCK_SAMPLES), first_block):
            if block >= self._next_block:  # others have missed their moment
                self._sound[block] = samples
        for i, arrived_s in enumerate(heard.arrived_s):
            self._arrived_s[first_frame + i] = arrived_s

    def hush(self, frames: Container[int]) -> int:
        """Fades out what waits of the sound of `frames`; returns how many samples are not heard for it."""
        waiting = sorted(block for block in self._sound if block // BLOCKS_PER_FRAME in frames)
        for i, block in enumerate(waiting):
            self._sound[block] = SILENCE if i else (self._sound[block] * FADE).astype(np.int16)
        return BLOCK_SAMPLES * len(waiting)

    def put_pictures(self, first_frame: int, pictures: NDArray[np.uint8], period: int = 1) -> None:
        """`pictures` `[n, s, s, 3]` of frames `first_frame`..; the last of them lasts for `period` frames."""
        self._pictures |= {first_frame + i: picture for i, picture in enumerate(pictures)}
        self._period = period

    def dress(self, first_frame: int, dressing: Dressing) -> None:
        """Pictures look like this from `first_frame` on."""
        self._dressings[first_frame] = dressing

    async def run(self) -> None:
        """Sends 20 ms of sound at a time, and the picture that begins with it every 40 ms."""
        while True:
            late_s = await sleep_until(self.clock.shown_s(self._next_block) - AHEAD_S)
            if late_s > MAX_LATE_S:
                self._skip_to(self.clock.frame_at(time.monotonic() + AHEAD_S))
            block = self._next_block
            self._next_block += 1
            await self._show(block)
            self.clock = self.clock.towards(self.wanted_delay_s)

    def _skip_to(self, frame: int) -> None:
        """Goes on with the first block of `frame`; what lies before it is forgotten."""
        for old in range(self._next_block, frame * BLOCKS_PER_FRAME):
            self._sound.pop(old, None)
            self._metrics.skipped_frames += old % BLOCKS_PER_FRAME == 0
        self._next_block = frame * BLOCKS_PER_FRAME

    async def _show(self, block: int) -> None:
        sound = self._sound.pop(block, SILENCE)
        codecs = [codec for codec, hub in self._hubs.sound.items() if hub.viewers]
        packets = await self._renderer.encode(self._encode_sound, codecs, sound, block) if codecs else {}
        frame, pictures = block // BLOCKS_PER_FRAME, Encoded()
        if block % BLOCKS_PER_FRAME == 0:
            pictures = await self._encode_picture(frame)
        await sleep_until(self.clock.shown_s(block))
        for video_codec, encoded in pictures.packets.items():
            self._hubs.video[video_codec].publish(encoded)
        picture_s = time.monotonic()
        for codec, encoded in packets.items():
            self._hubs.sound[codec].publish(encoded)
        if packets and pictures.is_avatar and self._shown_frame is not None:
            self._metrics.record_offset(time.monotonic(), picture_s, frame - self._shown_frame)

    async def _encode_picture(self, frame: int) -> Encoded:
        """The picture of a frame for those who watch."""
        for number in sorted(number for number in self._dressings if number <= frame):
            self._dressing = self._dressings.pop(number)
        came, held_frames, dressing = self._choose_picture(frame), self._held_frames, self._dressing
        awaited = not came and self._hubs.watched and dressing.still is None
        self._held_frames = held_frames + 1 if awaited else 0
        self._metrics.standby = self._held_frames > STANDBY_FRAMES
        if self._metrics.standby:
            dressing = replace(self.standby, overlay=dressing.overlay or self.standby.overlay)
        if not self._hubs.watched:  # whoever comes next sees nothing of what was shown to the last
            self._picture = self._shown_frame = None
            self._compositor.forget()
        if not self._hubs.watched or (self._picture is None and dressing.still is None):
            self._metrics.forget_commands()
            return Encoded()
        cut = dressing.still != self._still or (came and held_frames > HELD_FRAMES)
        self._still = dressing.still
        started_s = time.perf_counter()
        now_s = time.monotonic()
        codecs = {
            codec: Wanted(hub.take_key_frame_request(now_s), hub.bits_per_second(now_s))
            for codec, hub in self._hubs.video.items()
            if hub.viewers
        }
        packets = await self._renderer.encode(self._encode, codecs, self._picture, dressing, frame, cut)
        self._metrics.frames_sent += 1
        self._metrics.record_stages({"encode": (time.perf_counter() - started_s) * 1000})
        return Encoded(packets, is_avatar=not dressing.still)

    def _choose_picture(self, frame: int) -> bool:
        """Takes the newest picture whose moment has come, if there is one; on a machine that is too slow it is an older one
        than `frame`."""
        self.next_frame = frame + 1
        leaves_s = max(time.monotonic(), self.clock.shown_s(frame * BLOCKS_PER_FRAME))
        newest = max((number for number in self._pictures if number <= frame), default=None)
        if newest is not None:
            self._picture, self._shown_frame = self._pictures[newest], newest
            self._metrics.record_commands(frame, leaves_s)
            self._metrics.record_frame(leaves_s, self._arrived_s.get(newest))
        elif self._shown_frame is not None and frame - self._shown_frame >= self._period and self._hubs.watched:
            self._metrics.repeated_frames += 1
        self._pictures = {number: picture for number, picture in self._pictures.items() if number > frame}
        oldest = frame - FRAME_RATE_HZ  # pictures may still come for what was heard in the last second
        self._arrived_s = {number: second for number, second in self._arrived_s.items() if number > oldest}
        return newest is not None

    def _encode(
        self,
        codecs: dict[VideoCodec, Wanted],
        picture: NDArray[np.uint8] | None,
        dressing: Dressing,
        frame: int,
        cut: bool,
    ) -> dict[VideoCodec, list[av.Packet]]:
        """Packets by codec. In the encode thread."""
        picture = self._compositor.compose(picture, dressing, frame, cut)
        if picture is None:
            return {}
        return {
            codec: self._encoder(codec, wanted).encode(picture, frame, wanted.key_frame)
            for codec, wanted in codecs.items()
        }

    def _encoder(self, codec: VideoCodec, wanted: Wanted) -> PictureEncoder:
        """A new one, which begins with a key frame, where the rate has changed."""
        encoder = self._video_encoders.get(codec)
        if encoder is None or encoder.bits_per_second not in (None, wanted.bits_per_second):
            encoder = self._video_encoders[codec] = picture_encoder(
                codec, self._hubs.picture_size, wanted.bits_per_second
            )
        return encoder

    def _encode_sound(
        self, codecs: list[SoundCodec], samples: NDArray[np.int16], block: int
    ) -> dict[SoundCodec, list[av.Packet]]:
        for codec in codecs:
            if codec not in self._sound_encoders:
                self._sound_encoders[codec] = sound_encoder(codec)
        return {codec: self._sound_encoders[codec].encode(samples, block) for codec in codecs}
