"""The portrait stage: a presenter's picture moved and redrawn by coefficients, a chunk of frames at a time."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.engine import EngineError
from flap import coefficients, scheduler
from flap.config import CHUNK_FRAMES, CONTEXT_FRAMES, IMAGE_SIZE, LATENT_CHANNELS, LATENT_SIZE

if TYPE_CHECKING:
    from engines.bundle import Bundle

Floats = NDArray[np.float32]
Frames = NDArray[np.uint8]
REFERENCE_NAMES = tuple(f"reference_{kind}_{i}" for i in range(3) for kind in ("key", "value"))


@dataclass(frozen=True)
class EncodedPortrait:
    """What one presenter's picture gives, computed once."""

    coefficients: Floats  # [1, 120]
    pixels: Floats  # [256, 256, 3] in -1..1
    latent: Floats  # [32, 32, 16]
    features: Floats  # [64, 64, 16]
    motion_features: Floats  # [1, w, 32, 32]
    reference: dict[str, Floats]  # REFERENCE_NAMES -> [1, hw, c]


@dataclass(frozen=True)
class PortraitState:
    """One stream: its presenter, its noise and the past frames that the temporal layers see."""

    portrait: EncodedPortrait
    noise: Floats  # [chunk, 16, 32, 32], the same in every chunk so that a still face stays still
    cache: dict[str, Floats]  # cache_{key,value}_i -> [1, context, hw, c]
    cache_mask: Floats  # [1, context], 1 where a past frame stands


class PortraitStage:
    """Moves and redraws portraits with the graphs of a bundle; holds weights and encoded portraits, no stream."""

    def __init__(self, bundle: "Bundle", steps: int = 1):
        self.engines, self.presenters, self.steps = bundle.engines, bundle.presenters, steps
        self._encoded: dict[str, EncodedPortrait] = {}

    def init_state(self, presenter_id: str, seed: int = 0) -> PortraitState:
        """A fresh stream of a presenter; raises KeyError for one that the bundle does not have."""
        if presenter_id not in self._encoded:
            self._encoded[presenter_id] = self._encode(presenter_id)
        noise = np.random.default_rng(seed).standard_normal((1, LATENT_CHANNELS, LATENT_SIZE, LATENT_SIZE))
        caches = {
            name: np.zeros(spec.shape, np.float32)
            for name, spec in self.engines["denoiser_step"].inputs.items()
            if name.startswith(("cache_key", "cache_value"))
        }
        return PortraitState(
            self._encoded[presenter_id], np.repeat(noise, CHUNK_FRAMES, 0).astype(np.float32), caches,
            np.zeros((1, CONTEXT_FRAMES), np.float32),
        )  # fmt: skip

    def step(self, faces: Floats, state: PortraitState) -> tuple[Frames, PortraitState]:
        """Coefficients `[chunk, 120]` to RGB frames `[chunk, 256, 256, 3]`; raises ValueError for NaN or another width."""
        faces = coefficients.limit(coefficients.check(faces))
        portrait = state.portrait
        field = self.engines["motion_field"].run(
            {
                "coefficients": faces,
                "portrait_coefficients": portrait.coefficients,
                "motion_features": portrait.motion_features,
            }
        )
        latent, state = self._denoise(faces, field, state)
        frames = self.engines["decoder"].run(
            {
                "latent": latent,
                "moved_features": move(portrait.features, field["source"]),
                "moved_pixels": move(portrait.pixels, field["source"]),
                "seen": field["seen"],
            }
        )["frames"]
        return frames, state

    def _denoise(self, faces: Floats, field: dict[str, Floats], state: PortraitState) -> tuple[Floats, PortraitState]:
        engine, latest = self.engines["denoiser_step"], {}
        fixed = {
            "coefficients": faces,
            "moved_latent": move(state.portrait.latent, field["source"]),
            "seen": field["seen"],
            "cache_mask": state.cache_mask,
            **state.portrait.reference,
            **state.cache,
        }

        def predict_velocity(noisy: Floats, t: float) -> Floats:
            latest.update(engine.run({"noisy": noisy, "t": np.full(CHUNK_FRAMES, t, np.float32), **fixed}))
            return latest["velocity"]

        latent = scheduler.sample(predict_velocity, state.noise, self.steps)
        cache = {
            name: np.concatenate([old[:, CHUNK_FRAMES:], latest[name.replace("cache_", "new_")]], 1)
            for name, old in state.cache.items()
        }
        mask = np.concatenate([state.cache_mask[:, CHUNK_FRAMES:], np.ones((1, CHUNK_FRAMES), np.float32)], 1)
        return latent.astype(np.float32), replace(state, cache=cache, cache_mask=mask)

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
        return EncodedPortrait(
            np.asarray(presenter.coefficients, np.float32).reshape(1, coefficients.SIZE), pixels,
            _channels_last(out["latent"]), _channels_last(out["features"]), out["motion_features"],
            {name: out[name] for name in REFERENCE_NAMES},
        )  # fmt: skip


def move(image: Floats, source: Floats) -> Floats:
    """`image` `[s, s, c]` sampled at `source` `[n, 2, 64, 64]` (-1..1, x then y), to `[n, s, s, c]`; the border repeats.

    Done here and not in a graph because OpenCV's remap takes a fifth of the time of ONNX Runtime's GridSample.
    """
    size = image.shape[0]
    out = np.empty((len(source), *image.shape), np.float32)
    for i, field in enumerate(source):
        interpolation = cv2.INTER_AREA if size < field.shape[1] else cv2.INTER_LINEAR
        x, y = (((cv2.resize(axis, (size, size), interpolation=interpolation) + 1) * size - 1) / 2 for axis in field)
        moved = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        out[i] = moved
    return out


def _channels_last(array: Floats) -> Floats:
    return np.ascontiguousarray(array[0].transpose(1, 2, 0))
