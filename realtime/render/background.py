"""What is shown behind the head instead of the portrait's own background: a colour that OBS keys out, or a picture.

The motion field says where the head is on a grid of 64 x 64. Its edge is found on the pixels by how much they differ from what
lies behind (a guided filter: He, Sun and Tang, 2010), and what shines through there is taken out of the colours.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flap.config import FINE_SIZE
from realtime.media.compositor import read_square, resized
from realtime.render.backdrop import Backdrop

Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]
COLOUR = re.compile(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")
AROUND = (13, 13)  # pixels that an edge is looked for in
FLAT = 1e-3  # variance of a difference of 0..1 that is noise
SURELY_BEHIND, SURELY_HEAD = 0.1, 0.9  # of the filtered alpha


def read_background(text: str) -> Picture:
    """RGB `[n, n, 3]`, 512 wide at most, of `#rrggbb` or of the middle of a picture file. Raises ValueError for what is neither."""
    if match := COLOUR.fullmatch(text):
        colour = [int(part, 16) for part in match.groups()]
        return np.full((FINE_SIZE, FINE_SIZE, 3), colour, np.uint8)
    square = read_square(Path(text))
    if square is None:
        raise ValueError(f"{text} is neither a colour as #00ff00 nor a picture that can be read")
    return resized(square, FINE_SIZE) if len(square) > FINE_SIZE else square


def head_shares(frames: Picture, alpha: Floats, behind: Backdrop) -> list[Floats]:
    """Of each pixel of `frames` `[n, 256, 256, 3]`, in 0..1: what is the head's; `alpha` `[n, 64, 64]` says roughly where it is,
    `behind` what the frames show elsewhere."""
    return [head_share(frame, coarse, behind.picture) for frame, coarse in zip(frames, alpha, strict=True)]


def put_behind(frames: Picture, shares: Sequence[Floats], wall: Picture, background: Picture) -> None:
    """Draws `background` `[s, s, 3]` into `frames` `[n, s, s, 3]` where the head is not; they show `wall` `[s, s, 3]` there.
    `shares` are those of the head, of frames of this size or of smaller ones."""
    for frame, known in zip(frames, shares, strict=True):
        share = cv2.resize(known, frame.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        rest, nothing = 1 - share, np.zeros_like(frame)
        most = cv2.cvtColor(cv2.convertScaleAbs(share, alpha=255), cv2.COLOR_GRAY2RGB)
        head = cv2.min(cv2.subtract(frame, cv2.blendLinear(wall, nothing, rest, share)), most)
        cv2.add(head, cv2.blendLinear(background, nothing, rest, share), dst=frame)


def head_share(frame: Picture, coarse: Floats, behind: Picture) -> Floats:
    """Of each pixel of `frame` `[h, w, 3]`, `[h, w]` in 0..1: what is not of `behind`."""
    red, green, blue = cv2.split(cv2.absdiff(frame, behind))
    difference = cv2.max(cv2.max(red, green), blue).astype(np.float32) / 255
    roughly = cv2.resize(coarse, frame.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    mean_difference, mean = _mean(difference), _mean(roughly)
    variance = _mean(difference * difference) - mean_difference * mean_difference
    slope = (_mean(difference * roughly) - mean_difference * mean) / (variance + FLAT)
    fine = _mean(slope) * difference + _mean(mean - slope * mean_difference)
    return np.clip((fine - SURELY_BEHIND) / (SURELY_HEAD - SURELY_BEHIND), 0, 1)


def _mean(values: NDArray[Any]) -> Floats:
    return np.asarray(cv2.blur(values, AROUND), np.float32)
