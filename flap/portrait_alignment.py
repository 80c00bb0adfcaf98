"""Where a presenter's face stands in the portrait, and the similarity that brings a photograph there.

Training frames every head by its eye line and its mouth line (`training/render/rasterizer.py`). Seen by MediaPipe, eyes
and mouth then are three points of a rigid body that turns about a pivot; the numbers below are the least-squares fit over
22 rendered people and 300 poses, to 2 pixels.
"""

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from flap import coefficients as co
from flap.config import IMAGE_SIZE

Points = NDArray[np.float64]

# MediaPipe's landmarks: corners of the eyes and of the mouth; left and right are the person's own
RIGHT_EYE, LEFT_EYE, MOUTH = (33, 133), (263, 362), (61, 291)

PIVOT = np.array([127.5, 175.9])  # pixels of the portrait, x right, y down
# right eye, left eye, mouth from the pivot in pixels: x to the person's left, y up, z out of the face
HEAD_POINTS = np.array([[-26.3, 60.9, 89.5], [26.3, 60.9, 89.5], [0.0, 4.5, 96.3]])
FEATHER_PIXELS = 10.0
FILL_BLUR_PIXELS = 14.0


def face_points(landmarks: Points) -> Points:
    """Right eye, left eye and mouth `[3, 2]` of landmarks `[478, 2 or 3]`."""
    return np.stack([landmarks[list(pair), :2].mean(0) for pair in (RIGHT_EYE, LEFT_EYE, MOUTH)])


def expected_points(rotation: ArrayLike) -> Points:
    """Where training shows right eye, left eye and mouth `[3, 2]` of a head with this rotation `[3]` (radians)."""
    turned = HEAD_POINTS @ co.euler_matrix(rotation).T
    return PIVOT + turned[:, :2] * (1, -1)


def similarity(source: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
    """The turn, scale and shift `[2, 3]` that bring points `[n, 2]` closest to others (Umeyama's least squares)."""
    a, b = np.asarray(source, np.float64), np.asarray(target, np.float64)
    a0, b0 = a - a.mean(0), b - b.mean(0)
    spread = (a0**2).sum()
    if spread < 1e-9:
        raise ValueError("points that coincide define no similarity")
    along = (a0 * b0).sum() / spread
    across = (a0[:, 0] * b0[:, 1] - a0[:, 1] * b0[:, 0]).sum() / spread
    turn = np.array([[along, -across], [across, along]])
    return np.concatenate([turn, (b.mean(0) - turn @ a.mean(0))[:, None]], 1)


def framing(landmarks: Points, rotation: ArrayLike) -> NDArray[np.float64]:
    """The similarity `[2, 3]` from a photograph to the portrait; it takes the head's roll out."""
    upright = np.array(rotation, np.float64)
    upright[co.ROLL] = 0
    return similarity(face_points(landmarks), expected_points(upright))


def inside(picture: NDArray[np.uint8], matrix: NDArray[np.float64], size: int = IMAGE_SIZE) -> NDArray[np.float32]:
    """Which pixels of the portrait `[size, size]` the photograph covers, 0..1; `matrix` leads to pixels of that size."""
    return np.asarray(cv2.warpAffine(np.ones(picture.shape[:2], np.float32), matrix, (size, size)), np.float32)


def crop(picture: NDArray[np.uint8], matrix: NDArray[np.float64], size: int = IMAGE_SIZE) -> NDArray[np.uint8]:
    """The portrait `[size, size, 3]`; what lies outside the photograph is its blurred border."""
    times = size / IMAGE_SIZE
    matrix = times * matrix + np.array([[0, 0, (times - 1) / 2]])  # a pixel's middle is at half a pixel
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if scale < 0.9:  # else detail that the portrait cannot hold turns into jagged edges
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.4 / scale), np.uint8)
    portrait = cv2.warpAffine(picture, matrix, (size, size), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    outside = (inside(picture, matrix, size) < 0.99).astype(np.uint8)
    if outside.any():
        distance = cv2.distanceTransform(outside, cv2.DIST_L2, 3)
        share = np.clip(distance / (FEATHER_PIXELS * times), 0, 1)[..., None]
        blurred = cv2.GaussianBlur(portrait, (0, 0), FILL_BLUR_PIXELS * times)
        portrait = (portrait * (1 - share) + blurred * share).round()
    return np.asarray(portrait, np.uint8)
