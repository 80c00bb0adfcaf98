"""The media clock is arithmetic."""

import asyncio
import time

from realtime.clock import BLOCK_SAMPLES, BLOCKS_PER_FRAME, MediaClock, sleep_until


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
