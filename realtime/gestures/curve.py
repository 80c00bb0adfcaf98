"""A gesture as keyframes: a pose and ARKit shapes that come, swing and are gone again.

Angles are degrees, `x` and `y` shares of the picture, `zoom` how much bigger it gets (0.2: by a fifth).
"""

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from flap.coefficients import ARKIT_NAMES
from realtime.control.tween import minimum_jerk
from realtime.protocol.directives import CHANNELS

Keyframes = tuple[tuple[float, float], ...]  # (second, value), in order of time


@dataclass(frozen=True)
class GestureCurve:
    """What a gesture adds to the face; every channel is zero before it begins and at `duration_s`.

    It travels with every chunk in which it plays or waits, half a megabyte at its largest, so it is packed and unpacked once.
    From keyframe to keyframe it moves by minimum jerk, or evenly if `linear`, as recorded ones with many keyframes do.
    Raises ValueError for a channel that is neither one of the pose nor an ARKit shape, and for keyframes out of order.
    """

    duration_s: float
    channels: Mapping[str, Keyframes]
    linear: bool = False

    def __post_init__(self) -> None:
        for name, keyframes in self.channels.items():
            if name not in CHANNELS and name not in ARKIT_NAMES:
                raise ValueError(f"{name} is neither one of {', '.join(CHANNELS)} nor an ARKit blendshape name")
            times = [0.0, *(second for second, _ in keyframes), self.duration_s]
            if sorted(set(times)) != times:
                raise ValueError(f"{name}: keyframes must lie between 0 and {self.duration_s} s in order of time")

    @cached_property
    def _packed(self) -> bytes:
        return pickle.dumps((self.duration_s, self.channels, self.linear), pickle.HIGHEST_PROTOCOL)

    def __reduce__(self) -> tuple[Callable[[bytes], "GestureCurve"], tuple[bytes]]:
        return _unpacked, (self._packed,)

    def at(self, second: float) -> dict[str, float]:
        """Value of each channel; empty outside the gesture."""
        if not 0 <= second < self.duration_s:
            return {}
        return {name: self._value(keyframes, second) for name, keyframes in self.channels.items()}

    def _value(self, keyframes: Keyframes, second: float) -> float:
        before = (0.0, 0.0)
        for after in (*keyframes, (self.duration_s, 0.0)):
            if second < after[0]:
                t = (second - before[0]) / (after[0] - before[0])
                return before[1] + (after[1] - before[1]) * (t if self.linear else minimum_jerk(t))
            before = after
        return 0.0


@lru_cache(maxsize=64)  # more than can play and wait in a session
def _unpacked(packed: bytes) -> GestureCurve:
    curve = GestureCurve(*pickle.loads(packed))
    curve.__dict__["_packed"] = packed
    return curve
