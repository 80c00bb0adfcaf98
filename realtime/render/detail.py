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
    """What `portrait` `[s, s, 3]` has beyond `small` `[256, 256, 3]`, plus ZERO."""
    difference = portrait.astype(np.int16) - enlarged(small, len(portrait))
    return np.clip(difference + ZERO, 0, 255).astype(np.uint8)


def with_detail(frame: Picture, moved: Floats, moved_detail: Picture, grid: int) -> Picture:
    """`frame` `[256, 256, 3]` enlarged to the size of `moved_detail`.

    `moved` `[256, 256, 3]` in -1..1 is the portrait where the frame has it; how far they are apart is told on a `grid` of so many
    squares a side.
    """
    size = moved_detail.shape[1::-1]
    smooth = enlarged(frame, size[0])
    apart = cv2.absdiff(frame, cv2.convertScaleAbs(moved, alpha=127.5, beta=127.5))
    levels = cv2.resize(apart, (grid, grid), interpolation=cv2.INTER_AREA).mean(-1, dtype=np.float32)
    share = cv2.resize(np.exp(-np.square(levels / GONE_LEVELS)), size, interpolation=cv2.INTER_LINEAR)
    fine = cv2.addWeighted(smooth, 1, moved_detail, 1, -ZERO)
    return np.asarray(cv2.blendLinear(fine, smooth, share, 1 - share), np.uint8)
