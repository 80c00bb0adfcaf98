"""Marks to mouth shapes with coarticulation: each mouth pulls every articulator towards its place, with a dominance that
fades before and after it (after Cohen and Massaro). Lips that must meet do meet, whatever their neighbours pull at.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from flap.config import FRAME_RATE_HZ
from flap.speech import OUTPUTS
from training.phones import Mark

Floats = NDArray[np.float32]


def _both(**shapes: float) -> dict[str, float]:
    return {f"{name}{side}": weight for name, weight in shapes.items() for side in ("Left", "Right")}


SHAPES: dict[str, dict[str, float]] = {
    "silence": {},
    "p": {"jawOpen": 0.0, "mouthRollLower": 0.1, "mouthRollUpper": 0.1, **_both(mouthPress=0.4)},
    "f": {"jawOpen": 0.04, "mouthRollLower": 0.7, **_both(mouthUpperUp=0.2)},
    "w": {"jawOpen": 0.08, "mouthPucker": 0.7, "mouthFunnel": 0.15},
    "th": {"jawOpen": 0.14, **_both(mouthUpperUp=0.1, mouthLowerDown=0.15)},
    "t": {"jawOpen": 0.13, **_both(mouthUpperUp=0.08, mouthLowerDown=0.15)},
    "s": {"jawOpen": 0.07, **_both(mouthStretch=0.15, mouthUpperUp=0.12, mouthLowerDown=0.22)},
    "sh": {"jawOpen": 0.09, "mouthFunnel": 0.5, **_both(mouthUpperUp=0.12, mouthLowerDown=0.12)},
    "l": {"jawOpen": 0.19, **_both(mouthLowerDown=0.1)},
    "r": {"jawOpen": 0.14, "mouthFunnel": 0.3, "mouthPucker": 0.15},
    "k": {"jawOpen": 0.18, **_both(mouthLowerDown=0.05)},
    "j": {"jawOpen": 0.13, **_both(mouthStretch=0.3)},
    "a": {"jawOpen": 0.52, **_both(mouthUpperUp=0.08, mouthLowerDown=0.2)},
    "ae": {"jawOpen": 0.46, **_both(mouthStretch=0.2, mouthUpperUp=0.12, mouthLowerDown=0.2)},
    "e": {"jawOpen": 0.34, **_both(mouthStretch=0.28, mouthLowerDown=0.15)},
    "i": {"jawOpen": 0.17, **_both(mouthStretch=0.38, mouthSmile=0.12, mouthLowerDown=0.15)},
    "o": {"jawOpen": 0.34, "mouthFunnel": 0.42, "mouthPucker": 0.12},
    "u": {"jawOpen": 0.15, "mouthPucker": 0.55, "mouthFunnel": 0.25},
    "y": {"jawOpen": 0.13, "mouthPucker": 0.5, "mouthFunnel": 0.2},
    "schwa": {"jawOpen": 0.24, **_both(mouthLowerDown=0.05)},
}  # fmt: skip
ARTICULATORS = ("jaw", "rounding", "spreading", "lips")
_OF_OUTPUT = [
    0 if name == "jawOpen" else 1 if name in ("mouthFunnel", "mouthPucker") else 2 if "Stretch" in name or "Smile" in name else 3
    for name in OUTPUTS
]  # fmt: skip
# how strongly a mouth insists on its jaw, rounding, spreading and lips; what it leaves free its neighbours decide
DOMINANCE: dict[str, tuple[float, float, float, float]] = {
    "silence": (0.8, 0.8, 0.8, 1.0), "p": (3.0, 0.3, 0.4, 5.0), "f": (3.0, 0.3, 0.4, 4.0), "w": (2.0, 3.0, 2.0, 1.0),
    "th": (1.0, 0.3, 0.4, 1.0), "t": (1.0, 0.2, 0.3, 0.8), "s": (1.6, 0.3, 0.6, 1.2), "sh": (1.5, 2.0, 1.0, 1.2),
    "l": (0.8, 0.3, 0.3, 0.6), "r": (0.9, 1.0, 0.6, 0.5), "k": (0.6, 0.2, 0.2, 0.4), "j": (0.9, 0.8, 0.9, 0.5),
    "a": (1.4, 0.7, 0.7, 0.8), "ae": (1.4, 0.8, 0.9, 0.8), "e": (1.2, 0.8, 0.9, 0.7), "i": (1.2, 1.0, 1.3, 0.8),
    "o": (1.3, 1.8, 1.0, 0.7), "u": (1.3, 2.2, 1.3, 0.7), "y": (1.3, 2.2, 1.0, 0.7), "schwa": (0.9, 0.4, 0.4, 0.4),
}  # fmt: skip
BEFORE_S = np.array([0.06, 0.11, 0.08, 0.055])  # how early each articulator sets out; rounding sets out first
AFTER_S = np.array([0.05, 0.07, 0.06, 0.045])
REST = 1e-3
CLOSURES = ("p", "f")
CLOSURE_MIDDLE = 0.4  # of a stop's time: what follows is the burst
CLOSURE_REACH_S = 0.045  # lips are shut this long to each side of the middle, and open over CLOSURE_EASE_S
CLOSURE_EASE_S = 0.05
QUIETEST_DB, JAW_OF_QUIET, JAW_OF_LOUD = -18.0, 0.62, 1.12


def vector(mouth: str) -> Floats:
    """The weights `[outputs]` of one mouth by itself."""
    return np.array([SHAPES[mouth].get(name, 0.0) for name in OUTPUTS], np.float32)


VECTORS = {mouth: vector(mouth) for mouth in SHAPES}


def centres_s(frames: int) -> NDArray[np.float64]:
    return (np.arange(frames) + 0.5) / FRAME_RATE_HZ


def closures(marks: Sequence[Mark], frames: int) -> Floats:
    """How shut the lips are `[frames, 2]` in p and f: 1 in the frame nearest to the middle of each, fading around it."""
    shut = np.zeros((frames, len(CLOSURES)), np.float32)
    at_s = centres_s(frames)
    for mouth, start_s, end_s in marks:
        if mouth in CLOSURES and frames:
            middle_s = start_s + (CLOSURE_MIDDLE if mouth == "p" else 0.5) * (end_s - start_s)
            reach_s = max(CLOSURE_REACH_S, 0.4 * (end_s - start_s)) if mouth == "f" else CLOSURE_REACH_S
            away_s = np.abs(at_s - middle_s)
            shape = np.clip(1 - (away_s - reach_s) / CLOSURE_EASE_S, 0, 1)
            nearest = int(away_s.argmin())
            if away_s[nearest] < 1 / FRAME_RATE_HZ:
                shape[nearest] = 1
            column = shut[:, CLOSURES.index(mouth)]
            np.maximum(column, shape, out=column)
    return shut


def targets(marks: Sequence[Mark], frames: int, loudness: Floats) -> Floats:
    """Weights `[frames, outputs]`; `loudness` `[frames]` 0..1 (see `relative_loudness`) opens the jaw further."""
    at_s = centres_s(frames)
    total = np.full((frames, len(ARTICULATORS)), REST)
    sums = np.zeros((frames, len(OUTPUTS)))
    for mouth, start_s, end_s in marks:
        before, after = np.maximum(0, start_s - at_s), np.maximum(0, at_s - end_s)
        fade = np.exp(-((before[:, None] / BEFORE_S) ** 1.5) - (after[:, None] / AFTER_S) ** 1.5)
        short = min(1.0, (end_s - start_s) / 0.12) if mouth == "silence" else 1.0
        pull = fade * np.array(DOMINANCE[mouth]) * short
        total += pull
        sums += pull[:, _OF_OUTPUT] * VECTORS[mouth]
    weights = sums / total[:, _OF_OUTPUT]
    weights[:, OUTPUTS.index("jawOpen")] *= JAW_OF_QUIET + (JAW_OF_LOUD - JAW_OF_QUIET) * loudness
    return close(weights.astype(np.float32), closures(marks, frames))


def close(weights: Floats, shut: Floats) -> Floats:
    """Weights with the lips shut as far as `shut` `[frames, 2]` says."""
    for column, mouth in enumerate(CLOSURES):
        amount = shut[:, column : column + 1]
        weights = weights * (1 - amount) + VECTORS[mouth] * amount
    return np.asarray(weights, np.float32)


def relative_loudness(sound: Floats, frames: int) -> Floats:
    """Level of each frame `[frames]`: 0 is QUIETEST_DB below the clip's loud frames, 1 is as loud as they."""
    samples = len(sound) // max(frames, 1)
    level = (sound[: frames * samples].reshape(frames, samples) ** 2).mean(1) + 1e-8
    smooth = np.convolve(np.pad(level, 1, mode="edge"), [0.25, 0.5, 0.25], "valid")
    decibels = 10 * np.log10(smooth / (np.percentile(smooth, 92) + 1e-8))
    return np.clip(1 - decibels / QUIETEST_DB, 0, 1).astype(np.float32)
