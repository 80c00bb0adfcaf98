"""The render process is started again when it dies or hangs, and its avatars come back as they were."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from flap import coefficients as co
from realtime.control.commands import Command
from realtime.protocol.messages import PoseSet
from realtime.render.link import RendererLost, RenderError, launch_process
from realtime.render.messages import ChunkMade, Rendering
from realtime.render.renderer import Heard, RemoteAvatar, Renderer
from realtime.sound.microphone import MEDIA_CHUNK_SAMPLES
from tests.fakes import FakePortraitStage, fake_renderer, launch_thread


class DiesForBob(FakePortraitStage):
    def step(self, faces: co.Array, state: str, steps: int | None = None) -> tuple[np.ndarray, str]:
        if state == "bob":
            os._exit(9)
        return super().step(faces, state)


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
    made, pictures = await avatar.make(heard, commands, watched=True)
    assert len(pictures) == made.drawn == 2
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


def test_a_session_that_the_process_dies_of_is_given_up_and_others_go_on(tmp_path: Path) -> None:
    async def run() -> None:
        async with renderer(tmp_path, DiesForBob()) as running:
            good, bad = running.avatar("good", "ada", 0), running.avatar("bad", "bob", 0)
            with pytest.raises(RenderError, match="died 3 times"):
                await make_patiently(bad, "bob")
            assert running.restarts == 3
            bad.close()
            await make_patiently(good)

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
