"""Phones to mouth shapes with coarticulation: each phone pulls the mouth towards its shape with a dominance that fades."""

import numpy as np
from numpy.typing import NDArray

from flap.config import FRAME_RATE_HZ
from flap.speech import OUTPUTS

PRESS = {"mouthPressLeft": 0.45, "mouthPressRight": 0.45, "jawOpen": 0.02}
WIDE = {"mouthStretchLeft": 0.35, "mouthStretchRight": 0.35, "mouthSmileLeft": 0.12, "mouthSmileRight": 0.12}
TEETH = {"mouthUpperUpLeft": 0.2, "mouthUpperUpRight": 0.2, "mouthLowerDownLeft": 0.2, "mouthLowerDownRight": 0.2}
LIP_TO_TEETH = {"mouthRollLower": 0.7, "mouthUpperUpLeft": 0.2, "mouthUpperUpRight": 0.2, "jawOpen": 0.04}
# shape and dominance; closures dominate their neighbours, h and schwa take their neighbours' shape
PHONES: dict[str, tuple[dict[str, float], float]] = {
    **{p: (PRESS, 6.0) for p in ("P", "B", "M")},
    **{p: (LIP_TO_TEETH, 4.0) for p in ("F", "V")},
    "AA": ({"jawOpen": 0.58}, 1.3), "AE": ({"jawOpen": 0.5, **WIDE}, 1.3), "AH": ({"jawOpen": 0.36}, 1.0),
    "AO": ({"jawOpen": 0.45, "mouthFunnel": 0.45}, 1.3), "AW": ({"jawOpen": 0.5, "mouthFunnel": 0.25}, 1.3),
    "AY": ({"jawOpen": 0.5, **WIDE}, 1.3), "EH": ({"jawOpen": 0.36, **WIDE}, 1.2), "ER": ({"jawOpen": 0.24, "mouthFunnel": 0.3}, 1.0),
    "EY": ({"jawOpen": 0.28, **WIDE}, 1.2), "IH": ({"jawOpen": 0.22, **WIDE}, 1.0), "IY": ({"jawOpen": 0.16, **WIDE}, 1.3),
    "OW": ({"jawOpen": 0.32, "mouthFunnel": 0.5, "mouthPucker": 0.15}, 1.4), "OY": ({"jawOpen": 0.34, "mouthFunnel": 0.45}, 1.3),
    "UH": ({"jawOpen": 0.2, "mouthFunnel": 0.4}, 1.2), "UW": ({"jawOpen": 0.13, "mouthPucker": 0.6, "mouthFunnel": 0.2}, 1.6),
    "W": ({"jawOpen": 0.08, "mouthPucker": 0.7}, 2.0), "R": ({"jawOpen": 0.14, "mouthFunnel": 0.3}, 0.9),
    "L": ({"jawOpen": 0.24}, 0.8), "Y": ({"jawOpen": 0.12, **WIDE}, 0.9), "HH": ({"jawOpen": 0.2}, 0.3),
    **{p: ({"jawOpen": 0.09, **TEETH}, 1.4) for p in ("S", "Z")},
    **{p: ({"jawOpen": 0.1, "mouthFunnel": 0.5, **TEETH}, 1.5) for p in ("SH", "ZH", "CH", "JH")},
    **{p: ({"jawOpen": 0.14, **TEETH}, 0.9) for p in ("T", "D", "N", "TH", "DH")},
    **{p: ({"jawOpen": 0.2}, 0.7) for p in ("K", "G", "NG")},
    "SIL": ({}, 1.0),
}  # fmt: skip
FADE_S = 0.055


def targets(phones: list[tuple[str, float, float]], frames: int, loudness: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weights `[frames, outputs]` of (phone, start s, end s); `loudness` `[frames]` 0..1 opens the jaw further."""
    centres_s = (np.arange(frames) + 0.5) / FRAME_RATE_HZ
    total, sums = np.full((frames, 1), 1e-3), np.zeros((frames, len(OUTPUTS)))
    for phone, start_s, end_s in phones:
        shape, dominance = PHONES.get(phone.rstrip("012"), ({"jawOpen": 0.15}, 0.6))
        outside = np.maximum(0, np.maximum(start_s - centres_s, centres_s - end_s))
        pull = dominance * np.exp(-((outside / FADE_S) ** 1.5))[:, None]
        total += pull
        sums += pull * np.array([shape.get(name, 0.0) for name in OUTPUTS])
    weights = sums / total
    weights[:, 0] *= 0.65 + 0.55 * loudness
    return weights.astype(np.float32)
