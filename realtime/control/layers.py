"""What an operator lays over the face: one layer a channel of the pose, one for the eyes, one for the expression.

Inside, a pose is six numbers in the order of `CHANNELS`: radians of yaw, pitch and roll, shares of the picture, and the
logarithm of the zoom.
"""

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from flap import coefficients as co
from realtime.control.limits import Limits
from realtime.control.tween import Tween, resting
from realtime.face import features as ft
from realtime.protocol.directives import CHANNELS, GROUPS, MAX_SHIFT, MAX_ZOOM

Pose = NDArray[np.float64]  # [6]
ANGLES = {"yaw_deg": co.YAW, "pitch_deg": co.PITCH, "roll_deg": co.ROLL}  # where a channel is in the rotation
MIN_EXPRESSION_MS = 80.0  # a face that changes within one picture looks like a cut
HELD = 1e-6  # a weight above this holds something
_ANGLE_LIMITS = {
    f"{axis}_deg": Limits.per_second(-math.radians(bound), math.radians(bound), math.radians(300), math.radians(4000))
    for axis, bound in co.MAX_ANGLE_DEG.items()
}
_SHIFT_LIMITS = Limits.per_second(-MAX_SHIFT, MAX_SHIFT, 2.5, 35.0)
_ZOOM_LIMITS = Limits.per_second(-math.log(MAX_ZOOM), math.log(MAX_ZOOM), 4.0, 50.0)
LIMITS: dict[str, Limits] = {**_ANGLE_LIMITS, "x": _SHIFT_LIMITS, "y": _SHIFT_LIMITS, "zoom": _ZOOM_LIMITS}
assert tuple(LIMITS) == CHANNELS and GROUPS == ft.GROUP_NAMES


def to_inner(channel: str, value: float) -> float:
    """A channel's value as it is added up inside."""
    if channel in ANGLES:
        return math.radians(value)
    return math.log(value) if channel == "zoom" else value


def to_outer(channel: str, value: float) -> float:
    """Inverse of `to_inner`."""
    if channel in ANGLES:
        return math.degrees(value)
    return math.exp(value) if channel == "zoom" else value


def pose_of(rotation: co.Array) -> Pose:
    """A head's own rotation `[3]` as a pose; the picture is where it was."""
    return np.array([*(rotation[index] for index in ANGLES.values()), 0.0, 0.0, 0.0])


def rotation_of(pose: Pose) -> co.Array:
    """Euler radians `[3]` of a pose."""
    rotation = np.zeros(3, np.float32)
    rotation[list(ANGLES.values())] = pose[: len(ANGLES)]
    return rotation


@dataclass(frozen=True)
class ChannelLayer:
    """One channel of the pose: `weight` of the `override`, and the `overlay`; `target` is as the operator gave it."""

    weight: Tween = Tween()
    override: Tween = Tween()
    overlay: Tween = Tween()
    target: float | None = None
    overlaid: bool = False

    def set(self, channel: str, target: float, overlaid: bool, frame: int, ease_ms: float) -> "ChannelLayer":
        inner = to_inner(channel, target)
        if overlaid:
            weight, overlay = self.weight.to(0.0, frame, ease_ms), self.overlay.onward(inner, frame, ease_ms)
            return ChannelLayer(weight, self.override, overlay, target, True)
        # an override that has no weight yet is at its target from the start: only its weight eases in
        moving = self.override.onward(inner, frame, ease_ms) if self.weight.at(frame - 1) > HELD else resting(inner)
        return ChannelLayer(self.weight.to(1.0, frame, ease_ms), moving, self.overlay.to(0.0, frame, ease_ms), target)

    def release(self, frame: int, ease_ms: float) -> "ChannelLayer":
        return ChannelLayer(self.weight.to(0.0, frame, ease_ms), self.override, self.overlay.to(0.0, frame, ease_ms))

    def apply(self, value: float, frame: int) -> float:
        weight = self.weight.at(frame)
        return value * (1 - weight) + self.override.at(frame) * weight + self.overlay.at(frame)


@dataclass(frozen=True)
class EyeLayer:
    """Where both eyes look: in the head, or (`in_space`) at a place that stays where it is while the head turns."""

    weight: Tween = Tween()
    yaw: Tween = Tween()  # radians
    pitch: Tween = Tween()
    in_space: Tween = Tween()  # 1 where the head's own angles are taken off
    target_deg: tuple[float, float] | None = None  # of a gaze in the head

    def set(self, target_deg: tuple[float, float], in_space: bool, frame: int, ease_ms: float) -> "EyeLayer":
        yaw, pitch = (math.radians(angle) for angle in target_deg)
        if self.weight.at(frame - 1) > HELD:
            moved = self.yaw.onward(yaw, frame, ease_ms), self.pitch.onward(pitch, frame, ease_ms)
            space = self.in_space.to(float(in_space), frame, ease_ms)
        else:
            moved, space = (resting(yaw), resting(pitch)), resting(float(in_space))
        return EyeLayer(self.weight.to(1.0, frame, ease_ms), *moved, space, None if in_space else target_deg)

    def release(self, frame: int, ease_ms: float) -> "EyeLayer":
        return replace(self, weight=self.weight.to(0.0, frame, ease_ms), target_deg=None)

    def apply(self, features: ft.Features, pose: Pose, frame: int) -> ft.Features:
        """Features `[109]` with both eyes turned in a head of that pose."""
        weight = self.weight.at(frame)
        if weight <= 0:
            return features
        space = self.in_space.at(frame)
        yaw, pitch = self.yaw.at(frame) - space * pose[0], self.pitch.at(frame) - space * pose[1]
        out = features.copy()
        out[ft.GAZE] = features[ft.GAZE] * (1 - weight) + np.array([yaw, pitch, yaw, pitch], np.float32) * weight
        return out


@dataclass(frozen=True)
class ExpressionLayer:
    """What the operator adds to the features, and how much of their own motion they keep; both ease together."""

    begin: ft.Features = field(default_factory=lambda: ft.NEUTRAL)
    end: ft.Features = field(default_factory=lambda: ft.NEUTRAL)
    begin_keep: ft.Features = field(default_factory=lambda: ft.per_group({}, 1.0))
    end_keep: ft.Features = field(default_factory=lambda: ft.per_group({}, 1.0))
    way: Tween = Tween(1.0, 1.0)
    name: str | None = None
    targets: dict[str, float] = field(default_factory=dict)  # ARKit weights, for show
    keep: dict[str, float] = field(default_factory=dict)

    def set(
        self, added: ft.Features, keep: dict[str, float], frame: int, ease_ms: float, name: str | None
    ) -> "ExpressionLayer":
        begin, begin_keep = self._at(frame - 1)
        shown = co.to_arkit(ft.to_face(added, np.zeros(3, np.float32)))
        targets = {shape: round(weight, 4) for shape, weight in shown.items() if weight > 1e-4}
        way = Tween().to(1.0, frame, max(ease_ms, MIN_EXPRESSION_MS))
        return ExpressionLayer(begin, added, begin_keep, ft.per_group(keep, 1.0), way, name, targets, dict(keep))

    def release(self, frame: int, ease_ms: float) -> "ExpressionLayer":
        return self.set(ft.NEUTRAL, {}, frame, ease_ms, None)

    def _at(self, frame: int) -> tuple[ft.Features, ft.Features]:
        way = np.float32(self.way.at(frame))
        return self.begin + (self.end - self.begin) * way, self.begin_keep + (self.end_keep - self.begin_keep) * way

    def keep_at(self, frame: int) -> ft.Features:
        """How much of each number is left to speech."""
        return self._at(frame)[1]

    def apply(self, features: ft.Features, frame: int) -> ft.Features:
        added, keep = self._at(frame)
        return features * keep + added
