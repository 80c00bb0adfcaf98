"""The delay follows what rendering takes: up at once, down after a calm while, never to and fro, within bounds."""

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.media.delay import (
    CALM_CHUNKS,
    LEAST_CHUNKS,
    MEASURED_CHUNKS,
    Bounds,
    Budget,
    adapt,
    delay_ms,
    first_budget,
)

BOUNDS = Bounds(20, 90)


LONGEST = Budget(90.0)


def course(ready_ms: Iterable[float], budget: Budget = LONGEST) -> list[float]:
    """The budget after every chunk."""
    seen, budgets = list[float](), []
    for value in ready_ms:
        seen.append(value)
        budget = adapt(seen, budget, BOUNDS)
        budgets.append(budget.ms)
    return budgets


def test_the_first_delay_is_guessed_from_what_a_chunk_takes_and_how_many_take_turns() -> None:
    assert first_budget(20, steps=1, turns=0.5, bounds=BOUNDS).ms == pytest.approx(35)
    assert first_budget(20, steps=2, turns=1, bounds=BOUNDS).ms == pytest.approx(65)
    assert first_budget(20, steps=1, turns=2, bounds=BOUNDS).ms == pytest.approx(65)
    assert first_budget(0, 1, 1, BOUNDS).ms == 20 and first_budget(500, 1, 1, BOUNDS).ms == 90
    assert delay_ms(Budget(44), lookahead_ms=80) == 40 + 80 + 44 + 8


def test_little_is_known_before_a_few_chunks() -> None:
    assert set(course([200.0] * (LEAST_CHUNKS - 1), Budget(40))) == {40}


def test_what_is_too_short_is_raised_at_once_to_what_nearly_all_chunks_need() -> None:
    budgets = course([60.0] * LEAST_CHUNKS, Budget(40))
    assert budgets[-1] == 65
    assert course([500.0] * LEAST_CHUNKS, Budget(40))[-1] == 90, "within bounds"


def test_a_few_late_chunks_are_no_reason() -> None:
    rare = [40.0 if chunk % 25 else 300.0 for chunk in range(1, 1000)]
    assert set(course(rare, Budget(47))) == {47}


def test_what_is_too_long_is_lowered_after_a_calm_while_and_only_by_enough() -> None:
    budgets = course([40.0] * (LEAST_CHUNKS + CALM_CHUNKS))
    assert budgets[LEAST_CHUNKS + CALM_CHUNKS - 3] == 90 and budgets[-1] == 45
    assert set(course([40.0] * 2000, Budget(58))) == {58}, "less than 15 ms are not worth it"


def test_it_does_not_swing_while_what_chunks_take_spreads_as_it_does() -> None:
    random = np.random.default_rng(1)
    ready_ms = 35 + 10 * random.gamma(2, 0.5, 10_000)
    budgets = course(ready_ms)
    changes = np.count_nonzero(np.diff(budgets))
    assert changes <= 4, "in 400 seconds"
    assert np.mean(ready_ms[MEASURED_CHUNKS + CALM_CHUNKS :] <= budgets[MEASURED_CHUNKS + CALM_CHUNKS :]) > 0.97, (
        "two thirds of a picture a second are late"
    )


@given(st.lists(st.floats(0, 10_000), max_size=300), st.floats(20, 90))
def test_it_stays_within_its_bounds_whatever_happens(ready_ms: list[float], first_ms: float) -> None:
    assert all(20 <= budget_ms <= 90 for budget_ms in course(ready_ms, Budget(first_ms)))


def test_a_delay_that_only_half_the_rate_may_have_ends_with_it_however_little_it_is_too_long() -> None:
    for too_long_ms in (1.0, 14.0, 45.0):
        after = adapt([BOUNDS.most_ms] * LEAST_CHUNKS, Budget(BOUNDS.most_ms + too_long_ms), BOUNDS)
        assert after.ms == BOUNDS.most_ms


def test_at_half_the_rate_a_chunk_has_half_as_long_again_unless_the_delay_is_to_stay() -> None:
    half = BOUNDS.at(2)
    assert BOUNDS.at(1) == BOUNDS and half == Bounds(20, 135) and Bounds(90, 90).at(2) == Bounds(90, 90)
    seen = [125.0] * LEAST_CHUNKS
    waiting = adapt(seen, LONGEST, half)
    assert waiting.ms == 130, "pictures come with their sound"
    for _ in range(CALM_CHUNKS):
        waiting = adapt([40.0] * MEASURED_CHUNKS, waiting, BOUNDS)
    assert waiting.ms == 45, "and back at the full rate sooner again"


def test_at_half_the_rate_seconds_are_as_long() -> None:
    budget, half = Budget(BOUNDS.most_ms), BOUNDS.at(2)
    seen = [30.0] * MEASURED_CHUNKS
    lowered_after = next(
        count for count in range(1, 1000) if (budget := adapt(seen, budget, half, period=2)).ms < BOUNDS.most_ms
    )
    assert lowered_after == CALM_CHUNKS // 2
