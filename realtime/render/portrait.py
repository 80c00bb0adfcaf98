"""The portrait stage: a presenter's picture moved and redrawn by coefficients, chunk after chunk, a few of them at the same time."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.engine import Engine, EngineError
from flap import coefficients, scheduler
from flap.config import CHUNK_FRAMES, FINE_SIZE, IMAGE_SIZE, LATENT_CHANNELS, LATENT_SIZE
from realtime.media.compositor import resized
from realtime.render.backdrop import Backdrop, backdrop, uncover
from realtime.render.background import head_shares, put_behind
from realtime.render.detail import enlarged, fine_detail, with_detail
from realtime.render.past_frames import PastFrames

if TYPE_CHECKING:
    from engines.bundle import Bundle

Floats = NDArray[np.float32]
Frames = NDArray[np.uint8]
Values = TypeVar("Values", Floats, Frames)
REFERENCE, PAST = "reference_", ("cache_key_", "cache_value_")  # what the names of a denoiser's inputs begin with
ON_CORES = "CPUExecutionProvider"  # the provider whose runs in several threads are faster than one after another
DRAWN_SHAPE = (CHUNK_FRAMES, IMAGE_SIZE, IMAGE_SIZE, 3)
MAX_ENCODED = 16  # presenters that are kept encoded, 2 to 3 MB each, deleted ones too until others are shown
ALPHA = 1  # of what the motion field sees: the portrait's pixel itself, then the person


@dataclass(frozen=True)
class EncodedPortrait:
    """What one presenter's picture gives, computed once."""

    coefficients: Floats  # [1, 120]
    pixels: Floats  # [256, 256, 3] in -1..1
    latent: Floats  # [32, 32, 16]
    features: Floats  # [64, 64, 16]
    motion_features: Floats  # [1, w, 32, 32]
    reference: dict[str, Floats]  # the denoiser's inputs of REFERENCE -> [1, hw, c]
    behind: Backdrop
    wall: Frames | None  # [s, s, 3], `behind` at the size of the pictures, where something else is put there
    detail: Frames | None  # [s, s], by how much a portrait of the pictures' size is brighter than what the networks see


@dataclass(frozen=True)
class PortraitState:
    """One stream: its presenter, its noise and the past frames that the temporal layers see."""

    portrait: EncodedPortrait
    noise: Floats  # [chunk, 16, 32, 32], the same in every chunk so that a still face stays still
    past: Future[PastFrames]  # cache_{key,value}_i, once the chunk before is denoised


@dataclass(frozen=True)
class Drawn:
    """A chunk's pictures, and the milliseconds that a thread drew them for."""

    frames: Frames  # [chunk, s, s, 3]
    spent_ms: float


class PortraitStage:
    """Moves and redraws portraits with the graphs of a bundle; holds weights and encoded portraits, no stream.

    `at_once` chunks are drawn at the same time, each by a thread of its own: of one stream the next one is moved while the one
    before is still being decoded, and denoised when that one is.
    """

    def __init__(
        self, bundle: "Bundle", steps: int = 1, background: Frames | None = None, picture_size: int = IMAGE_SIZE
    ):
        """`background` RGB `[n, n, 3]` instead of the portraits' own. Raises EngineError when the graphs do not draw a chunk
        in a run, or do not fit together."""
        self.picture_size = picture_size
        self._background = None if background is None else resized(background, picture_size)
        self.engines, self.presenters, self.steps = bundle.engines, bundle.presenters, steps
        denoiser = bundle.engines["denoiser_step"]
        if (frames := denoiser.inputs["noisy"].shape[0]) != CHUNK_FRAMES:
            raise EngineError(
                f"denoiser_step draws {frames} frames in a run, not {CHUNK_FRAMES}: export the bundle again"
            )
        given = bundle.engines["portrait_encoder"].outputs
        if lacking := [n for n, spec in denoiser.inputs.items() if n.startswith(REFERENCE) and given.get(n) != spec]:
            raise EngineError(
                f"denoiser_step reads {', '.join(lacking)}, which portrait_encoder does not give: export the bundle whole"
            )
        self.at_once = bundle.at_once if denoiser.provider == ON_CORES else 1
        self._threads = ThreadPoolExecutor(self.at_once, "portrait")
        self._own = threading.local()  # what passes between the graphs in a thread, so that no chunk allocates it
        self._encoded: dict[str, EncodedPortrait] = {}  # whoever was shown last is the last

    def init_state(self, presenter_id: str, seed: int = 0) -> PortraitState:
        """A fresh stream of a presenter; raises KeyError for one that the bundle does not have."""
        encoded = self._encoded.pop(presenter_id, None) or self._threads.submit(self._encode, presenter_id).result()
        self._encoded[presenter_id] = encoded
        if len(self._encoded) > MAX_ENCODED:
            del self._encoded[next(iter(self._encoded))]
        noise = np.random.default_rng(seed).standard_normal((1, LATENT_CHANNELS, LATENT_SIZE, LATENT_SIZE))
        denoiser, past = self.engines["denoiser_step"], Future[PastFrames]()
        caches = {name: spec.shape for name, spec in denoiser.inputs.items() if name.startswith(PAST)}
        past.set_result(PastFrames.none(caches, denoiser.empty))
        return PortraitState(encoded, np.repeat(noise, CHUNK_FRAMES, 0).astype(np.float32), past)

    def step(self, faces: Floats, state: PortraitState, steps: int | None = None) -> tuple[Frames, PortraitState]:
        """Coefficients `[chunk, 120]` to RGB frames `[chunk, s, s, 3]`, in `self.steps` steps of diffusion if None is said.

        Raises ValueError for NaN or another width.
        """
        drawing, state = self.begin(faces, state, steps)
        return drawing.result().frames, state

    def begin(
        self, faces: Floats, state: PortraitState, steps: int | None = None, finish: Callable[[Frames], Frames] = lambda frames: frames
    ) -> tuple[Future[Drawn], PortraitState]:  # fmt: skip
        """The same without waiting for the pictures, which `finish` is applied to; the next chunk may be begun at once."""
        faces, past = coefficients.limit(coefficients.check(faces)), Future[PastFrames]()
        drawing = self._threads.submit(self._draw, faces, state, steps or self.steps, finish, past)
        return drawing, replace(state, past=past)

    def _draw(
        self, faces: Floats, state: PortraitState, steps: int, finish: Callable[[Frames], Frames], past: Future[PastFrames]
    ) -> Drawn:  # fmt: skip
        """A chunk; `past` is told of it when it is denoised, or that it failed."""
        started_s = time.perf_counter()
        try:
            field = self._move(faces, state.portrait)
            latent, extended = self._denoise(faces, field, state, steps)
            past.set_result(extended)
        except BaseException as error:
            past.set_exception(error)
            raise
        frames = finish(self._decode(latent, field, state.portrait))
        return Drawn(frames, 1000 * (time.perf_counter() - started_s))

    @property
    def _scratch(self) -> dict[str, Floats]:
        """This thread's."""
        if not hasattr(self._own, "scratch"):
            denoiser, decoder = self.engines["denoiser_step"], self.engines["decoder"]
            between = {
                **self.engines["motion_field"].outputs,
                "moved_latent": denoiser.inputs["moved_latent"],
                "moved_features": decoder.inputs["moved_features"],
                "moved_pixels": decoder.inputs["moved_pixels"],
                "velocity": denoiser.outputs["velocity"],
            }
            self._own.scratch = {name: np.empty(spec.shape, np.float32) for name, spec in between.items()}
            self._own.detail = np.empty((CHUNK_FRAMES, self.picture_size, self.picture_size), np.uint8)
        scratch: dict[str, Floats] = self._own.scratch
        return scratch

    def _move(self, faces: Floats, portrait: EncodedPortrait) -> dict[str, Floats]:
        motion = self.engines["motion_field"]
        return motion.run(
            {
                "coefficients": faces,
                "portrait_coefficients": portrait.coefficients,
                "motion_features": portrait.motion_features,
            },
            {name: self._scratch[name] for name in motion.outputs},
        )

    def _decode(self, latent: Floats, field: dict[str, Floats], portrait: EncodedPortrait) -> Frames:
        frames, scratch = np.empty(DRAWN_SHAPE, np.uint8), self._scratch
        self.engines["decoder"].run(
            {
                "latent": latent,
                "moved_features": move(portrait.features, field["source"], scratch["moved_features"]),
                "moved_pixels": move(portrait.pixels, field["source"], scratch["moved_pixels"]),
                "seen": field["seen"],
            },
            {"frames": frames},
        )
        alpha = field["seen"][:, ALPHA]
        uncover(frames, alpha, portrait.behind)
        shares = None if self._background is None else head_shares(frames, alpha, portrait.behind)
        if self.picture_size != IMAGE_SIZE:
            frames = self._enlarge(frames, field["source"], scratch["moved_pixels"], portrait)
        if shares is not None and portrait.wall is not None and self._background is not None:
            put_behind(frames, shares, portrait.wall, self._background)
        return frames

    def _enlarge(self, frames: Frames, source: Floats, moved: Floats, portrait: EncodedPortrait) -> Frames:
        if portrait.detail is None:
            return np.stack([enlarged(frame, self.picture_size) for frame in frames])
        details = move(portrait.detail, source, self._own.detail)
        grid = source.shape[2]
        return np.stack([with_detail(*each, grid) for each in zip(frames, moved, details, strict=True)])

    def _denoise(
        self, faces: Floats, field: dict[str, Floats], state: PortraitState, steps: int
    ) -> tuple[Floats, PastFrames]:
        """The latent, and the past frames with these."""
        engine, scratch = self.engines["denoiser_step"], self._scratch
        moved = move(state.portrait.latent, field["source"], scratch["moved_latent"])
        past = state.past.result()
        room, extended = past.extended()
        into = {"velocity": scratch["velocity"], **{_new(name): frames for name, frames in room.items()}}
        fixed = {
            "coefficients": faces,
            "moved_latent": moved,
            "seen": field["seen"],
            "cache_mask": past.mask(),
            **state.portrait.reference,
            **past.window(),
        }

        def predict_velocity(noisy: Floats, t: float) -> Floats:
            inputs = {"noisy": noisy, "t": np.full(len(noisy), t, np.float32), **fixed}
            return engine.run(inputs, into)["velocity"]

        return scheduler.sample(predict_velocity, state.noise, steps), extended

    def _encode(self, presenter_id: str) -> EncodedPortrait:
        presenter = self.presenters[presenter_id]
        picture = cv2.imread(str(presenter.portrait_path))
        if picture is None or picture.shape not in [(size, size, 3) for size in (IMAGE_SIZE, FINE_SIZE)]:
            raise EngineError(
                f"{presenter.portrait_path} is no picture of {IMAGE_SIZE} x {IMAGE_SIZE} or {FINE_SIZE} x {FINE_SIZE}: "
                "export the bundle again"
            )
        fine = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
        image = np.asarray(cv2.resize(fine, (IMAGE_SIZE, IMAGE_SIZE), interpolation=cv2.INTER_AREA), np.uint8)
        pixels = image.astype(np.float32) / 127.5 - 1
        out = self.engines["portrait_encoder"].run({"image": pixels.transpose(2, 0, 1)[None].copy()})
        own = np.asarray(presenter.coefficients, np.float32).reshape(1, coefficients.SIZE)
        motion, denoiser = self.engines["motion_field"], self.engines["denoiser_step"]
        rest = np.repeat(own, motion.inputs["coefficients"].shape[0], 0)
        still = motion.run(
            {"coefficients": rest, "portrait_coefficients": own, "motion_features": out["motion_features"]}
        )
        behind = backdrop(image, still["seen"][0, ALPHA])
        return EncodedPortrait(
            own, pixels, _channels_last(out["latent"]), _channels_last(out["features"]), out["motion_features"],
            {name: _held(denoiser, out[name]) for name in denoiser.inputs if name.startswith(REFERENCE)},
            behind, None if self._background is None else enlarged(behind.picture, self.picture_size),
            fine_detail(fine, image) if len(fine) == self.picture_size != IMAGE_SIZE else None,
        )  # fmt: skip


def move(image: Values, source: Floats, out: Values | None = None) -> Values:
    """`image` `[s, s, c]` or `[s, s]`, floats or bytes, sampled at `source` `[n, 2, 64, 64]` (-1..1, x then y), to `[n, s, s, c]`;
    the border repeats.

    Done here and not in a graph because OpenCV's remap takes a fifth of the time of ONNX Runtime's GridSample.
    """
    size = image.shape[0]
    if out is None:
        out = np.empty((len(source), *image.shape), image.dtype)
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
