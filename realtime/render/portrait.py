"""The portrait stage: a presenter's picture moved and redrawn by coefficients, a chunk of frames at a time."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.engine import Engine, EngineError
from flap import coefficients, scheduler
from flap.config import CHUNK_FRAMES, IMAGE_SIZE, LATENT_CHANNELS, LATENT_SIZE
from realtime.render.backdrop import Backdrop, backdrop, uncover
from realtime.render.past_frames import PastFrames

if TYPE_CHECKING:
    from engines.bundle import Bundle

Floats = NDArray[np.float32]
Frames = NDArray[np.uint8]
REFERENCE_NAMES = tuple(f"reference_{kind}_{i}" for i in range(3) for kind in ("key", "value"))
PAST_NAMES = tuple(f"cache_{kind}_{i}" for i in range(3) for kind in ("key", "value"))
ON_CORES = "CPUExecutionProvider"  # the provider whose runs in several threads are faster than one after another
FRAMES_SHAPE = (CHUNK_FRAMES, IMAGE_SIZE, IMAGE_SIZE, 3)
ALPHA = 1  # of what the motion field sees: the portrait's pixel itself, then the person


@dataclass(frozen=True)
class EncodedPortrait:
    """What one presenter's picture gives, computed once."""

    coefficients: Floats  # [1, 120]
    pixels: Floats  # [256, 256, 3] in -1..1
    latent: Floats  # [32, 32, 16]
    features: Floats  # [64, 64, 16]
    motion_features: Floats  # [1, w, 32, 32]
    reference: dict[str, Floats]  # REFERENCE_NAMES -> [1, hw, c]
    behind: Backdrop


@dataclass(frozen=True)
class PortraitState:
    """One stream: its presenter, its noise and the past frames that the temporal layers see."""

    portrait: EncodedPortrait
    noise: Floats  # [chunk, 16, 32, 32], the same in every chunk so that a still face stays still
    past: PastFrames  # cache_{key,value}_i
    scratch: dict[str, Floats]  # what passes between the graphs within a step, so that no chunk allocates it


@dataclass(frozen=True)
class Chunk:
    """What is told of a chunk and where it is written, the frames of all arrays in the same order."""

    faces: Floats  # [chunk, 120]
    steps: int
    past: dict[str, Floats]  # cache_{key,value}_i [1, context, hw, heads, c / heads] and their mask
    room: dict[str, Floats]  # cache_{key,value}_i [1, chunk, hw, heads, c / heads]
    frames: Frames  # [chunk, 256, 256, 3]


class PortraitStage:
    """Moves and redraws portraits with the graphs of a bundle; holds weights and encoded portraits, no stream.

    Graphs that draw one frame a run draw the frames of a chunk side by side, each on a core of its own.
    """

    def __init__(self, bundle: "Bundle", steps: int = 1):
        self.engines, self.presenters, self.steps = bundle.engines, bundle.presenters, steps
        self._encoded: dict[str, EncodedPortrait] = {}
        denoiser = bundle.engines["denoiser_step"]
        run_frames = denoiser.inputs["noisy"].shape[0]
        self._parts = [slice(first, first + run_frames) for first in range(0, CHUNK_FRAMES, run_frames)]
        helpers = min(bundle.threads, len(self._parts)) - 1 if denoiser.provider == ON_CORES else 0
        self._helpers = ThreadPoolExecutor(helpers, "portrait") if helpers else None

    def init_state(self, presenter_id: str, seed: int = 0) -> PortraitState:
        """A fresh stream of a presenter; raises KeyError for one that the bundle does not have."""
        if presenter_id not in self._encoded:
            self._encoded[presenter_id] = self._encode(presenter_id)
        noise = np.random.default_rng(seed).standard_normal((1, LATENT_CHANNELS, LATENT_SIZE, LATENT_SIZE))
        denoiser, decoder = self.engines["denoiser_step"], self.engines["decoder"]
        caches = {name: spec.shape for name, spec in denoiser.inputs.items() if name in PAST_NAMES}
        between = {
            **self.engines["motion_field"].outputs,
            "moved_latent": denoiser.inputs["moved_latent"],
            "moved_features": decoder.inputs["moved_features"],
            "moved_pixels": decoder.inputs["moved_pixels"],
            "velocity": denoiser.outputs["velocity"],
        }
        return PortraitState(
            self._encoded[presenter_id], np.repeat(noise, CHUNK_FRAMES, 0).astype(np.float32), PastFrames.none(caches, denoiser.empty),
            {name: np.empty((CHUNK_FRAMES, *spec.shape[1:]), np.float32) for name, spec in between.items()},
        )  # fmt: skip

    def step(self, faces: Floats, state: PortraitState, steps: int | None = None) -> tuple[Frames, PortraitState]:
        """Coefficients `[chunk, 120]` to RGB frames `[chunk, 256, 256, 3]`, in `self.steps` steps of diffusion if None is said.

        Raises ValueError for NaN or another width.
        """
        room, past = state.past.extended()
        chunk = Chunk(
            coefficients.limit(coefficients.check(faces)), steps or self.steps,
            state.past.window() | {"cache_mask": state.past.mask()}, room, np.empty(FRAMES_SHAPE, np.uint8),
        )  # fmt: skip
        self._in_parts(lambda part: self._draw(part, chunk, state))
        return chunk.frames, replace(state, past=past)

    def _in_parts(self, draw: Callable[[slice], None]) -> None:
        first, *others = self._parts
        if self._helpers is None:
            for part in self._parts:
                draw(part)
            return
        helped = [self._helpers.submit(draw, part) for part in others]
        try:
            draw(first)
        finally:
            wait(helped)  # nobody may go on writing into the stream when the step is over
        for future in helped:
            future.result()

    def _draw(self, part: slice, chunk: Chunk, state: PortraitState) -> None:
        """The frames `part` of a chunk."""
        portrait, scratch = state.portrait, {name: array[part] for name, array in state.scratch.items()}
        motion, frames = self.engines["motion_field"], chunk.frames[part]
        field = motion.run(
            {
                "coefficients": chunk.faces[part],
                "portrait_coefficients": portrait.coefficients,
                "motion_features": portrait.motion_features,
            },
            {name: scratch[name] for name in motion.outputs},
        )
        self.engines["decoder"].run(
            {
                "latent": self._denoise(part, chunk, field, state),
                "moved_features": move(portrait.features, field["source"], scratch["moved_features"]),
                "moved_pixels": move(portrait.pixels, field["source"], scratch["moved_pixels"]),
                "seen": field["seen"],
            },
            {"frames": frames},
        )
        uncover(frames, field["seen"][:, ALPHA], portrait.behind)

    def _denoise(self, part: slice, chunk: Chunk, field: dict[str, Floats], state: PortraitState) -> Floats:
        engine = self.engines["denoiser_step"]
        into = {"velocity": state.scratch["velocity"][part]}
        into |= {_new(name): frames[:, part] for name, frames in chunk.room.items()}
        fixed = {
            "coefficients": chunk.faces[part],
            "moved_latent": move(state.portrait.latent, field["source"], state.scratch["moved_latent"][part]),
            "seen": field["seen"],
            **state.portrait.reference,
            **chunk.past,
        }

        def predict_velocity(noisy: Floats, t: float) -> Floats:
            inputs = {"noisy": noisy, "t": np.full(len(noisy), t, np.float32), **fixed}
            return engine.run(inputs, into)["velocity"]

        return scheduler.sample(predict_velocity, state.noise[part], chunk.steps)

    def _encode(self, presenter_id: str) -> EncodedPortrait:
        presenter = self.presenters[presenter_id]
        picture = cv2.imread(str(presenter.portrait_path))
        if picture is None or picture.shape != (IMAGE_SIZE, IMAGE_SIZE, 3):
            raise EngineError(
                f"{presenter.portrait_path} is no {IMAGE_SIZE} x {IMAGE_SIZE} picture: export the bundle again"
            )
        image = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        pixels = image.astype(np.float32) / 127.5 - 1
        out = self.engines["portrait_encoder"].run({"image": pixels.transpose(2, 0, 1)[None].copy()})
        own = np.asarray(presenter.coefficients, np.float32).reshape(1, coefficients.SIZE)
        motion = self.engines["motion_field"]
        rest = np.repeat(own, motion.inputs["coefficients"].shape[0], 0)
        still = motion.run(
            {"coefficients": rest, "portrait_coefficients": own, "motion_features": out["motion_features"]}
        )
        return EncodedPortrait(
            own, pixels, _channels_last(out["latent"]), _channels_last(out["features"]), out["motion_features"],
            {name: _held(self.engines["denoiser_step"], out[name]) for name in REFERENCE_NAMES},
            backdrop(np.asarray(image, np.uint8), still["seen"][0, ALPHA]),
        )  # fmt: skip


def move(image: Floats, source: Floats, out: Floats | None = None) -> Floats:
    """`image` `[s, s, c]` sampled at `source` `[n, 2, 64, 64]` (-1..1, x then y), to `[n, s, s, c]`; the border repeats.

    Done here and not in a graph because OpenCV's remap takes a fifth of the time of ONNX Runtime's GridSample.
    """
    size = image.shape[0]
    if out is None:
        out = np.empty((len(source), *image.shape), np.float32)
    interpolation = cv2.INTER_AREA if size < source.shape[2] else cv2.INTER_LINEAR
    pixels = (source + 1) * (size / 2) - 0.5  # before the resize, which is linear: a sixteenth of the work at 256
    for (x, y), moved in zip(pixels, out, strict=True):
        at_x, at_y = (cv2.resize(axis, (size, size), interpolation=interpolation) for axis in (x, y))
        cv2.remap(image, at_x, at_y, cv2.INTER_LINEAR, moved, cv2.BORDER_REPLICATE)
    return out


def _held(engine: Engine, array: Floats) -> Floats:
    """A copy where `engine` reads it."""
    copy = engine.empty(array.shape, "float32")
    copy[:] = array
    return copy


def _channels_last(array: Floats) -> Floats:
    return np.ascontiguousarray(array[0].transpose(1, 2, 0))


def _new(cache: str) -> str:
    """The output that extends a cache."""
    return cache.replace("cache_", "new_")
