"""Whether the machine can sustain one more avatar, from what drawing a chunk is measured to take."""

from math import inf
from typing import Literal

from realtime.errors import Overloaded
from realtime.render.quality import ROOM, Level

Admission = Literal["half_rate", "full_rate", "off"]
PROMISED = {"half_rate": Level(1, period=2), "full_rate": Level(1)}  # the least that every session is to get


def sustainable(draw_ms: float, admission: Admission, at_once: int = 1) -> float:
    """How many sessions there may be at once. One always: `run_server.py doctor` says whether it will look right."""
    if admission == "off" or draw_ms <= 0:
        return inf
    return max(1, int(ROOM / PROMISED[admission].load(draw_ms / 1000, at_once)))


def admit(running: int, draw_ms: float, admission: Admission, at_once: int = 1) -> None:
    """Raises Overloaded when one session more than `running` would be too many."""
    most = sustainable(draw_ms, admission, at_once)
    if running >= most:
        raise Overloaded(
            f"this machine cannot sustain another avatar: a frame takes {draw_ms / at_once:.0f} ms to draw, so it sustains "
            f"{most} at {PROMISED[admission].frames_per_second:g} frames a second, and {running} run: end one first"
        )
