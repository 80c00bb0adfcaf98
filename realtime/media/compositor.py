"""From what the avatar looks like to what viewers see: a still picture in its place, a text over it, the label that says AI."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from flap.config import IMAGE_SIZE
from realtime.media.disclosure import Disclosure
from realtime.media.overlay import burn_overlay

FADE_FRAMES = 8  # from one source of pictures to another, a third of a second
Picture = NDArray[np.uint8]  # RGB [s, s, 3]


@dataclass(frozen=True)
class Dressing:
    """What is done to pictures before they are encoded: a text over them, a still picture in their place."""

    overlay: str | None = None
    still: Path | None = None


class Compositor:
    """Owns what was shown last; the encode thread alone works with it."""

    def __init__(self, disclosure: Disclosure, picture_size: int = IMAGE_SIZE):
        self._disclosure, self._size = disclosure, picture_size
        self._shown: Picture | None = None  # without text and label
        self._leaving: Picture | None = None
        self._fade_frame = 0  # the first on which it leaves

    def compose(self, picture: Picture | None, dressing: Dressing, frame: int, cut: bool = False) -> Picture | None:
        """What is shown as `frame`; after a `cut` what was shown before fades out. None when there is nothing to show yet."""
        still = read_still(dressing.still, self._size) if dressing.still else None
        base = picture if still is None else still
        if base is None:
            return None
        if cut:
            self._leaving, self._fade_frame = self._shown, frame
        self._shown = base = self._fade(base, frame)
        if dressing.overlay:
            base = burn_overlay(base, dressing.overlay, self._disclosure)
        return self._disclosure.burn(base)

    def forget(self) -> None:
        """What is shown next fades in from nothing."""
        self._shown = self._leaving = None

    def _fade(self, coming: Picture, frame: int) -> Picture:
        share = (frame - self._fade_frame + 1) / FADE_FRAMES
        if self._leaving is None or share >= 1:
            self._leaving = None
            return coming
        return np.asarray(cv2.addWeighted(coming, share, self._leaving, 1 - share, 0), np.uint8)


@lru_cache(maxsize=8)
def read_still(path: Path, size: int = IMAGE_SIZE) -> Picture | None:
    """The middle of a picture file `[size, size, 3]`, None when there is none that can be read."""
    square = read_square(path)
    return None if square is None else resized(square, size)


def read_square(path: Path) -> Picture | None:
    """The middle of a picture file as large as it is, None when there is none that can be read."""
    picture = cv2.imread(str(path))
    if picture is None:
        return None
    side = min(picture.shape[:2])
    top, left = ((length - side) // 2 for length in picture.shape[:2])
    square = picture[top : top + side, left : left + side]
    return np.asarray(cv2.cvtColor(square, cv2.COLOR_BGR2RGB), np.uint8)


def resized(square: Picture, size: int) -> Picture:
    """`[n, n, 3]` to `[size, size, 3]`."""
    method = cv2.INTER_AREA if len(square) > size else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(square, (size, size), interpolation=method), np.uint8)
