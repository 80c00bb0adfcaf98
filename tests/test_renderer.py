"""Work leaves the event loop, and a renderer that is too slow is shared."""

import asyncio
import threading

import pytest

from realtime.renderer import Renderer, Turns


def test_work_runs_in_its_own_thread_and_errors_come_back() -> None:
    async def run() -> None:
        renderer = Renderer()
        names = [(await work(threading.current_thread)).name for work in (renderer.render, renderer.encode)]
        assert [name.split("_")[0] for name in names] == ["render", "encode"]
        with pytest.raises(ZeroDivisionError):
            await renderer.render(lambda: 1 / 0)
        renderer.close()

    asyncio.run(run())


def test_nobody_waits_while_everybody_is_in_time() -> None:
    turns = Turns()
    assert all(turns.may_draw(session, in_time=True) for session in "abab")


def test_whoever_was_late_is_left_one_turn() -> None:
    turns = Turns()
    assert not turns.may_draw("b", in_time=False)
    assert not turns.may_draw("a", in_time=True), "leaves the time to b"
    assert turns.may_draw("b", in_time=True)
    assert turns.may_draw("a", in_time=True)


def test_a_session_alone_is_never_held_up_by_its_own_lateness() -> None:
    turns = Turns()
    assert not turns.may_draw("a", in_time=False)
    assert turns.may_draw("a", in_time=True)
    assert turns.may_draw("a", in_time=True)


def test_a_session_that_has_ended_costs_one_turn_at_most() -> None:
    turns = Turns()
    turns.may_draw("gone", in_time=False)
    turns.may_draw("gone", in_time=False)
    assert [turns.may_draw("a", in_time=True) for _ in range(3)] == [False, True, True]
