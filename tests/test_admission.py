"""A session that the machine cannot sustain is refused, with what it could sustain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.errors import Overloaded
from realtime.render.admission import admit, sustainable


def test_two_at_half_rate_or_one_at_full_rate_with_30_ms_a_frame() -> None:
    assert sustainable(30, "half_rate") == 2
    assert sustainable(30, "full_rate") == 1
    assert sustainable(30, "off") > 1000
    admit(1, 30, "half_rate")
    with pytest.raises(Overloaded, match=r"takes 30 ms to draw, so it sustains 2 at 12\.5 frames a second, and 2 run"):
        admit(2, 30, "half_rate")


def test_frames_that_are_drawn_side_by_side_share_the_time() -> None:
    assert sustainable(60, "half_rate", at_once=2) == sustainable(30, "half_rate")
    with pytest.raises(Overloaded, match="takes 30 ms to draw"):
        admit(2, 60, "half_rate", at_once=2)


def test_one_is_always_admitted_and_nothing_measured_refuses_nobody() -> None:
    admit(0, 5000, "full_rate")
    admit(63, 0.0, "half_rate")


@given(st.floats(0.1, 10_000), st.floats(1, 10))
def test_a_slower_machine_sustains_no_more(draw_ms: float, slower: float) -> None:
    assert sustainable(draw_ms * slower, "half_rate") <= sustainable(draw_ms, "half_rate")
