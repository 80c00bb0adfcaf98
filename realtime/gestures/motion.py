"""Motion of a face, frame by frame, made a gesture: what operators did, or what a tracker saw in a video."""

import numpy as np
from numpy.typing import NDArray

from flap import coefficients as co
from flap.config import FRAME_RATE_HZ
from realtime.errors import BadCommand
from realtime.face import features as ft
from realtime.gestures.curve import GestureCurve, Keyframes
from realtime.gestures.file import MAX_DURATION_S, MOST
from realtime.protocol.directives import CHANNELS

Added = NDArray[np.float32]  # [n, 115]: features `[109]` and pose `[6]` that a face at rest was given
SIZE = ft.SIZE + len(CHANNELS)
MAX_FRAMES = int(MAX_DURATION_S * FRAME_RATE_HZ)
LEAST_FRAMES = 5
FADE_FRAMES = 5  # a gesture begins and ends at rest
# what nobody would miss
STILL = {"x": 0.004, "y": 0.004, "zoom": 0.01, **{c: 0.4 for c in CHANNELS if c.endswith("_deg")}}
STILL_SHAPE = 0.02


def of_coefficients(faces: co.Array) -> Added:
    """A tracked face `[n, 120]` against its first moments, which count as its rest."""
    features = np.stack([ft.of_face(face) for face in co.check(faces)])
    turned = np.zeros((len(faces), len(CHANNELS)), np.float32)
    turned[:, :3] = faces[:, [co.YAW, co.PITCH, co.ROLL]]
    motion = np.concatenate([features, turned], 1)
    return np.asarray(motion - np.median(motion[:LEAST_FRAMES], 0), np.float32)


def gesture_of(motion: Added) -> GestureCurve:
    """The gesture of a motion `[n, 115]`, still ends cut off. Raises BadCommand when hardly anything moves, or for too long."""
    channels = {name: values for name, values in _channels(motion).items() if np.abs(values).max() > _still(name)}
    if not channels:
        raise BadCommand("nothing moved: do something to the face between beginning and end")
    moving = np.any([np.abs(values) > _still(name) for name, values in channels.items()], 0)
    first, last = max(int(moving.argmax()) - FADE_FRAMES, 0), len(moving) - int(moving[::-1].argmax())
    last = min(last + FADE_FRAMES, len(moving))
    count = last - first
    if not LEAST_FRAMES <= count <= MAX_FRAMES:
        raise BadCommand(f"a gesture lasts {LEAST_FRAMES / FRAME_RATE_HZ:g} to {MAX_DURATION_S:g} s")
    fade = np.minimum(np.minimum(np.arange(count) / FADE_FRAMES, np.arange(count, 0, -1) / FADE_FRAMES), 1.0)
    found: dict[str, Keyframes] = {}
    for name, values in channels.items():
        keyframes = _keyframes(values[first:last] * fade, _still(name), MOST.get(name, 1.0))
        if keyframes:
            found[name] = keyframes
    return GestureCurve(count / FRAME_RATE_HZ, found, linear=True)


def _channels(motion: Added) -> dict[str, NDArray[np.float64]]:
    """Values `[n]` of every channel that a gesture can have."""
    features, pose = motion[:, : ft.SIZE].astype(np.float64), motion[:, ft.SIZE :].astype(np.float64)
    found = {name: pose[:, i] for i, name in enumerate(CHANNELS)}
    for name in ("yaw_deg", "pitch_deg", "roll_deg"):
        found[name] = np.rad2deg(found[name])
    found["zoom"] = np.expm1(found["zoom"])
    found |= {name: features[:, index] for name, index in ft.UNIT_INDEX.items()}
    found["jawOpen"] = features[:, ft.JAW.start] / co.JAW_OPEN_RAD
    found["jawLeft"] = features[:, ft.JAW.start + 1] / co.JAW_SIDE_RAD
    found["eyeBlinkLeft"], found["eyeBlinkRight"] = features[:, ft.LIDS].T
    left_yaw, left_pitch, right_yaw, right_pitch = features[:, ft.GAZE].T
    found["eyeLookOutLeft"], found["eyeLookInRight"] = left_yaw / co.GAZE_YAW_RAD, right_yaw / co.GAZE_YAW_RAD
    found["eyeLookDownLeft"], found["eyeLookDownRight"] = (
        left_pitch / co.GAZE_PITCH_RAD,
        right_pitch / co.GAZE_PITCH_RAD,
    )
    return found


def _still(name: str) -> float:
    return STILL.get(name, STILL_SHAPE)


def _keyframes(values: NDArray[np.float64], tolerance: float, most: float) -> Keyframes:
    """As few keyframes as follow `values` to within half of `tolerance` when they are joined by straight lines."""
    line = np.append(np.clip(values, -most, most), 0.0)  # it ends at zero
    line[0] = 0.0
    kept, open_ends = {0, len(line) - 1}, [(0, len(line) - 1)]
    while open_ends:
        begin, end = open_ends.pop()
        inner = np.arange(begin + 1, end)
        if not len(inner):
            continue
        straight = line[begin] + (line[end] - line[begin]) * (inner - begin) / (end - begin)
        off = np.abs(line[inner] - straight)
        if off.max() > tolerance / 2:
            worst = int(inner[off.argmax()])
            kept.add(worst)
            open_ends += [(begin, worst), (worst, end)]
    inside = sorted(kept - {0, len(line) - 1})
    return tuple((round(i / FRAME_RATE_HZ, 3), round(float(line[i]), 4)) for i in inside)
