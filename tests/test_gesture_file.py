"""A gesture file says what it means or is refused with what is wrong with it."""

import json

import pytest

from realtime.errors import BadCommand
from realtime.gestures.builtin import GESTURES
from realtime.gestures.curve import GestureCurve
from realtime.gestures.file import gesture_json, read_gesture

GOOD = {"duration_s": 1.2, "channels": {"pitch_deg": [[0.3, 8], [0.8, -3]], "mouthSmileLeft": [[0.5, 0.7]]}}


def test_a_file_is_read_and_written_back() -> None:
    curve = read_gesture(GOOD)
    assert curve == GestureCurve(1.2, {"pitch_deg": ((0.3, 8.0), (0.8, -3.0)), "mouthSmileLeft": ((0.5, 0.7),)})
    assert read_gesture(json.loads(json.dumps(gesture_json(curve)))) == curve


@pytest.mark.parametrize("name", GESTURES)
def test_every_built_in_gesture_could_be_a_file(name: str) -> None:
    assert read_gesture(json.loads(json.dumps(gesture_json(GESTURES[name])))) == GESTURES[name]


def test_an_even_gesture_moves_in_straight_lines() -> None:
    curve = read_gesture({**GOOD, "interpolation": "linear"})
    assert curve.at(0.15)["pitch_deg"] == pytest.approx(4)
    assert read_gesture(GOOD).at(0.075)["pitch_deg"] < 1.5, "a smooth one begins at rest"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"duration_s": 0}, "duration_s must lie within 0.1 and 20"),
        ({"channels": {}}, "channels must have 1 to"),
        ({"channels": {"tail": [[0.1, 1]]}}, "'tail' is not a channel"),
        ({"channels": {"yaw_deg": []}}, "1 to 500 keyframes"),
        ({"channels": {"yaw_deg": [[0.1]]}}, r"a keyframe is \[second, value\]"),
        ({"channels": {"yaw_deg": [[0.1, 900]]}}, "values must lie within -80 and 80"),
        ({"channels": {"jawOpen": [[0.1, 2]]}}, "values must lie within -1 and 1"),
        ({"channels": {"yaw_deg": [[0.5, 1], [0.2, 1]]}}, "in order of time"),
        ({"channels": {"yaw_deg": [[5, 1]]}}, "between 0 and 1.2 s"),
        ({"channels": {"yaw_deg": [[0.1, float("nan")]]}}, "finite"),
        ({"interpolation": "wild"}, "one of smooth, linear"),
        ({"extra": 1}, "no field 'extra'"),
    ],
)
def test_a_mistake_is_named(change: dict, says: str) -> None:
    with pytest.raises(BadCommand, match=says):
        read_gesture({**GOOD, **change})
