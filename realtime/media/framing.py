"""Where the picture of the avatar stands in its frame: moved and zoomed after it has been rendered, so that lips stay as they are."""

import cv2
import numpy as np
from numpy.typing import NDArray

UNMOVED = 1e-4


def framed(frames: NDArray[np.uint8], framing: NDArray[np.float64]) -> NDArray[np.uint8]:
    """RGB `[n, s, s, 3]` moved by x and y (shares of the picture, to the viewer's right and down) and zoomed about its middle
    by the exponential of the third, `framing` `[n, 3]`. What comes in from outside repeats the border."""
    if np.abs(framing).max(initial=0.0) < UNMOVED:
        return frames
    return np.stack([_place(frame, *place) for frame, place in zip(frames, framing, strict=True)])


def _place(frame: NDArray[np.uint8], x: float, y: float, log_zoom: float) -> NDArray[np.uint8]:
    size, zoom = frame.shape[0], float(np.exp(log_zoom))
    middle = (size - 1) / 2
    matrix = np.array(
        [[zoom, 0, middle - zoom * middle + x * size], [0, zoom, middle - zoom * middle + y * size]], np.float32
    )
    interpolation = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    moved = cv2.warpAffine(frame, matrix, (size, size), flags=interpolation, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)
