"""From what is heard to pictures that wait to be shown: one avatar's chunks on their way through the render process."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass

from flap.config import CHUNK_FRAMES, FRAME_RATE_HZ
from realtime.control.commands import Command, of_sources
from realtime.control.on_air import OnAir
from realtime.desk.desk import Desk
from realtime.drive.clip_player import SOURCE as CLIP
from realtime.media.delay import CHUNK_MS, MEASURED_CHUNKS, SETTLING_CHUNKS, Bounds, Budget, adapt, delay_ms
from realtime.media.hub import Hubs
from realtime.media.playout import Playout
from realtime.recording import RecordedChunk, Recorder
from realtime.render.link import RendererLost
from realtime.render.messages import ChunkMade
from realtime.render.renderer import Heard, Pictured, Pictures, RemoteAvatar
from realtime.render.shared_slots import PLACES
from realtime.sound.microphone import MicrophoneChunk
from realtime.telemetry.metrics import SessionMetrics

WAITING_CHUNKS = 50  # two seconds; when the renderer is held up for longer, the oldest are never heard by the networks


@dataclass(frozen=True)
class _Waiting:
    """A chunk that the render process was not asked for yet."""

    chunk: int
    heard: MicrophoneChunk
    on_air: OnAir
    clip: tuple[Command, ...]  # what the clip shows in it


@dataclass(frozen=True)
class _Made:
    """A chunk whose faces are made, and whose `pictures` are being drawn."""

    heard: Heard
    commands: tuple[Command, ...]
    made: ChunkMade
    pictures: Pictures
    opened: bool  # the avatar was made anew before it
    waited: bool  # for that: how late it is says nothing of drawing
    checked: bool
    dropped: bool  # it is not drawn, though its pictures were wanted

    def recorded(self, pictures_crc: int | None) -> RecordedChunk:
        heard, made = self.heard, self.made
        return RecordedChunk(
            heard.chunk, heard.presenter_id, heard.sound, self.commands, self.opened, made.faces_crc, pictures_crc, made.level.steps
        )  # fmt: skip


class Drawing:
    """Owns what waits to be drawn and chooses the delay. Drop rule: the oldest chunk makes room for the newest."""

    def __init__(
        self, desk: Desk, playout: Playout, hubs: Hubs, metrics: SessionMetrics,
        budget: Budget, render_ms: Bounds, lookahead_ms: float,
    ):  # fmt: skip
        self._desk, self._playout, self._hubs, self._metrics = desk, playout, hubs, metrics
        self._budget, self._render_ms, self._lookahead_ms = budget, render_ms, lookahead_ms
        self._ready_ms: deque[float] = deque(maxlen=MEASURED_CHUNKS)  # how long after their sound chunks were drawn
        self._settling_chunks = SETTLING_CHUNKS
        self._ahead_chunks = round(lookahead_ms / CHUNK_MS)
        self._last_seen = -1 - self._ahead_chunks  # the last chunk that was no standby
        self._heard: deque[_Waiting] = deque(maxlen=WAITING_CHUNKS)
        self._heard_more = asyncio.Event()
        self._made: asyncio.Queue[_Made] = asyncio.Queue(PLACES)

    @property
    def waiting(self) -> int:
        """Chunks that the render process was not asked for yet."""
        return len(self._heard)

    def put(self, chunk: int, heard: MicrophoneChunk, on_air: OnAir) -> None:
        """A chunk that has been heard; what the clip shows in it goes with it."""
        self._heard.append(_Waiting(chunk, heard, on_air, self._desk.waiting.driven.take_of(CLIP)))
        self._heard_more.set()

    async def make(self, avatar: RemoteAvatar, recorder: Recorder | None) -> None:
        """Has the pipeline run chunk by chunk, until it is cancelled."""
        recorded_lives = 0
        while True:
            await avatar.ready()
            while not self._heard:
                self._heard_more.clear()
                await self._heard_more.wait()
            waiting = self._heard.popleft()
            chunk, on_air, commands = waiting.chunk, waiting.on_air, self._desk.waiting.take() + waiting.clip
            heard_s = self._playout.clock.heard_s((chunk + 1) * CHUNK_FRAMES)
            request = Heard(
                chunk, on_air.presenter_id, waiting.heard.samples, heard_s, self._due_s(chunk),
                room_s=max(0.0, self._room_s(self._metrics.level.period)), above_room_s=self._room_s(period=1),
            )  # fmt: skip
            if not on_air.standby:
                self._last_seen = chunk
            # the picture of a chunk is that of a moment before it: standby begins when those have been shown
            watched = self._hubs.watched and chunk - self._last_seen <= self._ahead_chunks
            checked = recorder is not None and recorder.recording
            try:
                made, pictures = await avatar.make(request, commands, watched, checked)
            except RendererLost:  # sound goes on; what operators asked for is asked for again
                self._desk.waiting.give_back(commands)
                continue
            if made.commands_wait:
                self._desk.waiting.give_back(commands)
                commands = of_sources(commands)
            self._metrics.level, self._metrics.rung = made.level, made.rung
            self._metrics.left_out_chunks += made.left_out
            dropped = watched and not made.drawn and not made.left_out
            self._metrics.dropped_chunks += dropped
            opened = avatar.lives != recorded_lives
            waited = heard_s < avatar.opened_s
            await self._made.put(_Made(request, commands, made, pictures, opened, waited, checked, dropped))
            recorded_lives = avatar.lives if checked else recorded_lives

    async def fetch(self, recorder: Recorder | None) -> None:
        """Hands on the pictures, chunk after chunk, until it is cancelled."""
        while True:
            chunk = await self._made.get()
            made = chunk.made
            try:
                pictured = await chunk.pictures.fetch()
            except RendererLost:  # its faces were made all the same, and operators' commands acted
                pictured = Pictured(made.stage_ms)
            # not before: an acknowledged frame is the one that shows its command, however long it was drawn
            self._desk.made(made.events, made.control, made.added, made.first_frame, self._playout.next_frame)
            if recorder and chunk.checked:
                recorder.put(chunk.recorded(pictured.crc))
            ready_ms = 1000 * (time.monotonic() - chunk.heard.heard_s)
            bounds = self._render_ms.at(made.level.period)
            if chunk.dropped and not chunk.waited:
                self._choose_delay(bounds.most_ms, bounds, made.level.period)
            if pictured.pictures is not None:
                if not chunk.waited:
                    self._choose_delay(ready_ms, bounds, made.level.period)
                self._playout.put_pictures(made.first_frame, pictured.pictures, made.level.period)
                self._metrics.record_render(dict(pictured.stage_ms))

    def _choose_delay(self, ready_ms: float, bounds: Bounds, period: int) -> None:
        """After a chunk that was drawn `ready_ms` after its sound was complete, one out of `period`."""
        if self._settling_chunks > 0:
            self._settling_chunks -= period
            return
        self._ready_ms.append(ready_ms)
        self._budget = adapt(list(self._ready_ms), self._budget, bounds, period)
        self._playout.wanted_delay_s = delay_ms(self._budget, self._lookahead_ms) / 1000

    def _due_s(self, chunk: int) -> float:
        """When the last picture of `chunk` is to be shown."""
        last_ms = ((chunk + 1) * CHUNK_FRAMES - 1) * 1000 / FRAME_RATE_HZ - self._lookahead_ms
        return self._playout.clock.shown_s(0) + last_ms / 1000

    def _room_s(self, period: int) -> float:
        """By how much the delay, which slides, may still grow while one chunk out of `period` is drawn; negative if it is longer."""
        longest = Budget(self._render_ms.at(period).most_ms)
        return delay_ms(longest, self._lookahead_ms) / 1000 - self._playout.clock.delay_s
