"""A gesture as a JSON file: keyframes of the pose and of ARKit shapes, validated when it is read.

    {"duration_s": 1.2, "interpolation": "smooth", "channels": {"pitch_deg": [[0.3, 8], [0.8, -3]], "mouthSmileLeft": [[0.5, 0.7]]}}

Every channel begins and ends at zero. Angles are degrees, `x` and `y` shares of the picture, `zoom` how much bigger it gets.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from flap.coefficients import ARKIT_NAMES
from realtime.errors import BadCommand
from realtime.gestures.curve import GestureCurve
from realtime.protocol.directives import CHANNELS, MAX_SHIFT
from realtime.protocol.typed_json import Length, OneOf, Within, build

MAX_DURATION_S = 20.0
MAX_KEYFRAMES = 500  # of a channel: one a frame for as long as a gesture may last
MAX_CHANNELS = len(CHANNELS) + len(ARKIT_NAMES)
MOST = {
    "yaw_deg": 80.0,
    "pitch_deg": 50.0,
    "roll_deg": 40.0,
    "x": MAX_SHIFT,
    "y": MAX_SHIFT,
    "zoom": 1.0,
}  # of a shape: 1


@dataclass(frozen=True)
class _File:
    duration_s: Annotated[float, Within(0.1, MAX_DURATION_S)]
    channels: Annotated[
        dict[str, tuple[tuple[float, ...], ...]],
        Length(1, MAX_CHANNELS),
        OneOf((*CHANNELS, *sorted(ARKIT_NAMES)), "a channel of the pose or an ARKit blendshape name"),
    ]
    interpolation: Literal["smooth", "linear"] = "smooth"


def read_gesture(raw: Any) -> GestureCurve:
    """From the JSON of a file. Raises BadCommand with what is wrong."""
    file = build(raw, _File, "a gesture")
    for name, keyframes in file.channels.items():
        if not 0 < len(keyframes) <= MAX_KEYFRAMES:
            raise BadCommand(f"{name} must have 1 to {MAX_KEYFRAMES} keyframes")
        if any(len(keyframe) != 2 for keyframe in keyframes):
            raise BadCommand(f"{name}: a keyframe is [second, value]")
        most = MOST.get(name, 1.0)
        if any(abs(value) > most for _, value in keyframes):
            raise BadCommand(f"{name}: values must lie within {-most:g} and {most:g}")
    try:
        return GestureCurve(file.duration_s, file.channels, file.interpolation == "linear")
    except ValueError as error:
        raise BadCommand(str(error)) from error


def gesture_json(curve: GestureCurve) -> dict[str, Any]:
    """Inverse of `read_gesture`."""
    return {
        "duration_s": curve.duration_s,
        "interpolation": "linear" if curve.linear else "smooth",
        "channels": {name: [list(keyframe) for keyframe in frames] for name, frames in curve.channels.items()},
    }
