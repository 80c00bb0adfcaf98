"""What MediaPipe sees of a face as the 120 coefficients."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flap import coefficients as co
from flap.face_landmarks import LandmarkedFace

# What MediaPipe reads in faces at rest: means over 22 rendered people, which other tables would only copy from people
# whose faces nobody may ship. It takes heads at rest for looking down.
RESTING_PITCH_DEG = 7.7
RESTING_BLENDSHAPES = {
    "browDownLeft": 0.14, "browDownRight": 0.14, "browOuterUpLeft": 0.08, "browOuterUpRight": 0.04,
    "eyeBlinkLeft": 0.07, "eyeBlinkRight": 0.04, "eyeLookDownLeft": 0.09, "eyeLookDownRight": 0.09,
    "eyeLookInLeft": 0.07, "eyeLookInRight": 0.12, "eyeLookOutLeft": 0.13, "eyeLookOutRight": 0.07,
    "eyeLookUpLeft": 0.17, "eyeLookUpRight": 0.17, "eyeSquintLeft": 0.46, "eyeSquintRight": 0.36,
    "mouthPressLeft": 0.06, "mouthPressRight": 0.06, "mouthPucker": 0.10, "mouthSmileLeft": 0.06, "mouthSmileRight": 0.05,
}  # fmt: skip


@dataclass(frozen=True)
class Rest:
    """What the tracker reads while a face is at rest and looks ahead."""

    rotation: NDArray[np.float64] = field(  # [3, 3]
        default_factory=lambda: co.euler_matrix(co.rotation_from_degrees(pitch_deg=RESTING_PITCH_DEG))
    )
    blendshapes: Mapping[str, float] = field(default_factory=lambda: dict(RESTING_BLENDSHAPES))


ANYBODY = Rest()


def rest_of(face: LandmarkedFace) -> Rest:
    """The rest of this very person, from a picture in which they look ahead with a face at rest."""
    return Rest(face.rotation, dict(face.blendshapes))


def coefficients_of(face: LandmarkedFace, rest: Rest = ANYBODY) -> co.Array:
    """Coefficients `[120]` of a tracked face, counted from `rest`."""
    weights = {}
    for name, read in face.blendshapes.items():
        if name in co.ARKIT_NAMES:
            resting = min(rest.blendshapes.get(name, 0.0), 0.9)
            weights[name] = max(0.0, (read - resting) / (1 - resting))
    return co.from_arkit(weights, co.euler_from_matrix(face.rotation @ rest.rotation.T))
