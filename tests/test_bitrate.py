"""Pictures take fewer bits where most viewers lose many packets, and more again where that lasts."""

import pytest

from realtime.media.bitrate import DOWN_S, LONGEST_UP_S, RATES, UP_S, Bitrate, step

TICK_S = 0.04


def test_finer_pictures_take_more_and_a_narrow_way_gets_as_little_as_ever() -> None:
    assert RATES[512][0] == 2 * RATES[256][0] and RATES[512][-1] == RATES[256][-1]
    lossy = Bitrate(rates=RATES[512])
    assert lossy.bits_per_second == RATES[512][0]
    for now_s in range(60):
        lossy = step(lossy, [0.3], float(now_s))
    assert lossy.bits_per_second == RATES[512][-1]


def run(lost: list[float], seconds: float, bitrate: Bitrate | None = None, begin_s: float = 0.0) -> Bitrate:
    bitrate = bitrate or Bitrate()
    for tick in range(round(seconds / TICK_S)):
        bitrate = step(bitrate, lost, begin_s + tick * TICK_S)
    return bitrate


@pytest.mark.parametrize(
    ("lost", "level"),
    [
        ([], 0),
        ([0.0], 0),
        ([0.05] * 3, 0),
        ([0.3], 1),
        ([0.3, 0.0], 0),
        ([0.3, 0.3, 0.0], 1),
        ([0.3] * 4 + [0.0] * 4, 0),
    ],
)
def test_more_than_half_have_to_lose_much(lost: list[float], level: int) -> None:
    assert run(lost, DOWN_S + 1).level == level


def test_a_moment_of_losses_changes_nothing_and_a_lasting_one_goes_down_to_the_last_rate() -> None:
    assert run([0.3], DOWN_S - 0.5).level == 0
    down = run([0.3], 60)
    assert down.bits_per_second == RATES[256][-1]
    assert run([0.05], 60, down, 60).level == down.level, "what sending twice mends is no reason to go up"
    assert run([0.0], UP_S - 1, down, 60).level == down.level
    assert run([0.0], len(RATES[256]) * UP_S, down, 60).level == 0


def test_a_rate_that_is_too_much_is_tried_ever_more_seldom() -> None:
    bitrate, ups = run([0.3], 60), []
    for tick in range(round(1200 / TICK_S)):
        now_s = 60 + tick * TICK_S
        before = bitrate.level
        bitrate = step(bitrate, [0.3 if before < len(RATES[256]) - 1 else 0.0], now_s)
        if bitrate.level < before:
            ups.append(now_s)
    waits = [later - sooner for sooner, later in zip(ups, ups[1:], strict=False)]
    assert len(ups) < 14 and waits[0] < waits[2] and max(waits) < LONGEST_UP_S + 10
