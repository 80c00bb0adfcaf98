"""How fast a head may move: limits of place, velocity and acceleration that hold whatever is asked of it."""

import math
from dataclasses import dataclass

from flap.config import FRAME_RATE_HZ


@dataclass(frozen=True)
class Limits:
    """Of one channel, in its unit: place within `low` and `high`, steps a frame, change of step a frame."""

    low: float
    high: float
    velocity: float  # a frame
    acceleration: float  # a frame, each frame

    @classmethod
    def per_second(cls, low: float, high: float, velocity: float, acceleration: float) -> "Limits":
        return cls(low, high, velocity / FRAME_RATE_HZ, acceleration / FRAME_RATE_HZ**2)


@dataclass(frozen=True)
class Motion:
    """A channel between two frames: where it is, its last step, and where it was last asked to be."""

    place: float
    step: float = 0.0
    wanted: float | None = None


def follow(wanted: float, before: Motion, limits: Limits) -> Motion:
    """The channel one frame later, on its way to `wanted`.

    A motion that keeps within the limits passes unchanged, so following twice is following once. Any other is caught up
    with: as fast as the limits allow, and early enough to brake, so that it neither jumps nor swings past a limit.
    """
    wanted = min(max(wanted, limits.low), limits.high)
    asked = wanted - (wanted if before.wanted is None else before.wanted)  # the step that the wish itself makes
    step = _step(wanted - before.place, asked, before, limits)
    # wherever it is, it can still stop before the end of its range
    step = min(step, braking_step(limits.high - before.place, limits.acceleration))
    step = max(step, -braking_step(before.place - limits.low, limits.acceleration))
    place = wanted if step == wanted - before.place else before.place + step
    return Motion(min(max(place, limits.low), limits.high), step, wanted)


def _step(missing: float, asked: float, before: Motion, limits: Limits) -> float:
    slack = 1e-6 * limits.acceleration  # of the rounding of float32
    reachable = abs(missing) <= limits.velocity + slack and abs(missing - before.step) <= limits.acceleration + slack
    if reachable and abs(missing - asked) <= limits.acceleration + slack:
        return missing
    behind = missing - asked
    step = asked + math.copysign(braking_step(abs(behind), limits.acceleration), behind)
    step = min(max(step, before.step - limits.acceleration), before.step + limits.acceleration)
    return min(max(step, -limits.velocity), limits.velocity)


def braking_step(distance: float, deceleration: float) -> float:
    """The largest step after which steps that shrink by `deceleration` stop within `distance`, this step included."""
    if distance <= 0:
        return 0.0
    whole = math.floor((math.sqrt(1 + 8 * distance / deceleration) - 1) / 2)
    return whole * deceleration + (distance - whole * (whole + 1) * deceleration / 2) / (whole + 1)
