"""Gestures that play and gestures that wait for their turn."""

import math
from dataclasses import dataclass, replace

import numpy as np

from flap.config import FRAME_RATE_HZ
from realtime.control.layers import Pose
from realtime.control.tickets import Ticket
from realtime.control.tween import Tween, resting
from realtime.errors import Conflict, TooMany
from realtime.face import features as ft
from realtime.gestures.curve import GestureCurve
from realtime.protocol.directives import CHANNELS

MAX_WAITING = 16
MAX_PLAYING = 16  # those that are on their way out too: every one is worked out for every frame
GIVE_WAY_MS = 160.0
Parts = tuple["PlayingGesture", ...]


@dataclass(frozen=True)
class PlayingGesture:
    """A gesture with its ticket; `first_frame` is None while it waits, `presence` falls to 0 when it is called off."""

    ticket: Ticket
    name: str
    curve: GestureCurve
    amplitude: float = 1.0
    speed: float = 1.0
    repeats: int = 1
    priority: int = 5
    first_frame: int | None = None
    presence: Tween = resting(1.0)

    @property
    def playing(self) -> bool:
        return self.first_frame is not None

    @property
    def leaving(self) -> bool:
        return self.presence.end == 0

    def collides(self, other: "PlayingGesture") -> bool:
        return not self.curve.channels.keys().isdisjoint(other.curve.channels)

    def over(self, frame: int) -> bool:
        if self.first_frame is None:
            return self.leaving
        faded = self.leaving and self.presence.at(frame - 1) == 0
        return faded or self._second(frame, self.first_frame) >= self.curve.duration_s * self.repeats

    def leave(self, frame: int, ease_ms: float) -> "PlayingGesture":
        return replace(self, presence=self.presence.to(0.0, frame, ease_ms))

    def leave_sooner(self, frame: int, ease_ms: float) -> "PlayingGesture":
        """As `leave`, unless it leaves already and is gone before that."""
        left = self.leave(frame, ease_ms)
        is_sooner = self.leaving and self.presence.first_frame + self.presence.frames <= frame + left.presence.frames
        return self if is_sooner else left

    def added(self, frame: int) -> tuple[ft.Features, Pose] | None:
        """What it adds to features `[109]` and pose `[6]` at `frame`; None when that is nothing."""
        if self.first_frame is None or self.over(frame):
            return None
        values = self.curve.at(self._second(frame, self.first_frame) % self.curve.duration_s)
        size = self.amplitude * self.presence.at(frame)
        pose = np.array([_inner(channel, size * values.get(channel, 0.0)) for channel in CHANNELS])
        shapes = {name: size * value for name, value in values.items() if name not in CHANNELS}
        return (ft.of_shapes(shapes) if shapes else ft.NEUTRAL), pose

    def _second(self, frame: int, first_frame: int) -> float:
        return (frame - first_frame) / FRAME_RATE_HZ * self.speed


def _inner(channel: str, value: float) -> float:
    """A gesture's value as the pose is added up: degrees, shares of the picture, and how much bigger (0.2: by a fifth)."""
    if channel.endswith("_deg"):
        return math.radians(value)
    return math.log1p(max(value, -0.5)) if channel == "zoom" else value


def begin(gestures: Parts, new: PlayingGesture, frame: int) -> tuple[Parts, Parts]:
    """Plays `new` at once; also those that give way to it. Raises Conflict when one of a higher priority plays there, TooMany."""
    if sum(g.playing for g in gestures) >= MAX_PLAYING:
        raise TooMany(f"{MAX_PLAYING} gestures play already: wait for some of them to end")
    rivals = tuple(g for g in gestures if g.playing and not g.leaving and g.collides(new))
    stronger = next((g for g in rivals if g.priority > new.priority), None)
    if stronger:
        raise Conflict(f"{stronger.name} plays with priority {stronger.priority}: wait, queue it, or cancel that one")
    others = tuple(g.leave(frame, GIVE_WAY_MS) if g in rivals else g for g in gestures)
    return (*others, replace(new, first_frame=frame)), rivals


def enqueue(gestures: Parts, new: PlayingGesture) -> Parts:
    """Lets `new` wait until those before it are over, which `advance` finds, higher priorities first. Raises TooMany."""
    if sum(not g.playing for g in gestures) >= MAX_WAITING:
        raise TooMany(f"{MAX_WAITING} gestures wait already: cancel some")
    return (*gestures, new)


def cancel(gestures: Parts, name: str | None, frame: int, ease_ms: float) -> tuple[Parts, Parts]:
    """Calls gestures off: all, or those of a name. Also those that are."""
    called = tuple(g for g in gestures if name in (None, g.name))
    gone = tuple(g for g in called if not g.leaving)
    return tuple(g.leave_sooner(frame, ease_ms) if g in called else g for g in gestures), gone


def advance(gestures: Parts, frame: int) -> tuple[Parts, Parts]:
    """Forgets what is over and begins what may: also those that have run their course."""
    ended = tuple(g for g in gestures if g.over(frame) and not g.leaving)
    left = tuple(g for g in gestures if not g.over(frame))
    waiting = sorted((g for g in left if not g.playing), key=lambda g: (-g.priority, g.ticket.number))
    if waiting and not any(g.playing and not g.leaving for g in left):
        left = tuple(replace(g, first_frame=frame) if g is waiting[0] else g for g in left)
    return left, ended
