"""The lip-sync benchmark measures what it says."""

import numpy as np
import pytest

from benchmarks.lipsync import blink_rate_error, near, noises, offset_frames


@pytest.mark.parametrize("late", [-2, 0, 3])
def test_the_offset_of_a_shifted_curve_is_its_shift(late: int) -> None:
    wanted = np.convolve(np.random.default_rng(0).standard_normal(300), np.ones(5) / 5, "same").astype(np.float32)
    assert offset_frames(np.roll(wanted, late), wanted) == pytest.approx(late, abs=0.2)


def test_a_closure_counts_within_one_frame_and_not_within_two() -> None:
    shut = np.zeros(10, bool)
    shut[5] = True
    assert near(shut, np.array([4, 5, 6])) == [True] * 3
    assert near(shut, np.array([3, 7])) == [False] * 2


def test_noises_are_heard() -> None:
    assert all(np.sqrt((sound**2).mean()) > 0.01 for sound in noises(2.0).values())


def test_blinks_come_at_the_rates_that_are_asked_for() -> None:
    assert blink_rate_error() < 0.2
