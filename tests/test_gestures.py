"""Gestures begin and end at nothing, move smoothly, and say what is wrong with them."""

import numpy as np
import pytest

from flap.config import FRAME_RATE_HZ
from realtime.gestures.builtin import GESTURES
from realtime.gestures.curve import GestureCurve


@pytest.mark.parametrize("name", GESTURES)
def test_a_gesture_begins_and_ends_at_nothing_and_never_jumps(name: str) -> None:
    curve = GESTURES[name]
    seconds = np.arange(0, curve.duration_s, 1 / FRAME_RATE_HZ)
    for channel in curve.channels:
        values = np.array([0.0, *(curve.at(second)[channel] for second in seconds), 0.0])
        most_a_frame = 6.0 if channel.endswith("_deg") else 0.6
        assert np.abs(np.diff(values)).max() <= most_a_frame, channel
        assert values[1] == 0
    assert curve.at(-0.1) == curve.at(curve.duration_s) == {}


def test_a_keyframe_is_met_at_its_moment() -> None:
    assert GestureCurve(1.0, {"yaw_deg": ((0.5, 12.0),)}).at(0.5) == {"yaw_deg": 12.0}


@pytest.mark.parametrize(
    ("channels", "sentence"),
    [
        ({"eyebrows": ((0.5, 1.0),)}, "eyebrows is neither"),
        ({"yaw_deg": ((0.6, 1.0), (0.5, 2.0))}, "in order of time"),
        ({"yaw_deg": ((1.5, 1.0),)}, "between 0 and 1.0 s"),
    ],
)
def test_a_gesture_that_cannot_be_played_is_refused(channels: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        GestureCurve(1.0, channels)
