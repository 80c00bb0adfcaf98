"""The media clock is arithmetic."""

import asyncio
import time

import pytest

from realtime.media.clock import BLOCK_SAMPLES, BLOCKS_PER_FRAME, MediaClock, sleep_until


def test_sound_is_shown_a_fixed_delay_after_it_was_heard() -> None:
    clock = MediaClock(start_s=100.0, delay_s=0.25)
    for frame in (0, 7, 90_000):
        assert abs(clock.shown_s(frame * BLOCKS_PER_FRAME) - clock.heard_s(frame) - 0.25) < 1e-9
    assert (BLOCK_SAMPLES, BLOCKS_PER_FRAME) == (960, 2)


def test_the_frame_on_show_is_the_one_that_began_last() -> None:
    clock = MediaClock(100.0, 0.25)
    assert clock.frame_at(100.0) == -7
    assert clock.frame_at(100.251) == 0
    assert clock.frame_at(101.251) == 25


def test_sleeping_ends_at_the_deadline_and_tells_how_late_it_is() -> None:
    now_s = time.monotonic()
    assert 0 <= asyncio.run(sleep_until(now_s + 0.05)) < 0.5
    assert time.monotonic() >= now_s + 0.05
    assert asyncio.run(sleep_until(now_s - 1)) >= 1


def test_a_clock_slides_to_another_delay_slower_by_two_percent_and_faster_by_half_a_percent() -> None:
    clock = MediaClock(100.0, 0.2)
    for wanted_s, rate in ((0.24, 0.02), (0.2, -0.005)):
        before, blocks = clock, 0
        while clock.delay_s != pytest.approx(wanted_s):
            later = clock.towards(wanted_s)
            apart_s = later.shown_s(blocks + 1) - clock.shown_s(blocks)
            assert apart_s == pytest.approx(0.02 * (1 + rate), abs=1e-6) or later.delay_s == pytest.approx(wanted_s)
            clock, blocks = later, blocks + 1
        assert blocks == round(abs(wanted_s - before.delay_s) / abs(rate) * 50)
    assert clock.towards(clock.delay_s) is clock
