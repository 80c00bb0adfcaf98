"""Gestures begin and end at nothing, move smoothly, and say what is wrong with them."""

import pickle

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


def test_a_long_gesture_is_packed_once_however_often_it_plays_and_waits() -> None:
    """It goes to the process that draws and back with every chunk, whose sound waits for it."""
    long = {"yaw_deg": tuple((0.04 * (i + 1), float(i % 7)) for i in range(400))}
    queue = [pickle.loads(pickle.dumps(GestureCurve(20.0, long, linear=True))) for _ in range(16)]
    assert all(curve is queue[0] for curve in queue) and queue[0] == GestureCurve(20.0, long, linear=True)
    assert len(pickle.dumps(queue)) < 1.1 * len(pickle.dumps(queue[0]))
