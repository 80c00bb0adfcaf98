"""Pictures larger than the networks draw: enlarged, with the fine detail that the portrait has moved along to where it still holds.

A motion field that says where each pixel of a small picture comes from says it of a large one too. What a portrait of twice the
size has beyond the small one (the band of a Laplacian pyramid: Burt and Adelson, 1983) is moved by the same field and added.
Where the networks have drawn something else than the moved portrait, such as an open mouth or a shut lid, its detail is of something that
is not there, and fades.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]
ZERO = 128  # in a picture of differences
GONE_LEVELS = 10.0  # so far from the moved portrait, 0.37 of the detail is left


def enlarged(picture: Picture, size: int) -> Picture:
    """`[h, w, 3]` to `[size, size, 3]`, smooth."""
    return np.asarray(cv2.resize(picture, (size, size), interpolation=cv2.INTER_CUBIC), np.uint8)


def fine_detail(portrait: Picture, small: Picture) -> Picture:
    """By how much `portrait` `[s, s, 3]` is brighter than `small` `[256, 256, 3]` enlarged: `[s, s]`, plus ZERO.

    Of colours nothing: video codecs keep them at half the size anyway (4:2:0), and one channel is moved in a third of the time.
    """
    difference = _brightness(portrait) - _brightness(enlarged(small, len(portrait)))
    return np.clip(difference + ZERO, 0, 255).astype(np.uint8)


def _brightness(picture: Picture) -> NDArray[np.int16]:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.int16)


def with_detail(frame: Picture, moved: Floats, moved_detail: Picture, grid: int) -> Picture:
    """`frame` `[256, 256, 3]` enlarged to the size of `moved_detail` `[s, s]`.

    `moved` `[256, 256, 3]` in -1..1 is the portrait where the frame has it; how far they are apart is told on a `grid` of so many
    squares a side.
    """
    size = moved_detail.shape[::-1]
    apart = cv2.absdiff(frame, cv2.convertScaleAbs(moved, alpha=127.5, beta=127.5))
    levels = cv2.resize(apart, (grid, grid), interpolation=cv2.INTER_AREA).mean(-1, dtype=np.float32)
    share = cv2.resize(np.exp(-np.square(levels / GONE_LEVELS)), size, interpolation=cv2.INTER_LINEAR)
    left = cv2.blendLinear(moved_detail, np.full_like(moved_detail, ZERO), share, 1 - share)
    return np.asarray(
        cv2.addWeighted(enlarged(frame, size[0]), 1, cv2.cvtColor(left, cv2.COLOR_GRAY2RGB), 1, -ZERO), np.uint8
    )
