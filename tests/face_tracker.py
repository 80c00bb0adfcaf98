"""An independent judge of faces: MediaPipe's face landmarker, which nothing was trained on."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MODEL = Path(
    os.environ.get("FLAP_FACE_LANDMARKER", Path(__file__).parents[2] / "shared" / "models" / "face_landmarker.task")
)
UPPER_LIP, LOWER_LIP, FOREHEAD, CHIN = 13, 14, 10, 152


@dataclass(frozen=True)
class TrackedFace:
    mouth_opening: float  # between the inner lips, in face heights
    yaw_deg: float  # as in flap/coefficients.py
    pitch_deg: float
    smile: float  # 0..1
    eyes_closed: float  # 0..1


class FaceTracker:
    def __init__(self) -> None:
        from mediapipe.tasks import python as tasks
        from mediapipe.tasks.python import vision

        options = vision.FaceLandmarkerOptions(
            base_options=tasks.BaseOptions(model_asset_path=str(MODEL)),
            output_face_blendshapes=True,
            output_facial_transformation_matrixes=True,
        )
        self._landmarker = vision.FaceLandmarker.create_from_options(options)

    def track(self, picture: NDArray[np.uint8]) -> TrackedFace | None:
        """The face in an RGB picture `[h, w, 3]`, None when it sees none."""
        import mediapipe

        found = self._landmarker.detect(mediapipe.Image(mediapipe.ImageFormat.SRGB, np.ascontiguousarray(picture)))
        if not found.face_landmarks:
            return None
        points = np.array([[p.x, p.y] for p in found.face_landmarks[0]])
        height = np.linalg.norm(points[FOREHEAD] - points[CHIN])
        shapes = {shape.category_name: shape.score for shape in found.face_blendshapes[0]}
        matrix = np.asarray(found.facial_transformation_matrixes[0])[:3, :3]
        return TrackedFace(
            float(np.linalg.norm(points[UPPER_LIP] - points[LOWER_LIP]) / height),
            float(np.rad2deg(np.arctan2(matrix[0, 2], matrix[2, 2]))),
            float(np.rad2deg(np.arcsin(-np.clip(matrix[1, 2], -1, 1)))),
            (shapes["mouthSmileLeft"] + shapes["mouthSmileRight"]) / 2,
            (shapes["eyeBlinkLeft"] + shapes["eyeBlinkRight"]) / 2,
        )
