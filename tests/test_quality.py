"""The quality ladder goes down when deadlines are missed, up when there is room, and does not swing between."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flap.config import CHUNK_S
from realtime.render.quality import (
    CALM_CHUNKS,
    LONGEST_CALM_CHUNKS,
    MISSES_DOWN,
    ROOM,
    URGENT_CHUNKS,
    Level,
    Moment,
    Quality,
    judge,
    ladder,
)
from realtime.render.turns import Turns

BUDGET_S = 0.07  # from the sound's end to the last picture's moment, as sessions have it
RUNGS = ladder(2)
QUALITIES = st.builds(
    Quality,
    rung=st.integers(0, len(RUNGS) - 1),
    misses=st.floats(0, MISSES_DOWN),
    calm_chunks=st.integers(0, 10_000),
    calm_needed=st.integers(CALM_CHUNKS, LONGEST_CALM_CHUNKS),
    since_up=st.integers(0, 10_000),
    left_out=st.integers(0, 1),
    since_urgent=st.integers(0, 40),
)
COSTS = st.lists(st.floats(0, 1), min_size=len(RUNGS), max_size=len(RUNGS))
WAITED = st.floats(0, 2)


def test_the_ladder_has_fewer_steps_then_half_the_rate() -> None:
    assert ladder(1) == (Level(1), Level(1, 2))
    assert ladder(2) == (Level(2), Level(1), Level(1, 2))
    assert ladder(4) == (Level(4), Level(2), Level(1), Level(1, 2))
    assert [rung.frames_per_second for rung in ladder(1)] == [25, 12.5]
    assert Level(1, 2).load(0.02) == 0.25 and Level(1).load(0.06, at_once=2) == 0.75


def moment(waited_s: float = 0.0, elsewhere: float = 0.0) -> Moment:
    return Moment(100 + waited_s, 100, 100 + BUDGET_S, elsewhere)


@given(WAITED, COSTS, QUALITIES, st.floats(0, 4))
def test_one_chunk_moves_one_rung_at_most(
    waited_s: float, costs: list[float], quality: Quality, elsewhere: float
) -> None:
    verdict, after = judge(moment(waited_s, elsewhere), costs, RUNGS, quality)
    assert 0 <= after.rung < len(RUNGS)
    assert abs(after.rung - quality.rung) <= 1
    assert verdict.level == RUNGS[after.rung]
    assert after.misses <= MISSES_DOWN + 1
    assert CALM_CHUNKS <= after.calm_needed <= LONGEST_CALM_CHUNKS


@given(WAITED, st.floats(0, 1), COSTS, QUALITIES)
def test_who_is_late_is_not_in_time_by_waiting_longer(
    waited_s: float, more_s: float, costs: list[float], quality: Quality
) -> None:
    sooner, _ = judge(moment(waited_s), costs, RUNGS, quality)
    later, _ = judge(moment(waited_s + more_s), costs, RUNGS, quality)
    assert sooner.in_time or not later.in_time


@settings(max_examples=15, deadline=None)
@given(QUALITIES)
def test_with_all_the_time_in_the_world_the_best_level_is_reached_and_kept(quality: Quality) -> None:
    for _ in range(2 * (LONGEST_CALM_CHUNKS + 1) + 2):
        verdict, quality = judge(moment(), [0.001] * len(RUNGS), RUNGS, quality)
    assert verdict.level == RUNGS[0]


@settings(max_examples=25, deadline=None)
@given(QUALITIES, st.integers(1, 20))
def test_nothing_goes_up_into_a_renderer_without_room(quality: Quality, chunks: int) -> None:
    lowest = quality.rung
    for _ in range(50 * chunks):
        _, quality = judge(moment(elsewhere=ROOM), [0.001] * len(RUNGS), RUNGS, quality)
        assert quality.rung >= lowest
        lowest = quality.rung


def test_six_misses_in_a_row_go_down_and_one_now_and_then_does_not() -> None:
    quality = Quality()
    for _ in range(7):
        _, quality = judge(moment(waited_s=0.06), [0.025] * 3, RUNGS, quality)
    assert quality.rung == 1
    quality = Quality()
    for chunk in range(2000):
        _, quality = judge(moment(waited_s=0.06 if chunk % 26 == 0 else 0.0), [0.025] * 3, RUNGS, quality)
    assert quality.rung == 0


def test_a_session_that_comes_and_goes_within_half_a_second_costs_nobody_the_rate_and_one_that_stays_does() -> None:
    levels = []
    for elsewhere, seconds in ((0.79, 0.5), (0.79, 1.4), (0.95, 0.2), (0.95, 0.32)):  # a quarter more is its own
        quality = Quality()
        for _ in range(round(seconds / CHUNK_S)):
            verdict, quality = judge(moment(elsewhere=elsewhere), [0.01, 0.005, 0.005], RUNGS, quality)
            assert verdict.in_time
        levels.append(quality.rung)
    assert levels == [0, 1, 0, 1]


def test_what_a_longer_delay_will_mend_is_no_reason_to_go_down() -> None:
    quality, late = Quality(), moment(waited_s=0.06)
    for _ in range(100):
        verdict, quality = judge(replace(late, room_s=0.05), [0.025] * 3, RUNGS, quality)
        assert verdict.in_time, "it is drawn, for it is shown a little late"
    assert quality.rung == 0
    for _ in range(7):
        _, quality = judge(replace(late, room_s=0.01), [0.025] * 3, RUNGS, quality)
    assert quality.rung == 1


def test_who_is_late_until_the_delay_has_grown_is_not_calm() -> None:
    quality, late = Quality(rung=1), moment(waited_s=0.06)
    for _ in range(3 * CALM_CHUNKS):
        _, quality = judge(replace(late, room_s=0.05), [0.025] * 3, RUNGS, quality)
    assert quality.rung == 1


def test_who_has_time_only_by_the_longer_delay_of_half_the_rate_does_not_go_up() -> None:
    """Full rate would shorten the delay, and the chunks would miss their moment there."""
    for above_room_s, level in ((-0.025, 1), (0.0, 0)):
        at = Moment(100, 100, 100.083, room_s=0.01, at_once=2, above_room_s=above_room_s)
        quality = Quality(rung=1)
        for _ in range(4 * CALM_CHUNKS):
            _, quality = judge(at, [0.066] * 2, ladder(1), quality)
        assert quality.rung == level


def test_at_half_the_rate_every_second_chunk_is_left_out() -> None:
    quality, wanted = Quality(rung=2), []
    for _ in range(10):
        verdict, quality = judge(moment(elsewhere=1.0), [0.025] * 3, RUNGS, quality)
        wanted.append(verdict.wanted)
    assert wanted == [False, True] * 5


def test_a_chunk_that_a_command_waits_for_is_not_left_out_while_there_is_time_now_and_then() -> None:
    urgent = replace(moment(elsewhere=0.6), urgent=True)  # no room for a better level
    verdict, quality = judge(urgent, [0.025] * 3, RUNGS, Quality(rung=2))
    assert verdict.wanted and verdict.in_time
    wanted = []
    for _ in range(10 * (URGENT_CHUNKS + 1)):
        verdict, quality = judge(urgent, [0.025] * 3, RUNGS, quality)
        wanted.append(verdict.wanted)
    assert sum(wanted) == 10 * (URGENT_CHUNKS / 2 + 1), (
        "a stream of commands asks for little more than half of the chunks"
    )
    for busy in (moment(waited_s=0.06), moment(elsewhere=0.9)):
        verdict, _ = judge(replace(busy, urgent=True), [0.025] * 3, RUNGS, Quality(rung=2))
        assert not verdict.wanted


@dataclass
class Session:
    """One session of the simulated renderer."""

    phase_s: float
    quality: Quality = Quality()
    chunk: int = 0
    asked_s: float = 0.0
    levels: list[int] = field(default_factory=list)
    shown: list[bool] = field(default_factory=list)  # of the wanted chunks: whether it was ready when due


def simulate(sessions: dict[str, Session], cost_s: dict[int, float], seconds: float, rungs=RUNGS) -> None:  # type: ignore[no-untyped-def]
    """Sessions that hand in a chunk at a time, to a renderer that does one after the other."""
    turns, now_s = Turns(), 0.0
    costs = [cost_s[rung.steps] for rung in rungs]
    for session in sessions.values():
        session.asked_s = session.phase_s + CHUNK_S
    while now_s < seconds:
        name, session = min(sessions.items(), key=lambda item: item[1].asked_s)
        now_s = max(now_s, session.asked_s)
        heard_s = session.phase_s + (session.chunk + 1) * CHUNK_S
        elsewhere = sum(rungs[s.quality.rung].load(costs[s.quality.rung]) for k, s in sessions.items() if k != name)
        at = Moment(now_s, heard_s, heard_s + BUDGET_S, elsewhere)
        verdict, session.quality = judge(at, costs, rungs, session.quality)
        draws = verdict.wanted and turns.may_draw(name, verdict.in_time, now_s)
        now_s += cost_s[verdict.level.steps] if draws else 0.0005
        session.levels.append(session.quality.rung)
        if verdict.wanted:
            session.shown.append(draws and now_s <= at.due_s)
        session.chunk += 1
        session.asked_s = max(now_s, session.phase_s + (session.chunk + 1) * CHUNK_S)


@pytest.mark.parametrize(
    ("cost_ms", "expected"),
    [(15, 0), (25, 1), (55, 2)],  # a step: two fit within 40 ms, one does, none does but within 80 ms
)
def test_a_session_alone_finds_the_level_that_it_can_keep(cost_ms: float, expected: int) -> None:
    session = Session(0.0)
    simulate({"a": session}, {1: cost_ms / 1000, 2: 2 * cost_ms / 1000}, 60)
    late = session.levels[-600:]
    assert sum(level == expected for level in late) > 0.9 * len(late)
    assert sum(session.shown[-200:]) > 180


@settings(deadline=None, max_examples=10)
@given(st.floats(0.02475, 0.0345), st.lists(st.floats(0, 0.04), min_size=2, max_size=2))
def test_two_sessions_that_do_not_fit_both_go_to_half_the_rate_and_lose_little(
    cost_s: float, phases: list[float]
) -> None:
    sessions = {str(i): Session(phase) for i, phase in enumerate(phases)}
    simulate(sessions, {1: cost_s}, 40, ladder(1))
    for session in sessions.values():
        assert sum(session.levels[-600:]) > 540
        assert sum(session.shown[-200:]) > 170


def test_when_the_other_has_left_the_full_rate_comes_back() -> None:
    sessions = {"a": Session(0.0), "b": Session(0.015)}
    simulate(sessions, {1: 0.03}, 20, ladder(1))
    assert sessions["a"].quality.rung == 1
    alone = Session(0.0, quality=sessions["a"].quality)
    simulate({"a": alone}, {1: 0.03}, 20, ladder(1))
    assert alone.quality.rung == 0


def test_a_level_that_cannot_be_kept_is_tried_less_and_less_often() -> None:
    """Costs look right and are not: pictures are drawn in time, but the renderer is needed elsewhere in bursts."""
    quality, ups = Quality(rung=1), []
    for chunk in range(20_000):
        before = quality.rung
        waited_s = 0.065 if quality.rung == 0 else 0.0
        _, quality = judge(moment(waited_s), [0.025] * 3, RUNGS, quality)
        if quality.rung < before:
            ups.append(chunk)
    assert len(ups) < 20_000 / LONGEST_CALM_CHUNKS + 8
    assert ups[1] - ups[0] < ups[4] - ups[3]
