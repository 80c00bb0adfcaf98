"""A face without its pose as numbers that may be added and scaled: jaw, lids, facial actions, and gaze as angles.

| slice   | numbers | meaning                                                   |
|---------|---------|-----------------------------------------------------------|
| `JAW`   | 3       | as in `flap.coefficients`                                  |
| `LIDS`  | 2       | left, right; 0 open, 1 closed                              |
| `UNITS` | 100     | `EXPRESSION_UNITS`, then zeros                             |
| `GAZE`  | 4       | left eye yaw and pitch, right eye yaw and pitch, radians   |
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from flap import coefficients as co

Features = NDArray[np.float32]  # [109]

JAW, LIDS, UNITS, GAZE = slice(0, 3), slice(3, 5), slice(5, 105), slice(105, 109)
SIZE = 109
UNIT_INDEX = {name: UNITS.start + i for i, name in enumerate(co.EXPRESSION_UNITS)}
NEUTRAL = np.zeros(SIZE, np.float32)
NEUTRAL.flags.writeable = False


def _indices(name: str) -> tuple[int, ...]:
    """Where the numbers of a group are. Every facial action belongs to one group."""
    units = {unit: index for unit, index in UNIT_INDEX.items() if _group(unit) == name}
    own = {"jaw": JAW, "lids": LIDS, "eyes": GAZE}.get(name)
    return (*(range(own.start, own.stop) if own else ()), *units.values())


def _group(unit: str) -> str:
    if unit.startswith("brow"):
        return "brows"
    if unit.startswith("eye"):
        return "lids"
    return "jaw" if unit.startswith("jaw") else "lips"


GROUP_NAMES = ("lips", "jaw", "brows", "eyes", "lids")
GROUPS = {name: np.array(_indices(name)) for name in GROUP_NAMES}


def per_group(values: Mapping[str, float], default: float) -> Features:
    """A number for each group, spread over the features of the group."""
    spread = np.full(SIZE, default, np.float32)
    for name, value in values.items():
        spread[GROUPS[name]] = value
    return spread


def of_face(face: co.Array) -> Features:
    """Coefficients `[120]` to features."""
    features = np.empty(SIZE, np.float32)
    features[JAW], features[LIDS], features[UNITS] = face[co.JAW], face[co.EYELIDS], face[co.EXPRESSION]
    features[GAZE][0::2], features[GAZE][1::2] = co.gaze_from_6d(face[co.EYES].reshape(2, 6))
    return features


def to_face(features: Features, rotation: NDArray[np.float32]) -> co.Array:
    """Features and Euler radians `[3]` to coefficients `[120]`."""
    face = np.empty(co.SIZE, np.float32)
    gaze = features[GAZE]
    face[co.ROTATION], face[co.EYES] = rotation, co.eye_6d(gaze[0::2], gaze[1::2]).ravel()
    face[co.JAW], face[co.EYELIDS], face[co.EXPRESSION] = features[JAW], features[LIDS], features[UNITS]
    return face


def to_gaze_deg(features: Features) -> tuple[float, float]:
    """Yaw and pitch in degrees, the mean of both eyes."""
    yaw, pitch = np.rad2deg(features[GAZE].reshape(2, 2).mean(0))
    return float(yaw), float(pitch)


def of_shapes(shapes: Mapping[str, float]) -> Features:
    """ARKit weights to features."""
    return of_face(co.from_arkit(shapes))


_LOW, _HIGH = np.zeros(SIZE, np.float32), np.ones(SIZE, np.float32)
_LOW[JAW], _HIGH[JAW] = (0, -co.JAW_SIDE_RAD, -co.JAW_SIDE_RAD), (co.MAX_JAW_RAD, co.JAW_SIDE_RAD, co.JAW_SIDE_RAD)
_HIGH[GAZE] = (co.GAZE_YAW_RAD, co.GAZE_PITCH_RAD) * 2
_LOW[GAZE] = -_HIGH[GAZE]


def limited(features: Features) -> Features:
    """Features within what the model was trained on and eyes can do."""
    return np.clip(features, _LOW, _HIGH)
