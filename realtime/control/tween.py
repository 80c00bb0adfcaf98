"""A number on its way from one value to another."""

from dataclasses import dataclass

from flap.config import FRAME_RATE_HZ

CARRIED_FRAMES = 10.0  # for so long at most it goes on as it moved: over a long ease it would swing far beyond its end


def minimum_jerk(t: float) -> float:
    """How far a movement has come after the share `t` (0..1) of its time: it begins and ends at rest."""
    return t**3 * (10 - 15 * t + 6 * t * t)


def frames_of(milliseconds: float) -> float:
    return milliseconds / 1000 * FRAME_RATE_HZ


@dataclass(frozen=True)
class Tween:
    """Minimum jerk from `start` to `end` in `frames`; `first_frame` is the first that differs from `start`.

    `speed` a frame is what it sets out with.
    """

    start: float = 0.0
    end: float = 0.0
    first_frame: int = 0
    frames: float = 0.0
    speed: float = 0.0

    def at(self, frame: int) -> float:
        if self.frames <= 0:
            return self.end
        place = frame - self.first_frame + 1
        t = min(max(place / self.frames, 0.0), 1.0)
        way = min(self.frames, CARRIED_FRAMES)
        s = min(max(place / way, 0.0), 1.0)
        carried = self.speed * way * s * (1 - s) ** 3 * (1 + 3 * s)  # nothing at both ends, no acceleration either
        return self.start + (self.end - self.start) * minimum_jerk(t) + carried

    def to(self, end: float, frame: int, ease_ms: float) -> "Tween":
        """The same number sent elsewhere from where it is just before `frame`."""
        return Tween(self.at(frame - 1), end, frame, frames_of(ease_ms))

    def onward(self, end: float, frame: int, ease_ms: float) -> "Tween":
        """As `to`, without stopping where it turns: a hand sends elsewhere every few frames what is still on its way."""
        speed = self.speed if self.first_frame == frame else self.at(frame - 1) - self.at(frame - 2)
        return Tween(self.at(frame - 1), end, frame, frames_of(ease_ms), speed)


def resting(value: float) -> Tween:
    return Tween(value, value)
