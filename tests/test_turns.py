"""A renderer that is too slow is shared: pictures are left out by turns, and nobody goes without for long."""

from flap.config import CHUNK_S
from realtime.render.turns import Turns


def test_nobody_waits_while_everybody_is_in_time() -> None:
    turns = Turns()
    assert all(turns.may_draw(session, in_time=True, now_s=0.0) for session in "abab")


def test_whoever_was_late_is_left_one_turn() -> None:
    turns = Turns()
    assert not turns.may_draw("b", in_time=False, now_s=0.0)
    assert not turns.may_draw("a", in_time=True, now_s=0.0), "leaves the time to b"
    assert turns.may_draw("b", in_time=True, now_s=0.0)
    assert turns.may_draw("a", in_time=True, now_s=0.0)


def test_a_session_alone_is_never_held_up_by_its_own_lateness() -> None:
    turns = Turns()
    assert not turns.may_draw("a", in_time=False, now_s=0.0)
    assert turns.may_draw("a", in_time=True, now_s=0.0)
    assert turns.may_draw("a", in_time=True, now_s=0.0)


def test_a_session_that_has_ended_is_owed_nothing() -> None:
    turns = Turns()
    turns.may_draw("gone", in_time=False, now_s=0.0)
    turns.forget("gone")
    assert turns.may_draw("a", in_time=True, now_s=0.0)


def test_on_a_machine_for_which_everything_is_too_late_everybody_has_a_picture_now_and_then() -> None:
    turns, drew = Turns(), {"a": 0, "b": 0}
    for chunk in range(round(10 / CHUNK_S)):  # ten seconds
        for session in drew:
            drew[session] += turns.may_draw(session, in_time=False, now_s=chunk * CHUNK_S)
    assert drew["a"] == drew["b"] >= 20
