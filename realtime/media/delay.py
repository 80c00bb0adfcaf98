"""How much later than it is heard a session shows everything: chosen by what rendering has lately taken, and changed unnoticed.

A chunk, the look-ahead of audio-to-FLAME and the way to the network are fixed; what rendering is given is not. It is raised as
soon as chunks need more and lowered after a calm while. The delay then slides there: blocks of sound leave a little further
apart, or closer together, and pictures with them. Everything here is pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from flap.config import CHUNK_MS

SENDING_MS = 8.0  # for encoding and the thread's way to the network
MEASURED_CHUNKS = 250  # ten seconds; of how many the last are looked at
SETTLING_CHUNKS = 80  # a session's first say nothing of its later ones: pages load on the same machine, viewers join
LEAST_CHUNKS = 50  # before them nothing is known
IN_TIME = 95  # percent of chunks are to be ready when their first picture is due
SPARE_MS = 5.0  # beyond what they have taken
RAISED_BY_MS = 5.0  # by less it is not worth it
LOWERED_BY_MS = 15.0
CALM_CHUNKS = 250  # for which so much less would have been enough
GUESSED_SPREAD = 1.5  # of a session's first chunks over what one was measured to take before


@dataclass(frozen=True)
class Bounds:
    """Of what rendering may be given, in milliseconds."""

    least_ms: float
    most_ms: float

    def at(self, period: int) -> "Bounds":
        """When one chunk out of `period` is drawn: at half the rate half as long again, since lips come before delay.

        Bounds that are one stay one.
        """
        return self if self.least_ms == self.most_ms else replace(self, most_ms=self.most_ms * (1 + period) / 2)

    def hold(self, budget_ms: float) -> float:
        return float(np.clip(budget_ms, self.least_ms, self.most_ms))


@dataclass(frozen=True)
class Budget:
    """What rendering is given, between two chunks; `calm_chunks` is for how many less would have been enough."""

    ms: float
    calm_chunks: int = 0


def first_budget(draw_ms: float, steps: int, turns: float, bounds: Bounds) -> Budget:
    """Before anything was drawn: `draw_ms` is what a chunk takes in one step, so many sessions take `turns` at a thread."""
    return Budget(bounds.hold(GUESSED_SPREAD * draw_ms * steps * max(turns, 1) + SPARE_MS))


def adapt(ready_ms: Sequence[float], budget: Budget, bounds: Bounds, period: int = 1) -> Budget:
    """The budget after a chunk; `ready_ms` is when the last ones were drawn after their sound was complete, oldest first, one out of
    `period`."""
    budget = replace(budget, ms=min(budget.ms, bounds.most_ms))
    recent = ready_ms[-(MEASURED_CHUNKS // period) :]
    if len(recent) < LEAST_CHUNKS // period:
        return budget
    needed_ms = bounds.hold(float(np.percentile(recent, IN_TIME)) + SPARE_MS)
    if needed_ms > budget.ms + RAISED_BY_MS or (needed_ms > budget.ms and needed_ms == bounds.most_ms):
        return Budget(needed_ms)
    if needed_ms > budget.ms - LOWERED_BY_MS:
        return replace(budget, calm_chunks=0)
    if budget.calm_chunks + period < CALM_CHUNKS:
        return replace(budget, calm_chunks=budget.calm_chunks + period)
    return Budget(needed_ms)


def delay_ms(budget: Budget, lookahead_ms: float) -> float:
    """From a sound to its picture."""
    return CHUNK_MS + lookahead_ms + budget.ms + SENDING_MS
