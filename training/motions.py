"""Random faces and short clips to render: the motions that the model learns."""

import numpy as np

from flap import coefficients as co
from training.visemes import SHAPES

SINGLE_MOUTH = ("mouthFunnel", "mouthPucker", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper")
PAIRED_MOUTH = (
    "mouthSmile",
    "mouthPress",
    "mouthStretch",
    "mouthUpperUp",
    "mouthLowerDown",
    "mouthFrown",
    "mouthDimple",
)
PAIRED_REST = ("browDown", "browOuterUp", "eyeSquint", "eyeWide", "cheekSquint", "noseSneer")


def random_pose(rng: np.random.Generator) -> co.Array:
    """Head Euler radians `[3]`; one in six faces the camera."""
    if rng.random() < 1 / 6:
        return co.rotation_from_degrees(*rng.normal(0, (2, 1.5, 1)))
    limits = [co.MAX_ANGLE_DEG[axis] for axis in ("yaw", "pitch", "roll")]
    return co.rotation_from_degrees(*np.clip(rng.normal(0, (17, 9, 7)), -np.array(limits), limits))


def random_mouth(rng: np.random.Generator) -> dict[str, float]:
    """ARKit weights of jaw and lips as speech and play make them."""
    shapes: dict[str, float] = {}
    kind = rng.random()
    if kind < 0.15:  # lips meet over an open jaw, as in p b m
        shapes["jawOpen"] = shapes["mouthClose"] = float(rng.uniform(0, 0.35))
        press = float(rng.uniform(0, 0.7))
        shapes["mouthPressLeft"] = shapes["mouthPressRight"] = press
    elif kind < 0.9:
        shapes["jawOpen"] = float(rng.beta(1.2, 2.6)) * 0.8
    for name in SINGLE_MOUTH:
        if rng.random() < 0.2:
            shapes[name] = float(rng.random())
    _pairs(rng, PAIRED_MOUTH, 0.2, shapes)
    for name in ("jawLeft", "jawRight", "mouthLeft", "mouthRight", "jawForward", "cheekPuff"):
        if rng.random() < 0.03:
            shapes[name] = float(rng.uniform(0, 0.5))
    return shapes


def random_rest(rng: np.random.Generator) -> dict[str, float]:
    """ARKit weights of brows, lids, cheeks, nose and gaze."""
    shapes: dict[str, float] = {}
    _pairs(rng, PAIRED_REST, 0.15, shapes)
    if rng.random() < 0.2:
        shapes["browInnerUp"] = float(rng.random())
    if rng.random() < 0.3:
        closed = float(rng.choice([1.0, rng.random()]))
        shapes["eyeBlinkLeft"] = closed
        shapes["eyeBlinkRight"] = closed if rng.random() < 0.85 else float(rng.random())
    yaw, pitch = np.clip(rng.normal(0, (0.3, 0.3)), -0.9, 0.9)
    shapes["eyeLookOutLeft"], shapes["eyeLookInLeft"] = max(yaw, 0.0), max(-yaw, 0.0)
    shapes["eyeLookInRight"], shapes["eyeLookOutRight"] = max(yaw, 0.0), max(-yaw, 0.0)
    for side in ("Left", "Right"):
        shapes[f"eyeLookDown{side}"], shapes[f"eyeLookUp{side}"] = max(pitch, 0.0), max(-pitch, 0.0)
    return shapes


def _pairs(rng: np.random.Generator, names: tuple[str, ...], chance: float, shapes: dict[str, float]) -> None:
    for name in names:
        if rng.random() < chance:
            value = float(rng.random())
            shapes[f"{name}Left"] = value
            shapes[f"{name}Right"] = float(np.clip(value + rng.normal(0, 0.08), 0, 1))


def random_face(rng: np.random.Generator) -> co.Array:
    """Coefficients `[120]` of one independent frame."""
    return co.limit(co.from_arkit(random_mouth(rng) | random_rest(rng), random_pose(rng)))


def speaking_face(rng: np.random.Generator) -> co.Array:
    """Coefficients `[120]` of a moment of speech: on the way from one sound's mouth to another's, the head about ahead.

    `random_mouth` seldom comes near these, and they are what a presenter shows for most of a stream.
    """
    first, second = rng.choice(list(SHAPES), 2)
    share, strength = rng.beta(0.6, 0.6), rng.uniform(0.5, 1.2)
    mouth = {name: 0.0 for name in (*SHAPES[first], *SHAPES[second])}
    for sound, part in ((first, share), (second, 1 - share)):
        for name, weight in SHAPES[sound].items():
            mouth[name] = min(mouth[name] + strength * part * weight, 1.0)
    pose = co.rotation_from_degrees(*rng.normal(0, (6, 4, 3)))
    return co.limit(co.from_arkit(random_rest(rng) | mouth, pose))


def random_portrait(rng: np.random.Generator) -> co.Array:
    """Coefficients `[120]` as people have them in a portrait: about ahead, at rest or smiling, lips closed or nearly so."""
    shapes: dict[str, float] = {}
    if rng.random() < 0.6:
        smile = float(rng.uniform(0, 1.0))
        shapes |= {"mouthSmileLeft": smile, "mouthSmileRight": float(np.clip(smile + rng.normal(0, 0.08), 0, 1))}
        if rng.random() < 0.5:
            shapes |= {f"mouthUpperUp{side}": 0.6 * smile for side in ("Left", "Right")}
            shapes["jawOpen"] = float(rng.uniform(0, 0.25))
        shapes |= {f"cheekSquint{side}": 0.5 * smile for side in ("Left", "Right")}
    for name in ("browInnerUp", "eyeSquint", "browDown", "eyeWide"):
        if rng.random() < 0.2:
            amount = float(rng.uniform(0, 0.5))
            shapes |= (
                {name: amount} if name in co.EXPRESSION_INDEX else {f"{name}{s}": amount for s in ("Left", "Right")}
            )
    yaw_deg, pitch_deg, roll_deg = np.clip(rng.normal(0, (6, 4, 3)), -14, 14)
    return co.limit(co.from_arkit(shapes, co.rotation_from_degrees(yaw_deg, pitch_deg, roll_deg)))


def random_clip(rng: np.random.Generator, frames: int) -> co.Array:
    """Coefficients `[frames, 120]` of a smooth clip: the mouth changes every 3-4 frames, the head once."""
    first_pose = random_pose(rng)
    last_pose = first_pose + co.rotation_from_degrees(*rng.normal(0, (7, 4, 3)))
    out = co.neutral(frames)
    time = np.linspace(0, 1, frames)
    out[:, co.ROTATION] = first_pose + (last_pose - first_pose) * _ease(time)[:, None]
    speech = _keyed(rng, frames, int(rng.integers(3, 5)), lambda: co.from_arkit(random_mouth(rng)))
    rest = _keyed(rng, frames, 5, lambda: co.from_arkit(random_rest(rng)))
    out[:, co.EYES], out[:, co.EYELIDS], out[:, co.JAW] = rest[:, co.EYES], rest[:, co.EYELIDS], speech[:, co.JAW]
    out[:, co.EXPRESSION] = np.maximum(speech[:, co.EXPRESSION], rest[:, co.EXPRESSION])
    return co.limit(out)


def _ease(t: np.ndarray) -> np.ndarray:
    return t * t * (3 - 2 * t)


def _keyed(rng: np.random.Generator, frames: int, every: int, draw) -> np.ndarray:  # type: ignore[no-untyped-def]
    keys = np.stack([draw() for _ in range(frames // every + 2)])
    position = np.arange(frames) / every + rng.random()
    index = np.minimum(position.astype(int), len(keys) - 2)
    blend = _ease(position - index)[:, None]
    return keys[index] * (1 - blend) + keys[index + 1] * blend
