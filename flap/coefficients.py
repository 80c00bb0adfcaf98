"""The 120 numbers that describe a head in one frame, in the layout of the FLAP paper (Eq. 3, section 5.1).

| slice        | field      | numbers | meaning                                                              |
|--------------|------------|---------|----------------------------------------------------------------------|
| `ROTATION`   | rotation   | 3       | head, Euler radians about x, y, z: pitch, yaw, roll                  |
| `EYES`       | eyes       | 12      | left then right eye, each a 6D rotation (first two columns)          |
| `JAW`        | jaw        | 3       | axis-angle radians; x opens, +y slides to the avatar's left          |
| `EYELIDS`    | eyelids    | 2       | left, right; 0 open, 1 closed                                        |
| `EXPRESSION` | expression | 100     | `EXPRESSION_UNITS` in 0..1, then `100 - len(EXPRESSION_UNITS)` zeros |

Axes: x to the avatar's left, y up, z out of the face. So +pitch looks down, +yaw turns to the avatar's left
(the viewer's right), +roll tips the crown to the avatar's right (the viewer's left). R = Ry(yaw) Rx(pitch) Rz(roll).

Relation to FLAME: rotation, jaw, eyes and eyelids have FLAME's meaning and axes (eyelids as metrical-tracker adds
them). The expression numbers do NOT use FLAME's learnt basis, whose model files have their own licence: here each is
the weight of one named facial action, the ARKit-52 names that are not already a jaw, eyelid or eye rotation. To bring in the
output of a FLAME tracker, pass a matrix `[len(EXPRESSION_UNITS), 100]` fitted by the user between both bases to `from_flame`.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float32]

ROTATION = slice(0, 3)
EYES = slice(3, 15)
JAW = slice(15, 18)
EYELIDS = slice(18, 20)
EXPRESSION = slice(20, 120)
SIZE = 120
PITCH, YAW, ROLL = 0, 1, 2

GROUPS = {"rotation": ROTATION, "eyes": EYES, "jaw": JAW, "eyelids": EYELIDS, "expression": EXPRESSION}

EXPRESSION_UNITS: tuple[str, ...] = (
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight",
    "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight",
    "jawForward", "mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft", "mouthRight",
    "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight",
    "mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
    "mouthPressLeft", "mouthPressRight", "mouthLowerDownLeft", "mouthLowerDownRight",
    "mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip
EXPRESSION_INDEX = {name: EXPRESSION.start + i for i, name in enumerate(EXPRESSION_UNITS)}
MOUTH_UNITS = tuple(n for n in EXPRESSION_UNITS if n.startswith(("mouth", "jaw", "tongue")))

JAW_OPEN_RAD = 0.35  # jaw x at ARKit jawOpen = 1
JAW_SIDE_RAD = 0.20  # jaw y at ARKit jawLeft = 1
GAZE_YAW_RAD = 0.60  # eye yaw at ARKit eyeLookOut = 1
GAZE_PITCH_RAD = 0.45  # eye pitch at ARKit eyeLookDown = 1
MAX_ANGLE_DEG = {"yaw": 40.0, "pitch": 25.0, "roll": 20.0}  # what the shipped model is asked for at most
MAX_JAW_RAD = 0.8 * JAW_OPEN_RAD

IDENTITY_6D = np.array([1, 0, 0, 0, 1, 0], np.float32)
ARKIT_NAMES = frozenset(EXPRESSION_UNITS) | {
    "jawOpen", "jawLeft", "jawRight", "eyeBlinkLeft", "eyeBlinkRight",
    *(f"eyeLook{way}{side}" for way in ("Up", "Down", "In", "Out") for side in ("Left", "Right")),
}  # fmt: skip


def neutral(frames: int | None = None) -> Array:
    """A frontal face at rest: `[120]`, or `[frames, 120]`."""
    face = np.zeros(SIZE, np.float32)
    face[EYES] = np.tile(IDENTITY_6D, 2)
    return face if frames is None else np.tile(face, (frames, 1))


def rotation_from_degrees(yaw_deg: float = 0.0, pitch_deg: float = 0.0, roll_deg: float = 0.0) -> Array:
    """The rotation group `[3]` in radians from degrees."""
    return np.deg2rad(np.array([pitch_deg, yaw_deg, roll_deg])).astype(np.float32)


def euler_matrix(rotation: ArrayLike) -> NDArray[np.float64]:
    """`[..., 3]` Euler radians (pitch, yaw, roll) to rotation matrices `[..., 3, 3]`."""
    angles = np.asarray(rotation, np.float64)
    cosines, sines = np.cos(angles), np.sin(angles)
    cx, cy, cz = cosines[..., 0], cosines[..., 1], cosines[..., 2]
    sx, sy, sz = sines[..., 0], sines[..., 1], sines[..., 2]
    matrix = np.empty((*angles.shape, 3))
    matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 0, 2] = cy * cz + sy * sx * sz, -cy * sz + sy * sx * cz, sy * cx
    matrix[..., 1, 0], matrix[..., 1, 1], matrix[..., 1, 2] = cx * sz, cx * cz, -sx
    matrix[..., 2, 0], matrix[..., 2, 1], matrix[..., 2, 2] = -sy * cz + cy * sx * sz, sy * sz + cy * sx * cz, cy * cx
    return matrix


def euler_from_matrix(matrix: ArrayLike) -> Array:
    """Rotation matrices `[..., 3, 3]` to Euler radians `[..., 3]`; inverse of `euler_matrix` for |pitch| < 90 degrees."""
    m = np.asarray(matrix, np.float64)
    pitch = np.arcsin(np.clip(-m[..., 1, 2], -1, 1))
    yaw = np.arctan2(m[..., 0, 2], m[..., 2, 2])
    roll = np.arctan2(m[..., 1, 0], m[..., 1, 1])
    return np.stack([pitch, yaw, roll], -1).astype(np.float32)


def eye_6d(yaw_rad: ArrayLike, pitch_rad: ArrayLike) -> Array:
    """Gaze of one eye, `[...]` radians each, to its 6D rotation `[..., 6]`; +yaw looks to the avatar's left, +pitch down.

    The first two columns of `euler_matrix` without roll.
    """
    yaw, pitch = np.asarray(yaw_rad, np.float64), np.asarray(pitch_rad, np.float64)
    sin_yaw, sin_pitch, cos_pitch = np.sin(yaw), np.sin(pitch), np.cos(pitch)
    columns = np.zeros((*(sin_yaw * sin_pitch).shape, 6), np.float32)
    columns[..., 0], columns[..., 2] = np.cos(yaw), -sin_yaw
    columns[..., 3], columns[..., 4], columns[..., 5] = sin_yaw * sin_pitch, cos_pitch, np.cos(yaw) * sin_pitch
    return columns


def gaze_from_6d(rotation_6d: ArrayLike) -> tuple[Array, Array]:
    """A 6D eye rotation `[..., 6]` to (yaw, pitch) radians, orthonormalising it first (Gram-Schmidt)."""
    r = np.asarray(rotation_6d, np.float64)
    first, second = r[..., :3], r[..., 3:]
    a = first / np.sqrt((first * first).sum(-1, keepdims=True))
    b = second - (a * second).sum(-1, keepdims=True) * a
    b /= np.sqrt((b * b).sum(-1, keepdims=True))
    x = a[..., 1] * b[..., 2] - a[..., 2] * b[..., 1]  # of the third column, where the eye looks
    y = a[..., 2] * b[..., 0] - a[..., 0] * b[..., 2]
    z = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return np.arctan2(x, z).astype(np.float32), np.arcsin(np.clip(-y, -1, 1)).astype(np.float32)


def from_arkit(shapes: Mapping[str, float], rotation: ArrayLike = (0.0, 0.0, 0.0)) -> Array:
    """ARKit-52 weights (0..1, missing names count as 0) and head Euler radians to coefficients `[120]`.

    Raises ValueError for a name that ARKit does not have, a weight or an angle that is not finite, or other than three angles.
    """
    unknown = sorted(set(shapes) - ARKIT_NAMES)
    if unknown:
        raise ValueError(f"not ARKit blendshape names: {', '.join(unknown)}")
    weights = {name: float(value) for name, value in shapes.items()}
    if not np.isfinite(list(weights.values())).all():
        raise ValueError("blendshape weights must be finite numbers")
    get = weights.get
    face = neutral()
    face[ROTATION] = _finite("rotation", rotation, 3)
    face[JAW] = (
        get("jawOpen", 0.0) * JAW_OPEN_RAD,
        (get("jawLeft", 0.0) - get("jawRight", 0.0)) * JAW_SIDE_RAD,
        0.0,
    )
    face[EYELIDS] = get("eyeBlinkLeft", 0.0), get("eyeBlinkRight", 0.0)
    yaws = (
        get("eyeLookOutLeft", 0.0) - get("eyeLookInLeft", 0.0),
        get("eyeLookInRight", 0.0) - get("eyeLookOutRight", 0.0),
    )
    pitches = (
        get("eyeLookDownLeft", 0.0) - get("eyeLookUpLeft", 0.0),
        get("eyeLookDownRight", 0.0) - get("eyeLookUpRight", 0.0),
    )
    face[EYES] = eye_6d(np.array(yaws) * GAZE_YAW_RAD, np.array(pitches) * GAZE_PITCH_RAD).ravel()
    for name, index in EXPRESSION_INDEX.items():
        face[index] = get(name, 0.0)
    return face


def to_arkit(face: ArrayLike) -> dict[str, float]:
    """Coefficients `[120]` to all 52 ARKit weights; inverse of `from_arkit` inside the ranges."""
    c = np.asarray(face, np.float32)
    yaw, pitch = gaze_from_6d(c[EYES].reshape(2, 6))
    out = {name: float(c[index]) for name, index in EXPRESSION_INDEX.items()}
    out["jawOpen"] = float(c[JAW][0] / JAW_OPEN_RAD)
    side = float(c[JAW][1] / JAW_SIDE_RAD)
    out["jawLeft"], out["jawRight"] = max(side, 0.0), max(-side, 0.0)
    out["eyeBlinkLeft"], out["eyeBlinkRight"] = (float(v) for v in c[EYELIDS])
    outward = float(yaw[0] / GAZE_YAW_RAD), float(-yaw[1] / GAZE_YAW_RAD)
    down = float(pitch[0] / GAZE_PITCH_RAD), float(pitch[1] / GAZE_PITCH_RAD)
    for side_name, out_weight, down_weight in zip(("Left", "Right"), outward, down, strict=True):
        out[f"eyeLookOut{side_name}"], out[f"eyeLookIn{side_name}"] = max(out_weight, 0.0), max(-out_weight, 0.0)
        out[f"eyeLookDown{side_name}"], out[f"eyeLookUp{side_name}"] = max(down_weight, 0.0), max(-down_weight, 0.0)
    return out


def from_flame(
    rotation: ArrayLike, eyes: ArrayLike, jaw: ArrayLike, eyelids: ArrayLike, expression: ArrayLike, basis: ArrayLike
) -> Array:
    """Tracker output in FLAME's own basis to coefficients `[120]`.

    `rotation` and `jaw` are axis-angle `[3]`, `eyes` two axis-angles `[6]`, `eyelids` `[2]`, `expression` `[100]`;
    `basis` `[len(EXPRESSION_UNITS), 100]` maps FLAME's expression to ours. Raises ValueError for other shapes and for
    numbers that are not finite.
    """
    face = neutral()
    face[ROTATION] = euler_from_matrix(_axis_angle_matrix(_finite("rotation", rotation, 3)))
    for i, eye in enumerate(_finite("eyes", eyes, 6).reshape(2, 3)):
        matrix = _axis_angle_matrix(eye)
        face[EYES.start + 6 * i : EYES.start + 6 * i + 6] = np.concatenate([matrix[:, 0], matrix[:, 1]])
    face[JAW] = _finite("jaw", jaw, 3)
    face[EYELIDS] = _finite("eyelids", eyelids, 2)
    units = _finite("basis", basis, len(EXPRESSION_UNITS), 100) @ _finite("expression", expression, 100)
    face[EXPRESSION.start : EXPRESSION.start + len(EXPRESSION_UNITS)] = np.clip(units, 0, 1)
    return face


def _finite(name: str, numbers: ArrayLike, *shape: int) -> NDArray[np.float64]:
    """`numbers` as an array; raises ValueError when the shape is another or a number is not finite."""
    array = np.asarray(numbers, np.float64)
    if array.shape != shape:
        raise ValueError(f"{name} must be {list(shape)}, not {list(array.shape)}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite numbers")
    return array


def _axis_angle_matrix(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    angle = float(np.linalg.norm(vector))
    x, y, z = vector / angle if angle > 1e-12 else vector
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def _mirror_index() -> NDArray[np.int64]:
    names = {index: name for name, index in EXPRESSION_INDEX.items()}
    opposite = {"Left": "Right", "Right": "Left"}
    out = np.arange(SIZE)
    out[EYES] = np.roll(out[EYES], 6)
    out[EYELIDS] = out[EYELIDS][::-1]
    for index, name in names.items():
        for side, other in opposite.items():
            if name.endswith(side):
                out[index] = EXPRESSION_INDEX[name.removesuffix(side) + other]
    return out


def _mirror_sign() -> Array:
    out = np.ones(SIZE, np.float32)
    out[[YAW, ROLL, JAW.start + 1, JAW.start + 2]] = -1
    out[EYES] = np.tile([1, -1, -1, -1, 1, 1], 2)
    return out


MIRROR_INDEX, MIRROR_SIGN = _mirror_index(), _mirror_sign()


def mirror(faces: ArrayLike) -> Array:
    """Coefficients `[..., 120]` of the same face seen in a mirror."""
    return np.asarray(faces, np.float32)[..., MIRROR_INDEX] * MIRROR_SIGN


def limit(faces: ArrayLike) -> Array:
    """Coefficients `[..., 120]` clamped to the ranges the shipped model was trained on."""
    c = np.array(faces, np.float32)
    bound = np.deg2rad([MAX_ANGLE_DEG["pitch"], MAX_ANGLE_DEG["yaw"], MAX_ANGLE_DEG["roll"]]).astype(np.float32)
    c[..., ROTATION] = np.clip(c[..., ROTATION], -bound, bound)
    c[..., JAW.start] = np.clip(c[..., JAW.start], 0, MAX_JAW_RAD)
    c[..., JAW.start + 1 : JAW.stop] = np.clip(c[..., JAW.start + 1 : JAW.stop], -JAW_SIDE_RAD, JAW_SIDE_RAD)
    c[..., EYELIDS] = np.clip(c[..., EYELIDS], 0, 1)
    c[..., EXPRESSION] = np.clip(c[..., EXPRESSION], 0, 1)
    return c


def check(faces: ArrayLike) -> Array:
    """Coefficients `[..., 120]` as float32; raises ValueError when the width is not 120 or a number is not finite."""
    c = np.asarray(faces, np.float32)
    if c.shape[-1:] != (SIZE,):
        raise ValueError(f"coefficients must end in {SIZE} numbers, not {list(c.shape)}")
    if not np.isfinite(c).all():
        raise ValueError("coefficients must be finite numbers")
    return c
