"""Faces from elsewhere (a webcam, a phone, a clip) mixed into the face of speech, group by group.

A source is seen picture by picture (`drive.frame`), taken relative to its calibrated neutral face, and mixed in by its weights. Where
the head stands counts only once there is a neutral face: cameras are placed anyhow. One
that shows no face, or nothing for `LOST_S`, eases out: what it drove goes back to speech.
"""

import math
from dataclasses import dataclass, field, replace

import numpy as np

from flap import coefficients as co
from flap.config import FRAME_RATE_HZ
from realtime.control.layers import ANGLES, Pose, to_inner
from realtime.control.tween import Tween, resting
from realtime.errors import Conflict
from realtime.face import features as ft
from realtime.protocol.directives import CHANNELS, DRIVEN, DriveFrame, DriveMix

LOST_S = 0.3
OUT_MS, IN_MS = 400.0, 240.0  # how a source that is lost goes, and how one that is found comes
CALIBRATE_MS = 320.0  # from one neutral face to the next
MOST_SHUT = 0.5  # lids of a neutral face: one that was taken in a blink would leave them nothing to close
_LOST_FRAMES = math.ceil(LOST_S * FRAME_RATE_HZ)
_LEAST_LEFT = 0.2  # of a range that a neutral face leaves: one with an open mouth may not make every lip movement huge
# what a number reaches at most where it begins at 0; gaze and the jaw's sides go both ways
_FULL = np.ones(ft.SIZE, np.float32)
_FULL[ft.JAW.start] = co.JAW_OPEN_RAD
_BOTH_WAYS = np.zeros(ft.SIZE, bool)
_BOTH_WAYS[[ft.JAW.start + 1, ft.JAW.start + 2, *range(ft.GAZE.start, ft.GAZE.stop)]] = True


@dataclass(frozen=True)
class Sight:
    """A face as a source sees it."""

    features: ft.Features  # [109]
    pose: Pose  # [6]

    @classmethod
    def of(cls, frame: DriveFrame) -> "Sight":
        pose = np.array([to_inner(channel, getattr(frame, channel)) for channel in CHANNELS])
        return cls(ft.of_shapes(frame.shapes), pose)

    def in_place(self) -> "Sight":
        """The same face in the middle of the picture, at the size it has at rest."""
        return Sight(self.features, np.concatenate([self.pose[: len(ANGLES)], np.zeros(len(CHANNELS) - len(ANGLES))]))

    def awake(self) -> "Sight":
        features = self.features.copy()
        features[ft.LIDS] = np.minimum(features[ft.LIDS], MOST_SHUT)
        return Sight(features, self.pose)

    def towards(self, other: "Sight", way: float) -> "Sight":
        features = self.features + (other.features - self.features) * np.float32(way)
        return Sight(features, self.pose + (other.pose - self.pose) * way)

    def relative_to(self, neutral: "Sight") -> "Sight":
        """The same face where `neutral` is at rest; what begins at 0 still reaches its full range."""
        moved = self.features - neutral.features
        left = np.maximum(_FULL - neutral.features, _LEAST_LEFT * _FULL)
        stretched = np.clip(moved / left, 0, 1) * _FULL
        features = np.where(_BOTH_WAYS, moved, stretched).astype(np.float32)
        return Sight(features, self.pose - neutral.pose)


@dataclass(frozen=True)
class SourceLayer:
    """One source: what it saw last and when, its neutral face, and how much it moves each group."""

    seen: Sight | None = None
    seen_frame: int = 0
    left: Sight | None = None  # what it had seen when it was lost, while that leads over to what it sees again
    found: Tween = resting(1.0)  # how far
    neutral: Sight | None = None
    neutral_before: Sight | None = None
    settled: Tween = resting(1.0)  # how far the neutral face has taken the place of the one before
    presence: Tween = Tween()  # 1 while it shows a face
    weights: dict[str, Tween] = field(default_factory=lambda: dict.fromkeys(DRIVEN, Tween()))

    @property
    def tracking(self) -> bool:
        return self.presence.end > 0

    @property
    def groups(self) -> dict[str, float]:
        """The weights that were asked for, those above 0."""
        return {group: tween.end for group, tween in self.weights.items() if tween.end > 0}

    def mixed_in(self, frame: int) -> bool:
        """Whether it moves anything, or has only just ceased to."""
        return any(tween.end > 0 or tween.at(frame - 1) > 0 for tween in self.weights.values())

    def see(self, shown: DriveFrame, frame: int) -> "SourceLayer":
        if not shown.tracked:
            return self._lose(frame)
        now = replace(self, seen=Sight.of(shown), seen_frame=frame)
        if self.tracking:
            return now
        left = self._sight(frame - 1) if self.presence.at(frame - 1) > 0 else None
        found = Tween().to(1.0, frame, IN_MS) if left else resting(1.0)
        return replace(now, presence=self.presence.to(1.0, frame, IN_MS), left=left, found=found)

    def _sight(self, frame: int) -> Sight | None:
        way = self.found.at(frame)
        return self.seen if self.left is None or self.seen is None or way >= 1 else self.left.towards(self.seen, way)

    def expire(self, frame: int) -> "SourceLayer":
        return self._lose(frame) if frame - self.seen_frame >= _LOST_FRAMES else self

    def _lose(self, frame: int) -> "SourceLayer":
        return replace(self, presence=self.presence.to(0.0, frame, OUT_MS)) if self.tracking else self

    def mix(self, directive: DriveMix, frame: int) -> "SourceLayer":
        weights = {
            group: tween.to(directive.groups.get(group, 0.0), frame, directive.ease_ms)
            for group, tween in self.weights.items()
        }
        return replace(self, weights=weights)

    def calibrate(self, source: str, frame: int) -> "SourceLayer":
        """Raises Conflict when there is no face to take."""
        if self.seen is None or not self.tracking:
            raise Conflict(f"{source} shows no face now: calibrate while it does")
        if self.settled.at(frame - 1) < 1:  # pressed twice: it is on its way there
            return replace(self, neutral=self.seen.awake())
        settled = Tween().to(1.0, frame, CALIBRATE_MS)
        return replace(self, neutral=self.seen.awake(), neutral_before=self.neutral, settled=settled)

    def apply(self, features: ft.Features, pose: Pose, frame: int) -> tuple[ft.Features, Pose]:
        """Features `[109]` and pose `[6]` with this source mixed in."""
        presence, seen = self.presence.at(frame), self._sight(frame)
        if seen is None or presence <= 0:
            return features, pose
        now = {group: presence * tween.at(frame) for group, tween in self.weights.items()}
        if not any(now.values()):
            return features, pose
        shown, settled = _relative(seen, self.neutral), self.settled.at(frame)
        if settled < 1:
            shown = _relative(seen, self.neutral_before).towards(shown, settled)
        weights = ft.per_group({group: weight for group, weight in now.items() if group != "pose"}, 0.0)
        mixed = features + (shown.features - features) * weights
        return mixed.astype(np.float32), pose + (shown.pose - pose) * now["pose"]


def _relative(seen: Sight, neutral: Sight | None) -> Sight:
    return seen.in_place() if neutral is None else seen.relative_to(neutral)
