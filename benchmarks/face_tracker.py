"""What an independent face tracker (MediaPipe's) sees in a picture of an avatar."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from flap import coefficients as co
from flap.face_landmarks import BESIDE_THE_CHECKOUT, MODEL_SETTING

UPPER_LIP, LOWER_LIP, FOREHEAD, CHIN = 13, 14, 10, 152  # landmarks of MediaPipe's face mesh
# The tracker takes every picture for one of a camera that sees 63 degrees. Ours are portraits of a long lens; taken as they
# are, rendered heads turned by exactly 25 degrees are read as 20. With a margin of their own width they are read as 24.
MARGIN = 1.0


@dataclass(frozen=True)
class Sight:
    """One face; angles in degrees with the signs of `flap.coefficients`: to the picture's right, down, crown to its left."""

    mouth_opening: float  # between the inner lips, as a part of the face's height
    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    smile: float  # 0..1
    eyes_closed: float  # 0..1


def model_path() -> Path:
    """The tracker's model: the variable FLAP_FACE_LANDMARKER, or the shared folder's."""
    return Path(os.environ.get(MODEL_SETTING, BESIDE_THE_CHECKOUT))


def track(pictures: Sequence[NDArray[np.uint8]]) -> list[Sight | None]:
    """What is seen in each RGB picture by itself, without memory that could delay or smooth; None without a face."""
    import mediapipe as mp
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(model_path())),
        output_face_blendshapes=True,
        output_facial_transformation_matrixes=True,
    )
    with vision.FaceLandmarker.create_from_options(options) as landmarker:
        images = (mp.Image(mp.ImageFormat.SRGB, _with_margin(picture)) for picture in pictures)
        return [_sight(landmarker.detect(image)) for image in images]


def _with_margin(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    width = int(MARGIN * picture.shape[1])
    framed = cv2.copyMakeBorder(np.ascontiguousarray(picture), width, width, width, width, cv2.BORDER_REPLICATE)
    return np.asarray(framed, np.uint8)


def _sight(found) -> Sight | None:  # type: ignore[no-untyped-def]
    if not found.face_landmarks:
        return None
    points = np.array([[p.x, p.y, p.z] for p in found.face_landmarks[0]])
    opening = np.linalg.norm(points[UPPER_LIP] - points[LOWER_LIP]) / np.linalg.norm(points[FOREHEAD] - points[CHIN])
    turn = np.asarray(found.facial_transformation_matrixes[0])[:3, :3]
    pitch_deg, yaw_deg, roll_deg = map(float, np.degrees(co.euler_from_matrix(turn)))
    shapes = {shape.category_name: shape.score for shape in found.face_blendshapes[0]}
    return Sight(
        mouth_opening=float(opening),
        yaw_deg=yaw_deg,
        pitch_deg=pitch_deg,
        roll_deg=roll_deg,
        smile=(shapes["mouthSmileLeft"] + shapes["mouthSmileRight"]) / 2,
        eyes_closed=(shapes["eyeBlinkLeft"] + shapes["eyeBlinkRight"]) / 2,
    )
