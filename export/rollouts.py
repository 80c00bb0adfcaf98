"""Presenters animated by graphs as the server does it, to compare graphs with each other and to calibrate them."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engines.bundle import Bundle
from engines.engine import Array, Engine, TensorSpec
from flap import scheduler
from flap.coefficients import SIZE, limit
from flap.config import CHUNK_FRAMES, CONTEXT_FRAMES, IMAGE_SIZE, SAMPLE_RATE_HZ
from flap.portrait_alignment import expected_points
from flap.speech import HOPS_PER_FRAME
from realtime.face.audio_to_flame import AudioToFlameStage
from realtime.render.portrait import PortraitStage
from training.motions import random_clip

STEPS = (1, 2)  # denoising steps that the server offers by default
MOUTH_PIXELS = np.array([28.0, 24.0])  # half the width and height of the portrait's mouth with a margin


@dataclass(frozen=True)
class Rollout:
    """What a stream showed."""

    frames: NDArray[np.uint8]  # [n, 256, 256, 3]
    mouth: NDArray[np.bool_]  # [n, 256, 256], where the portrait's mouth has been moved to
    chunk_ms: tuple[float, ...]


class Recorder:
    """An engine that keeps what it was given and gave, every `every`-th run of at most `limit`."""

    def __init__(self, engine: Engine, every: int = 1, limit: int = 1_000_000):
        self._engine, self._every, self._limit, self._runs = engine, every, limit, 0
        self.inputs: Mapping[str, TensorSpec] = engine.inputs
        self.outputs: Mapping[str, TensorSpec] = engine.outputs
        self.provider, self.empty = engine.provider, engine.empty
        self.fed: list[dict[str, Array]] = []
        self.made: list[dict[str, Array]] = []

    def run(self, inputs: Mapping[str, Array], into: Mapping[str, Array] | None = None) -> dict[str, Array]:
        outputs = self._engine.run(inputs, into)
        if self._runs % self._every == 0 and len(self.fed) < self._limit:
            self.fed.append({name: array.copy() for name, array in inputs.items()})
            self.made.append({name: array.copy() for name, array in outputs.items()})
        self._runs += 1
        return outputs


class Stream:
    """One presenter who makes random motions, a chunk at a time."""

    def __init__(self, bundle: Bundle, presenter: str, steps: int, seed: int, chunks: int):
        self._stage, self._field = PortraitStage(bundle, steps), bundle.engines["motion_field"]
        self._state = self._stage.init_state(presenter, seed)
        self._faces = random_clip(np.random.default_rng(seed), chunks * CHUNK_FRAMES)
        rotation = bundle.presenters[presenter].coefficients[:3]
        self._mouth_at = (expected_points(rotation)[2] + 0.5) * (2 / IMAGE_SIZE) - 1
        self._frames: list[NDArray[np.uint8]] = []
        self._chunk_ms: list[float] = []

    def step(self) -> None:
        first = len(self._frames) * CHUNK_FRAMES
        started_s = time.perf_counter()
        frames, self._state = self._stage.step(self._faces[first : first + CHUNK_FRAMES], self._state)
        self._chunk_ms.append((time.perf_counter() - started_s) * 1000)
        self._frames.append(frames)

    def finished(self) -> Rollout:
        portrait, a_run = self._state.portrait, self._field.inputs["coefficients"].shape[0]
        still = {"portrait_coefficients": portrait.coefficients, "motion_features": portrait.motion_features}
        faces = limit(self._faces[: len(self._frames) * CHUNK_FRAMES]).reshape(-1, a_run, SIZE)
        # [n, 2, s, s] in -1..1
        source = np.concatenate([self._field.run({"coefficients": face, **still})["source"] for face in faces])
        away = np.abs(source - self._mouth_at[None, :, None, None]) * (IMAGE_SIZE / 2)
        inside = (away < MOUTH_PIXELS[None, :, None, None]).all(1)
        scale = IMAGE_SIZE // inside.shape[1]
        return Rollout(np.concatenate(self._frames), inside.repeat(scale, 1).repeat(scale, 2), tuple(self._chunk_ms))


def side_by_side(
    bundles: Mapping[str, Bundle], seeds: range, chunks: int, presenters: Sequence[str] = ()
) -> Iterator[tuple[int, dict[str, Rollout]]]:
    """The same presenters and motions with each bundle's graphs, chunk by chunk in turn so that times can be compared.

    Yields the number of steps and a rollout for each bundle; `presenters`, or all where none are named, take turns over the
    seeds.
    """
    names = presenters or list(next(iter(bundles.values())).presenters)
    for steps in STEPS:
        for seed in seeds:
            presenter = whose_turn(names, seed)
            streams = {key: Stream(bundle, presenter, steps, seed, chunks) for key, bundle in bundles.items()}
            for _ in range(chunks):
                for stream in streams.values():
                    stream.step()
            yield steps, {key: stream.finished() for key, stream in streams.items()}


def whose_turn(presenters: Sequence[str], seed: int) -> str:
    return presenters[seed % len(presenters)]


def record(bundle: Bundle, seeds: range, chunks: int, every: int = 1) -> dict[str, Recorder]:
    """What each graph of a bundle is fed and gives in rollouts over all steps, and while it listens to a voice."""
    recorders = {
        name: Recorder(engine, 1 if name == "portrait_encoder" else every) for name, engine in bundle.engines.items()
    }
    for _ in side_by_side({"": replace(bundle, engines=recorders, threads=1)}, seeds, chunks):
        pass
    listener = AudioToFlameStage(recorders["audio_to_flame"])
    state = listener.init_state()
    for pcm in voice(chunks * len(seeds)):
        _, state = listener.step(pcm, state)
    return recorders


def record_noise(bundle: Bundle) -> dict[str, Recorder]:
    """The same for a bundle without presenters: each graph once on noise, at one noise level, with half of a past."""
    recorders = {name: Recorder(engine) for name, engine in bundle.engines.items()}
    rng = np.random.default_rng(0)
    for recorder in recorders.values():
        fed = {
            name: (0.5 * rng.standard_normal(spec.shape)).astype(spec.dtype) for name, spec in recorder.inputs.items()
        }
        if "t" in fed:
            fed["t"][:], fed["cache_mask"][:] = scheduler.MIDPOINT, np.arange(CONTEXT_FRAMES) >= CONTEXT_FRAMES // 2
        recorder.run(fed)
    return recorders


def voice(chunks: int) -> NDArray[np.float32]:
    """Syllables of a voiced sound at 16 kHz with pauses, `[chunks, 640]`; always the same."""
    chunk_samples = CHUNK_FRAMES * HOPS_PER_FRAME * SAMPLE_RATE_HZ // 100
    seconds = np.arange(chunks * chunk_samples) / SAMPLE_RATE_HZ
    pitch = 120 + 20 * np.sin(2 * np.pi * 0.7 * seconds)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE_HZ
    sound = sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 25))
    loudness = np.clip(np.sin(2 * np.pi * 3.1 * seconds), 0, None) * (np.sin(2 * np.pi * 0.4 * seconds) > -0.6)
    noise = np.random.default_rng(0).standard_normal(len(seconds)) * 0.003
    return (0.2 * loudness * sound + noise).astype(np.float32).reshape(chunks, chunk_samples)
