"""Finds faces in pictures with MediaPipe's Face Landmarker; the only file of the product that knows MediaPipe.

MediaPipe is the `faces` extra and is imported when a landmarker is opened, never before.
"""

import hashlib
import os
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]  # [h, w, 3] RGB

MODEL_SETTING = "FLAP_FACE_LANDMARKER"
MODEL_FILE = "face_landmarker.task"
MODEL_SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
MODEL_URL = (
    "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task"
)
BESIDE_THE_CHECKOUT = Path(__file__).parents[2] / "shared" / "models" / MODEL_FILE
DOWNLOAD_TIMEOUT_S = 30
ASSUMED_FIELD_OF_VIEW_DEG = 63.0  # vertical; MediaPipe takes every picture for one of this camera

# With the border of a longer lens a head that fills the picture becomes too small to be found: at 13 degrees most are
# lost, at 18 none of 308, and turned heads are read as 0.96 of their yaw.
LEAST_FIELD_OF_VIEW_DEG = 18.0


class FaceLandmarkerError(Exception):
    """MediaPipe or its model is missing; the message says how to get it."""


@dataclass(frozen=True)
class LandmarkedFace:
    """One face as MediaPipe sees it. Left and right are the person's own."""

    points: NDArray[np.float64]  # [478, 3] pixels of the picture: x right, y down, z away from the camera
    rotation: NDArray[np.float64]  # [3, 3] of the head, axes of flap.coefficients
    blendshapes: Mapping[str, float]  # ARKit names, 0..1


def find_model() -> Path:
    """The model's file: the variable FLAP_FACE_LANDMARKER, a known folder, or downloaded now.

    Raises FaceLandmarkerError when the variable names no file, or the download fails or has another checksum.
    """
    named = os.environ.get(MODEL_SETTING)
    if named:
        if not Path(named).is_file():
            raise FaceLandmarkerError(f"{MODEL_SETTING} names {named}, which is no file: set it to {MODEL_FILE}")
        return Path(named)
    cached = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flap-live" / MODEL_FILE

    for path in (cached, BESIDE_THE_CHECKOUT):
        if path.is_file():
            return path
    return _download(cached)


def _download(path: Path) -> Path:
    help_text = f"download {MODEL_URL} by hand and name the file in {MODEL_SETTING}"
    try:
        with urllib.request.urlopen(MODEL_URL, timeout=DOWNLOAD_TIMEOUT_S) as answer:
            data = answer.read()
    except OSError as error:
        raise FaceLandmarkerError(f"the face model cannot be downloaded ({error}): {help_text}") from error
    if hashlib.sha256(data).hexdigest() != MODEL_SHA256:
        raise FaceLandmarkerError(f"the downloaded face model has a wrong checksum: {help_text}")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".partial")
    unfinished.write_bytes(data)
    unfinished.replace(path)
    return path


class FaceLandmarker:
    """Looks at each picture by itself, without memory that could delay or smooth. Use as a context manager."""

    def __init__(self, max_faces: int = 1, model: Path | None = None):
        """Raises FaceLandmarkerError when MediaPipe or the model cannot be had."""
        self._mediapipe, base_options, vision = _import_mediapipe()
        try:
            self._landmarker = vision.FaceLandmarker.create_from_options(
                vision.FaceLandmarkerOptions(
                    base_options=base_options(model_asset_path=str(model or find_model())),
                    num_faces=max_faces,
                    output_face_blendshapes=True,
                    output_facial_transformation_matrixes=True,
                )
            )
        except (OSError, RuntimeError, ValueError) as error:
            raise FaceLandmarkerError(f"MediaPipe cannot open its face model: {error}") from error

    def __enter__(self) -> "FaceLandmarker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._landmarker.close()

    def find(self, picture: Picture, field_of_view_deg: float = ASSUMED_FIELD_OF_VIEW_DEG) -> list[LandmarkedFace]:
        """Every face of a picture that a camera with this vertical field of view took.

        A picture of a longer lens gets a border, so that with it the picture spans the angle that MediaPipe assumes;
        without it turned heads are read as turned too little.
        """
        margin = margin_pixels(picture.shape[0], field_of_view_deg)
        framed = np.ascontiguousarray(picture)
        if margin:
            bordered = cv2.copyMakeBorder(framed, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
            framed = np.asarray(bordered, np.uint8)
        image = self._mediapipe.Image(self._mediapipe.ImageFormat.SRGB, framed)
        found = self._landmarker.detect(image)
        height, width = framed.shape[:2]
        return [
            _face(landmarks, matrix, shapes, width, height, margin)
            for landmarks, matrix, shapes in zip(
                found.face_landmarks, found.facial_transformation_matrixes, found.face_blendshapes, strict=True
            )
        ]


def margin_pixels(height: int, field_of_view_deg: float) -> int:
    """Border on each side that widens a picture of this field of view to the assumed one, as far as faces are still found."""
    field_of_view_deg = max(field_of_view_deg, LEAST_FIELD_OF_VIEW_DEG)
    ratio = np.tan(np.deg2rad(ASSUMED_FIELD_OF_VIEW_DEG) / 2) / np.tan(np.deg2rad(field_of_view_deg) / 2)
    return max(0, round(height * (ratio - 1) / 2))


def _import_mediapipe() -> tuple[Any, Any, Any]:
    try:
        import mediapipe
        from mediapipe.tasks.python import BaseOptions, vision
    except (ImportError, OSError) as error:  # OSError: Debian's libegl1 or libgles2 is missing
        raise FaceLandmarkerError(
            f"faces are found by MediaPipe, which cannot be loaded ({error}): make install-faces installs it"
        ) from error
    return mediapipe, BaseOptions, vision


def _face(landmarks: Any, matrix: Any, shapes: Any, width: int, height: int, margin: int) -> LandmarkedFace:
    points = np.array([(p.x, p.y, p.z) for p in landmarks]) * (width, height, width)
    return LandmarkedFace(
        points - (margin, margin, 0),
        np.asarray(matrix, np.float64)[:3, :3],
        {shape.category_name: float(shape.score) for shape in shapes if shape.category_name != "_neutral"},
    )
