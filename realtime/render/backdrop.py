"""What lies behind a portrait's head: shown where the head has moved away, which the portrait itself cannot show.

A network that has to guess it paints a pale trace of the head there. Backgrounds go on smoothly more often than not, so the
portrait's own background, grown inwards, is a better guess; it costs nothing while the head keeps its place.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]
MARGIN = np.ones((3, 3), np.uint8)  # of the 64 x 64 alpha: hair frays out beyond its edge
REACH = np.ones((5, 5), np.uint8)
SURELY_BACKGROUND = 0.05  # alpha below which a pixel of the portrait may be trusted to be no hair
SOFT = 0.3, 0.8  # how much must have been uncovered for the backdrop to begin to show, and to show alone


@dataclass(frozen=True)
class Backdrop:
    picture: Picture  # RGB [256, 256, 3]
    alpha: Floats  # [64, 64] of the portrait


def backdrop(portrait: Picture, alpha: Floats) -> Backdrop:
    """Of an RGB portrait `[256, 256, 3]` and its alpha `[64, 64]`, 1 where the person is."""
    size = portrait.shape[:2]
    near = cv2.resize(cv2.dilate(alpha, REACH), size, interpolation=cv2.INTER_LINEAR)
    known = (near < SURELY_BACKGROUND).astype(np.float32)
    if not known.any():  # nothing that could be grown: what the head uncovers stays as the networks guess it
        return Backdrop(portrait, np.zeros_like(alpha))
    grown = grow(portrait.astype(np.float32), known)
    return Backdrop(np.clip(np.rint(grown), 0, 255).astype(np.uint8), alpha)


def grow(picture: Floats, known: Floats) -> Floats:
    """`picture` `[h, w, c]` where `known` `[h, w]` is 1, and what surrounds it elsewhere, the smoother the further away.

    Pull-push: each hole is filled from the picture at half its size.
    """
    height, width = known.shape
    if not known.any():
        return picture
    if max(height, width) <= 2:
        mean = (picture * known[..., None]).sum((0, 1)) / known.sum()
        return np.where(known[..., None] > 0, picture, mean).astype(np.float32)
    amount = cv2.pyrDown(known)
    half = cv2.pyrDown(picture * known[..., None]) / np.maximum(amount, 1e-6)[..., None]
    filled = grow(half.astype(np.float32), np.minimum(4 * amount, 1))
    return picture * known[..., None] + cv2.pyrUp(filled, dstsize=(width, height)) * (1 - known[..., None])


def uncover(frames: Picture, alpha: Floats, behind: Backdrop) -> None:
    """Draws the backdrop into `frames` `[n, 256, 256, 3]` where the head no longer is; `alpha` `[n, 64, 64]` says where it is."""
    for frame, now in zip(frames, alpha, strict=True):
        left = np.maximum(behind.alpha - now, 0)
        if left.max() < SOFT[0]:
            continue
        fringe = cv2.dilate(behind.alpha, MARGIN) * (1 - now)
        share = np.minimum(cv2.dilate(left, REACH), fringe)
        rows, columns = (np.flatnonzero(share.max(axis) > SOFT[0]) for axis in (1, 0))
        if not len(rows):
            continue
        scale = frame.shape[0] // share.shape[0]
        top, bottom = max(rows[0] - 1, 0), min(rows[-1] + 2, share.shape[0])
        left_side, right = max(columns[0] - 1, 0), min(columns[-1] + 2, share.shape[1])
        at = slice(top * scale, bottom * scale), slice(left_side * scale, right * scale)
        # resized whole, so that the edges of the part lie where those of the frame do
        fine = cv2.resize(share, frame.shape[1::-1], interpolation=cv2.INTER_LINEAR)[at]
        weight = np.clip((fine - SOFT[0]) / (SOFT[1] - SOFT[0]), 0, 1)
        part = np.ascontiguousarray(frame[at])
        frame[at] = cv2.blendLinear(behind.picture[at].copy(), part, weight, 1 - weight)
