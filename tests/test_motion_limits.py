"""A head that is asked for anything moves within its limits, and arrives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.control.limits import Limits, Motion, braking_step, follow

LIMITS = Limits.per_second(-40, 40, velocity=300, acceleration=4000)


def followed(wishes: list[float]) -> np.ndarray:
    motion, places = Motion(float(np.clip(wishes[0], LIMITS.low, LIMITS.high))), []
    for wish in wishes:
        motion = follow(wish, motion, LIMITS)
        places.append(motion.place)
    return np.array(places)


def test_a_step_is_caught_up_with_and_not_overshot() -> None:
    places = followed([0.0, 40.0, *[40.0] * 8])
    assert places[-1] == 40
    assert np.all(np.diff(places) >= 0)


def test_a_motion_within_the_limits_passes_unchanged() -> None:
    wishes = [15 * np.sin(i / 5) for i in range(60)]
    assert np.array_equal(followed([0.0, *wishes]), [0.0, *wishes])


@given(st.lists(st.floats(-60, 60), min_size=2, max_size=60))
@settings(deadline=None)
def test_limits_hold_for_every_wish_and_following_twice_is_following_once(wishes: list[float]) -> None:
    places = followed(wishes)
    steps = np.diff([places[0], places[0], *places])
    assert np.abs(places).max() <= 40
    assert np.abs(steps).max() <= LIMITS.velocity + 1e-4
    assert np.abs(np.diff(steps)).max() <= LIMITS.acceleration + 1e-4
    assert followed(list(places)) == pytest.approx(places, abs=1e-9)


def test_whoever_steps_that_far_can_still_stop() -> None:
    for distance in (0.5, 3.0, 17.0):
        step, travelled = braking_step(distance, 2.0), 0.0
        while step > 0:
            travelled, step = travelled + step, step - 2.0
        assert travelled == pytest.approx(distance)
