"""Chunks on their way to the renderer keep what belongs to them, however long they wait."""

import asyncio
import time
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from flap.config import MEDIA_CHUNK_SAMPLES
from realtime.control.commands import Command
from realtime.control.on_air import OnAir
from realtime.control.state import ControlState
from realtime.drawing import Drawing
from realtime.drive.clip_player import SENDER
from realtime.drive.clip_player import SOURCE as CLIP
from realtime.media.clock import MediaClock
from realtime.media.delay import Bounds, Budget, delay_ms
from realtime.protocol.directives import BlinkNow, DriveFrame
from realtime.render.link import RendererLost
from realtime.render.quality import Level
from realtime.render.renderer import Heard, Pictured
from realtime.sound.microphone import MicrophoneChunk
from tests.test_desk import Show

LOOKAHEAD_MS, RENDER_MS = 80.0, Bounds(20, 90)
SILENCE = MicrophoneChunk(np.zeros(MEDIA_CHUNK_SAMPLES, np.int16), (None,))


class Stopped(Exception):
    """Nothing more is asked for."""


class FakeAvatar:
    """Takes down what it is asked for, and stops at the `last` chunk."""

    def __init__(self, last: int = 0) -> None:
        self.opened_s = 0.0
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


def seen(command: Command) -> tuple[str, float]:
    assert isinstance(command.directive, DriveFrame)
    return command.directive.source, command.directive.yaw_deg


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


@pytest.mark.parametrize("opened", ["before", "after"])
def test_what_waited_for_a_new_avatar_makes_the_delay_no_longer(opened: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A render process that was killed is gone for a second; chunks that are late by themselves do make it longer."""

    class DrawsNothing(FakeAvatar):
        async def make(self, heard: Heard, commands: tuple[Command, ...], watched: bool, checked: bool) -> Any:
            made, _ = await super().make(heard, commands, watched, checked)
            of_chunk = {"drawn": False, "events": (), "control": ControlState(), "added": None, "first_frame": 0}
            return SimpleNamespace(**vars(made) | of_chunk), SimpleNamespace(fetch=self.fetch)

        async def fetch(self) -> Pictured:
            return Pictured({})

    async def run() -> bool:
        show, avatar = Show(), DrawsNothing(last=30)
        avatar.opened_s = time.monotonic() + (60 if opened == "after" else -60)
        waits = drawing(show)
        for owner, name, value in (
            (waits, "_settling_chunks", 0), (waits, "_hubs", SimpleNamespace(watched=True)), (show.desk, "made", lambda *_: None),
        ):  # fmt: skip
            monkeypatch.setattr(owner, name, value)
        for chunk in range(31):
            waits.put(chunk, SILENCE, OnAir("ada"))
        fetching = asyncio.create_task(waits.fetch(None))
        with suppress(Stopped):
            await asyncio.wait_for(waits.make(cast(Any, avatar), None), 5)
        await asyncio.sleep(0.01)
        fetching.cancel()
        return hasattr(waits._playout, "wanted_delay_s")

    assert asyncio.run(run()) == (opened == "before")


def test_chunks_that_wait_together_each_show_their_own_face_of_the_clip() -> None:
    """A live source is seen as it is when the renderer is asked, and a chunk of before never again."""
    show, avatar = Show(), FakeAvatar(last=1)
    waits = drawing(show)
    for chunk, yaw_deg in enumerate((10.0, 20.0)):
        show.desk.drive(DriveFrame("f", "webcam", yaw_deg=-yaw_deg), "anna", chunk)
        show.desk.drive(DriveFrame(CLIP, CLIP, yaw_deg=yaw_deg), SENDER, chunk)
        waits.put(chunk, SILENCE, OnAir("ada"))
    show.desk.drive(DriveFrame(CLIP, CLIP, tracked=False), SENDER, 2)
    run_make(waits, avatar)
    assert [[seen(command) for command in commands] for _, commands in avatar.asked] == [
        [("webcam", -20.0), (CLIP, 10.0)],
        [(CLIP, 20.0)],
    ]
    assert [seen(command) for command in show.desk.waiting.driven.take_of(CLIP)] == [(CLIP, 0.0)], "of the next chunk"


def test_a_chunk_that_was_lost_takes_its_face_of_the_clip_with_it_and_gives_back_what_operators_asked_for() -> None:
    class LosesTheFirst(FakeAvatar):
        async def make(self, heard: Heard, commands: tuple[Command, ...], watched: bool, checked: bool) -> Any:
            if heard.chunk == 0:
                raise RendererLost
            return await super().make(heard, commands, watched, checked)

    show, avatar = Show(), LosesTheFirst(last=1)
    waits = drawing(show)
    show.send(show.desk.join("Anna"), "blink.now", "b")
    for chunk, yaw_deg in enumerate((10.0, 20.0)):
        show.desk.drive(DriveFrame(CLIP, CLIP, yaw_deg=yaw_deg), SENDER, chunk)
        waits.put(chunk, SILENCE, OnAir("ada"))
    run_make(waits, avatar)
    ((_, (blink, face)),) = avatar.asked
    assert isinstance(blink.directive, BlinkNow) and seen(face) == (CLIP, 20.0)
