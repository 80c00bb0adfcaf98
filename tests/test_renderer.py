"""The render process is started again when it dies or hangs, and its avatars come back as they were."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.bundle import Presenter
from engines.engine import EngineLost
from flap import coefficients as co
from flap.config import CHUNK_FRAMES, IMAGE_SIZE, MEDIA_CHUNK_SAMPLES
from realtime.control.commands import Command
from realtime.pipeline import AvatarPipeline
from realtime.protocol.messages import PoseSet
from realtime.render.link import RendererLost, RenderError, RenderLink, launch_process
from realtime.render.messages import ChunkMade, MakeChunk, Rendering
from realtime.render.portrait import Drawn, Frames
from realtime.render.renderer import FRESH_S, Heard, Pictures, RemoteAvatar, Renderer
from tests.fakes import (
    FakePortraitStage,
    FineFakePortraitStage,
    fake_pipeline,
    fake_renderer,
    launch_thread,
    open_fakes,
)


class DiesForBob(FakePortraitStage):
    def step(self, faces: co.Array, state: str, steps: int | None = None) -> tuple[np.ndarray, str]:
        if state == "bob":
            os._exit(9)
        return super().step(faces, state)


class LosesItsEngineForBob(FakePortraitStage):
    def step(self, faces: co.Array, state: str, steps: int | None = None) -> tuple[np.ndarray, str]:
        if state == "bob":
            raise EngineLost("cudaMemcpyAsync failed: cudaErrorIllegalAddress")
        return super().step(faces, state)


class CannotOpenBob(FakePortraitStage):
    """What a lost engine says to a new stream."""

    def init_state(self, presenter_id: str, seed: int = 0) -> str:
        if presenter_id == "bob":
            raise EngineLost("cudaMalloc failed: cudaErrorIllegalAddress")
        return super().init_state(presenter_id, seed)


def open_whoever_is_there(folder: Path) -> tuple[AvatarPipeline, dict[str, Presenter]]:
    """`people` in the folder names them."""
    pipeline, presenters = open_fakes(folder)
    people = {name: presenters[name] for name in (folder / "people").read_text().split()}
    return fake_pipeline(OnlyTheCast(set(people))), people


class OnlyTheCast(FakePortraitStage):
    def __init__(self, people: set[str]):
        self._people = people

    def init_state(self, presenter_id: str, seed: int = 0) -> str:
        if presenter_id not in self._people:
            raise KeyError(presenter_id)
        return presenter_id


@asynccontextmanager
async def renderer(folder: Path, portrait: FakePortraitStage | None = None) -> AsyncIterator[Renderer]:
    running = fake_renderer(folder, portrait, launch_process)
    await running.start()
    try:
        yield running
    finally:
        await running.close()


async def make(avatar: RemoteAvatar, *commands: Command, presenter: str = "ada") -> ChunkMade:
    now_s = time.monotonic()
    heard = Heard(0, presenter, np.zeros(MEDIA_CHUNK_SAMPLES, np.int16), now_s, now_s + 30)
    await avatar.ready()
    made, pictures = await avatar.make(heard, commands, watched=True)
    drawn = (await pictures.fetch()).pictures
    assert made.drawn and drawn is not None and drawn.shape == (CHUNK_FRAMES, IMAGE_SIZE, IMAGE_SIZE, 3)
    return made


async def make_patiently(avatar: RemoteAvatar, presenter: str = "ada") -> ChunkMade:
    while True:
        try:
            return await make(avatar, presenter=presenter)
        except RendererLost:
            pass


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_process_that_dies_or_hangs_is_replaced_and_poses_stay(tmp_path: Path, how: signal.Signals) -> None:
    async def run() -> None:
        async with renderer(tmp_path) as running:
            avatar = running.avatar("s", "ada", 0)
            await make(avatar, Command(PoseSet("p", yaw_deg=10.0)))
            first = running.process_id
            assert first
            os.kill(first, how)
            lost_s = time.monotonic()
            with pytest.raises(RendererLost):
                await make(avatar)
            made = await make_patiently(avatar)
            assert time.monotonic() - lost_s < 8, "seconds, on a busy machine too"
            assert made.control.channels["yaw_deg"].target == 10
            assert running.restarts == 1
            assert running.process_id != first
            with pytest.raises(ProcessLookupError):
                os.kill(first, 0)

    asyncio.run(run())


def test_a_process_that_is_started_again_draws_pictures_as_large_as_before(tmp_path: Path) -> None:
    async def run() -> None:
        opens, smaller = (partial(open_fakes, tmp_path, stage) for stage in (FineFakePortraitStage(0.05), None))
        running = Renderer(Rendering(opens, smaller=smaller), 4, launch=launch_process)
        await running.start()
        avatar = running.avatar("s", "ada", 0)
        assert running.picture_size == IMAGE_SIZE
        await make(avatar)
        assert running.process_id
        os.kill(running.process_id, signal.SIGKILL)
        await make_patiently(avatar)
        assert running.restarts == 1
        await running.close()

    asyncio.run(run())


def test_a_process_that_is_started_again_shows_whom_the_bundle_has_then(tmp_path: Path) -> None:
    async def run() -> None:
        (tmp_path / "people").write_text("ada")
        running = Renderer(Rendering(partial(open_whoever_is_there, tmp_path)), 4, launch=launch_process)
        await running.start()
        avatar = running.avatar("s", "ada", 0)
        await make(avatar)
        (tmp_path / "people").write_text("bob")
        assert list(running.presenters) == ["ada"] and running.process_id
        os.kill(running.process_id, signal.SIGKILL)
        await make_patiently(avatar)
        assert list(running.presenters) == ["bob"]
        await make(running.avatar("next", "bob", 0), presenter="bob")
        await running.close()

    asyncio.run(run())


@pytest.mark.parametrize("portrait", [DiesForBob(), LosesItsEngineForBob(), CannotOpenBob()])
def test_a_session_that_the_process_dies_of_is_given_up_and_others_go_on(
    tmp_path: Path, portrait: FakePortraitStage
) -> None:
    async def run() -> None:
        async with renderer(tmp_path, portrait) as running:
            good, bad = running.avatar("good", "ada", 0), running.avatar("bad", "bob", 0)
            with pytest.raises(RenderError, match="died 3 times or more"):
                await make_patiently(bad, "bob")
            assert running.restarts == 3
            bad.close()
            await make_patiently(good)

    asyncio.run(run())


def test_what_was_slow_long_ago_turns_nobody_away(tmp_path: Path) -> None:
    async def run() -> None:
        running = fake_renderer(tmp_path, launch=launch_thread)
        at_the_start_ms = (await running.start()).draw_ms
        running._draw_ms.append((time.monotonic() - FRESH_S - 1, 500.0))
        assert running.draw_ms == at_the_start_ms
        running._draw_ms.append((time.monotonic(), 20.0))
        assert running.draw_ms == 20.0
        await running.close()

    asyncio.run(run())


def test_slots_are_given_back(tmp_path: Path) -> None:
    async def run() -> None:
        running = fake_renderer(tmp_path, launch=launch_thread)
        await running.start()
        for i in range(20):
            avatar = running.avatar(str(i), "ada", 0)
            await make(avatar)
            avatar.close()
        assert not running._slots
        await running.close()

    asyncio.run(run())


class DrawsElsewhere(FakePortraitStage):
    """Draws in two threads as the portrait stage does; `opened` lets a drawing end, those for bob fail."""

    at_once = 2
    opened, threads = threading.Event(), ThreadPoolExecutor(at_once)  # of the class, so that it can be pickled

    def begin(
        self, faces: co.Array, state: str, steps: int | None = None, finish: Callable[[Frames], Frames] = lambda frames: frames
    ) -> tuple[Future[Drawn], str]:  # fmt: skip
        def draw() -> Drawn:
            self.opened.wait(10)
            if state == "bob":
                raise RuntimeError("no memory")
            return Drawn(finish(self.step(faces, state, steps)[0]), 1.0)

        return self.threads.submit(draw), state


@asynccontextmanager
async def drawing_elsewhere(folder: Path) -> AsyncIterator[tuple[Renderer, DrawsElsewhere]]:
    portrait = DrawsElsewhere()
    portrait.opened.clear()
    running = fake_renderer(folder, portrait, measures=False)
    await running.start()
    try:
        yield running, portrait
    finally:
        portrait.opened.set()
        await running.close()


async def ask(avatar: RemoteAvatar, chunk: int, presenter: str = "ada") -> Pictures:
    """Of a chunk that is being drawn."""
    now_s = time.monotonic()
    heard = Heard(chunk, presenter, np.zeros(MEDIA_CHUNK_SAMPLES, np.int16), now_s, now_s + 30)
    made, pictures = await avatar.make(heard, (), watched=True)
    assert made.drawn
    return pictures


def test_the_process_is_told_when_a_chunk_is_due_and_what_room_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[MakeChunk] = []
    make_by = RenderLink.make

    async def seen(link: RenderLink, request: MakeChunk) -> Any:
        asked.append(request)
        return await make_by(link, request)

    async def run() -> None:
        running = fake_renderer(tmp_path)
        await running.start()
        heard = Heard(3, "ada", np.zeros(MEDIA_CHUNK_SAMPLES, np.int16), 1.0, 2.0, room_s=0.25, above_room_s=-0.5)
        made, _ = await running.avatar("s", "ada", 0).make(heard, (), watched=False)
        await running.close()
        assert not made.drawn

    monkeypatch.setattr(RenderLink, "make", seen)
    asyncio.run(run())
    (request,) = asked
    assert (request.heard_s, request.due_s, request.room_s, request.above_room_s) == (1.0, 2.0, 0.25, -0.5)


def test_two_chunks_are_drawn_at_once_and_a_third_waits_until_the_first_is_fetched(tmp_path: Path) -> None:
    async def run() -> None:
        async with drawing_elsewhere(tmp_path) as (running, portrait):
            avatar = running.avatar("s", "ada", 0)
            drawn = [await ask(avatar, chunk) for chunk in range(2)]
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(avatar.ready(), 0.1)
            portrait.opened.set()
            for pictures in drawn:
                fetched = await asyncio.wait_for(pictures.fetch(), 5)
                assert fetched.pictures is not None and fetched.stage_ms["portrait"] == 1.0
            await asyncio.wait_for(avatar.ready(), 5)

    asyncio.run(run())


def test_a_drawing_that_fails_is_its_sessions_alone(tmp_path: Path) -> None:
    async def run() -> None:
        async with drawing_elsewhere(tmp_path) as (running, portrait):
            good, bad = running.avatar("good", "ada", 0), running.avatar("bad", "bob", 0)
            well, badly = await ask(good, 0), await ask(bad, 0, "bob")
            portrait.opened.set()
            with pytest.raises(RenderError, match="no memory"):
                await asyncio.wait_for(badly.fetch(), 5)
            assert (await asyncio.wait_for(well.fetch(), 5)).pictures is not None

    asyncio.run(run())


class FailsForBob(FakePortraitStage):
    """At once, so that the failure is told before the chunk is made."""

    def step(self, faces: co.Array, state: str, steps: int | None = None) -> tuple[np.ndarray, str]:
        if state == "bob":
            raise RuntimeError("no memory")
        return super().step(faces, state, steps)


def test_a_failure_that_comes_before_its_chunk_leaves_nothing_behind_to_wait_for(tmp_path: Path) -> None:
    async def run() -> None:
        running = fake_renderer(tmp_path, FailsForBob(), measures=False)
        await running.start()
        bad, link = running.avatar("bad", "bob", 0), await running.link()
        with pytest.raises(RenderError, match="no memory"):
            await make(bad, presenter="bob")
        bad.close()
        good = running.avatar("good", "ada", 0)
        for _ in range(3):
            await make(good)
        assert not link._begun_s and not link._drawings and not link._asked
        assert await running.avatar("next", "ada", 0).open() is link
        await running.close()

    asyncio.run(run())


def test_a_slot_is_nobody_elses_before_what_was_drawn_into_it_is_over(tmp_path: Path) -> None:
    async def run() -> None:
        async with drawing_elsewhere(tmp_path) as (running, portrait):
            avatar = running.avatar("gone", "ada", 0)
            pictures = await ask(avatar, 0)
            avatar.close()
            with pytest.raises(asyncio.CancelledError):
                await pictures.fetch()
            following = asyncio.create_task(running.avatar("next", "ada", 0).open())
            await asyncio.wait([following], timeout=0.2)
            assert not following.done()
            portrait.opened.set()
            await asyncio.wait_for(following, 5)

    asyncio.run(run())


def test_a_drawing_that_hangs_is_noticed_while_others_go_on(tmp_path: Path) -> None:
    async def run() -> None:
        async with drawing_elsewhere(tmp_path) as (running, portrait):
            link = await running.link()
            pictures = await ask(running.avatar("s", "ada", 0), 0)
            watched = asyncio.create_task(link._watch(0.3))
            other = running.avatar("other", "ada", 0)
            for _ in range(6):
                await other.open()
                await asyncio.sleep(0.1)
            assert (await asyncio.wait_for(watched, 1)).startswith("did not answer")
            assert link.suspects == {"s"}
            portrait.opened.set()
            await pictures.fetch()

    asyncio.run(run())


def fails() -> None:
    raise OSError("the disk is gone")


def dies() -> None:
    os._exit(3)


def test_a_start_that_fails_says_why() -> None:
    async def run() -> None:
        with pytest.raises(RenderError, match="the disk is gone"):
            await Renderer(Rendering(fails), 1).start()  # type: ignore[arg-type]
        with pytest.raises(RenderError, match="ended while it opened the networks"):
            await Renderer(Rendering(dies), 1).start()  # type: ignore[arg-type]

    asyncio.run(run())


def test_encoding_runs_in_its_own_thread_and_errors_come_back(tmp_path: Path) -> None:
    async def run() -> None:
        running = fake_renderer(tmp_path)
        assert (await running.encode(threading.current_thread)).name.startswith("encode")
        with pytest.raises(ZeroDivisionError):
            await running.encode(lambda: 1 / 0)
        await running.close()

    asyncio.run(run())
