"""Stages that cost nothing, so that the server around them can be tested."""

import asyncio
import os
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.bundle import Presenter
from flap import coefficients as co
from flap.config import CHUNK_FRAMES, FINE_SIZE, IMAGE_SIZE
from flap.speech import LOOKAHEAD_FRAMES
from realtime.pipeline import AvatarPipeline
from realtime.render.link import Launch
from realtime.render.messages import Rendering
from realtime.render.portrait import Drawn, Frames
from realtime.render.process import work
from realtime.render.renderer import Renderer
from realtime.telemetry.traces import ChunkTraces

SKIN = {"ada": (224, 172, 140), "bob": (150, 110, 90)}
LIPS_Y, EYES_Y = 180, 105


@dataclass(frozen=True)
class FakeFaces:
    faces: co.Array  # [1, 120]


class FakeVoiceGate:
    """Lets everything pass."""

    def init_state(self) -> int:
        return 0

    def step(self, pcm: NDArray[np.float32], state: int) -> tuple[NDArray[np.float32], int]:
        return pcm, state


class FakeAudioToFlame:
    """The jaw opens as the sound is loud, `lookahead_frames` later as with the real network."""

    lookahead_frames = LOOKAHEAD_FRAMES

    def init_state(self) -> NDArray[np.float32]:
        return np.zeros(self.lookahead_frames, np.float32)  # loudness of the frames that are not out yet

    def step(self, pcm: NDArray[np.float32], state: NDArray[np.float32]) -> tuple[FakeFaces, NDArray[np.float32]]:
        loudness = np.concatenate([state, np.sqrt((pcm.reshape(CHUNK_FRAMES, -1) ** 2).mean(1))])
        faces = co.neutral(CHUNK_FRAMES)
        faces[:, co.JAW.start] = np.clip(loudness[:CHUNK_FRAMES] * 3, 0, 1) * co.MAX_JAW_RAD
        return FakeFaces(faces), loudness[CHUNK_FRAMES:]


class FakeIdleMotion:
    """Still but for blinks on request."""

    def init_state(self, seed: int, blinks_per_minute: float = 15.0) -> int:
        return seed

    def step(
        self, speech: FakeFaces, state: int, *, blink_now: bool = False, blinks_per_minute: float | None = None,
        head_seen: NDArray[np.float32] | None = None,
    ) -> tuple[co.Array, int]:  # fmt: skip
        faces = speech.faces.copy()
        faces[:, co.EYELIDS] = float(blink_now)
        return faces, state


class FakePortraitStage:
    """A drawn face: yaw shifts it, the jaw opens its mouth, the lids close its eyes, a smile widens its lips."""

    steps, at_once, picture_size = 1, 1, IMAGE_SIZE

    def init_state(self, presenter_id: str, seed: int = 0) -> str:
        if presenter_id not in SKIN:
            raise KeyError(presenter_id)
        return presenter_id

    def begin(
        self, faces: co.Array, state: str, steps: int | None = None, finish: Callable[[Frames], Frames] = lambda frames: frames
    ) -> tuple[Future[Drawn], str]:  # fmt: skip
        """Drawn when it returns."""
        drawing, started_s = Future[Drawn](), time.perf_counter()
        try:
            frames, state = self.step(faces, state, steps)
            drawing.set_result(Drawn(finish(frames), 1000 * (time.perf_counter() - started_s)))
        except Exception as error:
            drawing.set_exception(error)
        return drawing, state

    def step(self, faces: co.Array, state: str, steps: int | None = None) -> tuple[NDArray[np.uint8], str]:
        drawn = np.stack([draw(face, SKIN[state]) for face in co.check(faces)])
        scale = self.picture_size // IMAGE_SIZE
        return drawn.repeat(scale, 1).repeat(scale, 2), state


class FineFakePortraitStage(FakePortraitStage):
    """Draws the same, twice as large, in `seconds` a chunk."""

    picture_size = FINE_SIZE

    def __init__(self, seconds: float = 0.0):
        self._seconds = seconds

    def step(self, faces: co.Array, state: str, steps: int | None = None) -> tuple[NDArray[np.uint8], str]:
        time.sleep(self._seconds)
        return super().step(faces, state, steps)


def draw(face: co.Array, skin: tuple[int, int, int]) -> NDArray[np.uint8]:
    """RGB `[256, 256, 3]`."""
    picture = np.full((IMAGE_SIZE, IMAGE_SIZE, 3), (70, 90, 120), np.uint8)
    x = 128 + round(float(np.rad2deg(face[co.YAW])) * 1.5)
    y = round(float(np.rad2deg(face[co.PITCH])) * 1.5)
    cv2.ellipse(picture, (x, 132 + y), (75, 100), float(np.rad2deg(face[co.ROLL])), 0, 360, skin, -1)
    for side, lid in zip((30, -30), face[co.EYELIDS], strict=True):
        cv2.ellipse(picture, (x + side, EYES_Y + y), (13, 1 + round(9 * float(1 - lid))), 0, 0, 360, (20, 20, 30), -1)
    width = 26 + round(14 * float(face[co.EXPRESSION_INDEX["mouthSmileLeft"]]))
    opening = 2 + round(30 * float(face[co.JAW.start]) / co.MAX_JAW_RAD)
    cv2.ellipse(picture, (x, LIPS_Y + y), (width, opening), 0, 0, 360, (60, 10, 15), -1)
    return picture


def mouth_opening(picture: NDArray[np.uint8]) -> int:
    """Dark pixels in the column of the mouth's middle, as `draw` makes them at yaw 0."""
    return int((picture[LIPS_Y - 45 : LIPS_Y + 45, 128].max(-1) < 100).sum())


def face_column(picture: NDArray[np.uint8]) -> float:
    """Where the face of `draw` is from left to right."""
    bright = picture[:, :, 0] > 120
    return float(np.nonzero(bright)[1].mean())


def fake_pipeline(portrait: FakePortraitStage | None = None) -> AvatarPipeline:
    return AvatarPipeline(FakeVoiceGate(), FakeAudioToFlame(), FakeIdleMotion(), portrait or FakePortraitStage())  # type: ignore[arg-type]


def fake_presenters(folder: Path) -> dict[str, Presenter]:
    """Two presenters with pictures in `folder`."""
    presenters = {}
    for presenter_id, skin in SKIN.items():
        path = folder / f"{presenter_id}.png"
        cv2.imwrite(str(path), draw(co.neutral(), skin)[:, :, ::-1])
        presenters[presenter_id] = Presenter(presenter_id, presenter_id.title(), path, co.neutral())
    return presenters


def open_fakes(folder: Path, portrait: FakePortraitStage | None = None) -> tuple[AvatarPipeline, dict[str, Presenter]]:
    """What `realtime.render.opening.open_pipeline` is to a bundle."""
    return fake_pipeline(portrait), fake_presenters(folder)


class ThreadAsProcess:
    """The render process as a thread of this one: as quick to start as tests want it, but it cannot be killed."""

    pid = os.getpid()

    def __init__(self, link: socket.socket, memory: int):
        self._work = asyncio.ensure_future(asyncio.to_thread(work, link, memory))

    async def wait(self) -> int:
        await asyncio.wait([self._work])
        return 0

    def kill(self) -> None:
        pass


async def launch_thread(link: socket.socket, memory: int) -> ThreadAsProcess:
    return ThreadAsProcess(link.dup(), os.dup(memory))


def fake_renderer(
    folder: Path,
    portrait: FakePortraitStage | None = None,
    launch: Launch = launch_thread,
    traces: ChunkTraces | None = None,
    measures: bool = True,
) -> Renderer:
    rendering = Rendering(partial(open_fakes, folder, portrait), measures)
    return Renderer(rendering, sessions=4, launch=launch, traces=traces)
