"""Gestures can always be ended, and only so many play at a time."""

from realtime.control.tickets import Refused
from realtime.gestures.queue import MAX_PLAYING
from realtime.protocol import messages as m
from tests.directed import play


def test_gestures_that_are_called_off_slowly_can_be_called_off_at_once() -> None:
    script = {
        0: [m.GesturePlay("g", "laugh", repeats=10, speed=0.5)],
        5: [m.GestureCancel("slow", ease_ms=60_000)],
        10: [m.Neutral("n")],
    }
    _, state, _ = play(script, 20)
    assert state.gestures == ()


def test_so_many_gestures_play_at_a_time_and_no_more() -> None:
    script = {
        chunk: [m.GesturePlay(f"g{chunk}", "laugh", repeats=10), m.GestureCancel(f"c{chunk}", ease_ms=60_000)]
        for chunk in range(40)
    }
    _, state, events = play(script, 40)
    assert len(state.gestures) == MAX_PLAYING
    refused = [event for event in events if isinstance(event, Refused)]
    assert len(refused) == 40 - MAX_PLAYING and refused[0].code == "too_many"
