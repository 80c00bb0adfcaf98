"""Chunks on their way to the renderer keep what belongs to them, however long they wait."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import numpy as np

from realtime.control.commands import Command
from realtime.control.on_air import OnAir
from realtime.drawing import Drawing
from realtime.media.clock import MediaClock
from realtime.media.delay import Bounds, Budget, delay_ms
from realtime.render.quality import Level
from realtime.render.renderer import Heard
from realtime.sound.microphone import MEDIA_CHUNK_SAMPLES, MicrophoneChunk
from tests.test_desk import Show

LOOKAHEAD_MS, RENDER_MS = 80.0, Bounds(20, 90)
SILENCE = MicrophoneChunk(np.zeros(MEDIA_CHUNK_SAMPLES, np.int16), (None,))


class Stopped(Exception):
    """Nothing more is asked for."""


class FakeAvatar:
    """Takes down what it is asked for, and stops at the `last` chunk."""

    def __init__(self, last: int = 0) -> None:
        self.lives, self.asked, self._last = 1, list[tuple[Heard, tuple[Command, ...]]](), last

    async def ready(self) -> None:
        await asyncio.sleep(0)

    async def make(self, heard: Heard, commands: tuple[Command, ...], watched: bool, checked: bool) -> Any:
        self.asked.append((heard, commands))
        if heard.chunk >= self._last:
            raise Stopped
        made = SimpleNamespace(commands_wait=False, level=Level(1), rung=0, left_out=False, drawn=watched)
        return made, None


def drawing(show: Show, delay_s: float = 0.2) -> Drawing:
    """Of a session that nobody watches."""
    playout: Any = SimpleNamespace(clock=MediaClock(time.monotonic(), delay_s), next_frame=0)
    hubs: Any = SimpleNamespace(watched=False)
    return Drawing(show.desk, playout, hubs, show.metrics, Budget(50), RENDER_MS, LOOKAHEAD_MS)


def run_make(on_its_way: Drawing, avatar: Any) -> None:
    async def run() -> None:
        try:
            await asyncio.wait_for(on_its_way.make(avatar, None), 5)
        except Stopped:
            return

    asyncio.run(run())


def test_a_delay_that_is_longer_than_the_full_rate_may_have_is_told_as_lacking_room_there() -> None:
    show, avatar = Show(), FakeAvatar()
    show.metrics.level = Level(1, period=2)
    delay_s = delay_ms(Budget(RENDER_MS.most_ms + 30), LOOKAHEAD_MS) / 1000
    waits = drawing(show, delay_s)
    waits.put(0, SILENCE, OnAir("ada"))
    run_make(waits, avatar)
    ((heard, _),) = avatar.asked
    assert round(heard.above_room_s, 6) == -0.03 and round(heard.room_s, 6) == 0.015
