"""The operator's commands merged into the face, at the border of a chunk, by one pure and replayable function.

Order: speech and idle motion, then pose (override or overlay), gestures, expression, limits, freeze. A pose touches the
rotation group alone; a gesture and an expression add to the face and touch nothing they do not name.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from flap import coefficients as co
from flap.config import FRAME_RATE_HZ
from realtime.directives import (
    NAMED_EXPRESSIONS,
    BlinkNow,
    BlinkRate,
    Directive,
    ExpressionRelease,
    ExpressionSet,
    Freeze,
    GazeRelease,
    GazeSet,
    GesturePlay,
    HeadFix,
    Neutral,
    PoseRelease,
    PoseSet,
)
from realtime.gestures import GESTURES
from realtime.motion_limits import Limits, Motion, follow

AXES = {"pitch_deg": co.PITCH, "yaw_deg": co.YAW, "roll_deg": co.ROLL}
HEAD_LIMITS = {
    index: Limits.per_second(-math.radians(bound), math.radians(bound), math.radians(300), math.radians(4000))
    for index, bound in ((AXES[f"{axis}_deg"], bound) for axis, bound in co.MAX_ANGLE_DEG.items())
}
UNFREEZE_FRAMES = 8
MAX_GESTURES = 4
MAX_DIRECTIVES = 16  # a chunk; the session refuses more
OBEYED = (
    HeadFix
    | GazeSet
    | GazeRelease
    | PoseSet
    | PoseRelease
    | GesturePlay
    | ExpressionSet
    | ExpressionRelease
    | BlinkNow
    | BlinkRate
    | Freeze
    | Neutral
)


@dataclass(frozen=True)
class Tween:
    """A number on its way: minimum-jerk from `start` to `end`, beginning at `first_frame`."""

    start: float = 0.0
    end: float = 0.0
    first_frame: int = 0
    frames: float = 0.0

    def at(self, frame: int) -> float:
        if self.frames <= 0:
            return self.end
        t = min(max((frame - self.first_frame + 1) / self.frames, 0.0), 1.0)
        return self.start + (self.end - self.start) * t**3 * (10 - 15 * t + 6 * t * t)

    def to(self, end: float, frame: int, ease_ms: float) -> "Tween":
        """The same number sent elsewhere from where it is just before `frame`."""
        return Tween(self.at(frame - 1), end, frame, ease_ms / 1000 * FRAME_RATE_HZ)


@dataclass(frozen=True)
class AxisLayer:
    """What the operator does to one axis of the head: `weight` of the override, `override` and `overlay` in radians."""

    weight: Tween = Tween()
    override: Tween = Tween()
    overlay: Tween = Tween()
    until_frame: int | None = None
    target_deg: float | None = None

    def set(self, target_deg: float, mode: str, frame: int, ease_ms: float, until_frame: int | None) -> "AxisLayer":
        target = math.radians(target_deg)
        if mode == "overlay":
            weight, overlay = self.weight.to(0.0, frame, ease_ms), self.overlay.to(target, frame, ease_ms)
            return AxisLayer(weight, self.override, overlay, until_frame, target_deg)
        # an override that has no weight yet is at its target from the start: only its weight eases in
        moving = self.override.to(target, frame, ease_ms) if self.weight.at(frame - 1) > 1e-6 else Tween(target, target)
        return AxisLayer(
            self.weight.to(1.0, frame, ease_ms), moving, self.overlay.to(0.0, frame, ease_ms), until_frame, target_deg
        )

    def release(self, frame: int, ease_ms: float) -> "AxisLayer":
        return AxisLayer(self.weight.to(0.0, frame, ease_ms), self.override, self.overlay.to(0.0, frame, ease_ms))

    def apply(self, angle: float, frame: int) -> float:
        weight = self.weight.at(frame)
        return angle * (1 - weight) + self.override.at(frame) * weight + self.overlay.at(frame)


@dataclass(frozen=True)
class ExpressionLayer:
    """The operator's expression as what it adds to a neutral face, per shape."""

    shapes: tuple[tuple[str, Tween], ...] = ()
    until_frame: int | None = None

    def set(self, weights: dict[str, float], frame: int, ease_ms: float, until_frame: int | None) -> "ExpressionLayer":
        now = dict(self.shapes)
        names = sorted(now.keys() | weights.keys())
        moved = ((name, now.get(name, Tween()).to(weights.get(name, 0.0), frame, ease_ms)) for name in names)
        # shapes that have come to rest at nothing are forgotten
        kept = tuple((name, tween) for name, tween in moved if tween.end or tween.start)
        return ExpressionLayer(kept, until_frame)

    def added(self, frame: int) -> co.Array | None:
        """Coefficients `[120]` to add at `frame`."""
        weights = {name: tween.at(frame) for name, tween in self.shapes}
        if not any(weights.values()):
            return None
        return co.from_arkit(weights) - co.neutral()

    @property
    def targets(self) -> dict[str, float]:
        return {name: tween.end for name, tween in self.shapes if tween.end}


@dataclass(frozen=True)
class EyeLayer:
    """Where the operator lets both eyes look in the head; `target_deg` is yaw and pitch, None once they are released."""

    weight: Tween = Tween()
    yaw: Tween = Tween()  # radians
    pitch: Tween = Tween()
    until_frame: int | None = None
    target_deg: tuple[float, float] | None = None

    def set(self, target_deg: tuple[float, float], frame: int, ease_ms: float, until_frame: int | None) -> "EyeLayer":
        yaw, pitch = (math.radians(angle) for angle in target_deg)
        if self.weight.at(frame - 1) > 1e-6:
            moved = self.yaw.to(yaw, frame, ease_ms), self.pitch.to(pitch, frame, ease_ms)
        else:
            moved = Tween(yaw, yaw), Tween(pitch, pitch)
        return EyeLayer(self.weight.to(1.0, frame, ease_ms), *moved, until_frame, target_deg)

    def release(self, frame: int, ease_ms: float) -> "EyeLayer":
        return EyeLayer(self.weight.to(0.0, frame, ease_ms), self.yaw, self.pitch)

    def apply(self, face: co.Array, frame: int) -> None:
        """Turns the eyes of `face` `[120]` in place."""
        weight = self.weight.at(frame)
        if weight > 0:
            own_yaw, own_pitch = co.gaze_from_6d(face[co.EYES].reshape(2, 6))
            yaw = own_yaw * (1 - weight) + self.yaw.at(frame) * weight
            pitch = own_pitch * (1 - weight) + self.pitch.at(frame) * weight
            face[co.EYES] = co.eye_6d(yaw, pitch).ravel()


@dataclass(frozen=True)
class Gesture:
    """A running gesture."""

    name: str
    first_frame: int
    amplitude: float
    speed: float
    repeats: int = 1

    def second(self, frame: int) -> float:
        return (frame - self.first_frame) / FRAME_RATE_HZ * self.speed

    def added(self, frame: int) -> co.Array | None:
        """Coefficients `[120]` to add at `frame`."""
        curve = GESTURES[self.name]
        values = {} if self.over(frame) else curve.at(self.second(frame) % curve.duration_s)
        if not values:
            return None
        shapes = {name: self.amplitude * value for name, value in values.items() if name not in AXES}
        out = co.from_arkit(shapes) - co.neutral()
        for name, axis in AXES.items():
            out[axis] = math.radians(self.amplitude * values.get(name, 0.0))
        return out

    def over(self, frame: int) -> bool:
        return self.second(frame) >= GESTURES[self.name].duration_s * self.repeats


@dataclass(frozen=True)
class ControlState:
    """Everything the operator has asked of one session."""

    axes: dict[int, AxisLayer] = field(default_factory=lambda: {axis: AxisLayer() for axis in AXES.values()})
    head_fixed: bool = False
    own_head: Tween = Tween(1.0, 1.0)  # how much of its own motion the head has; 0 while it is fixed
    eyes: EyeLayer = EyeLayer()
    expression: ExpressionLayer = ExpressionLayer()
    gestures: tuple[Gesture, ...] = ()
    blinks_per_minute: float = 15.0
    frozen: bool = False
    live: Tween = Tween(1.0, 1.0)  # 0 while frozen, eases back to 1
    still: co.Array | None = None  # the face that a freeze holds
    previous: co.Array | None = None  # the last face
    head: dict[int, Motion] = field(default_factory=dict)  # how each axis of it moves


@dataclass(frozen=True)
class Applied:
    """A command and the frame from which it acts."""

    id: str
    frame: int


def merge(
    faces: co.Array, commands: Sequence[Directive], state: ControlState, first_frame: int
) -> tuple[co.Array, ControlState, list[Applied]]:
    """Faces `[n, 120]` of frames `first_frame`.. with `commands` taking effect at the first of them."""
    applied = []
    for command in commands[:MAX_DIRECTIVES]:
        state = _apply(command, state, first_frame)
        applied.append(Applied(command.id, first_frame))
    out = np.empty_like(faces)
    for i, face in enumerate(faces):
        state = _expire(state, first_frame + i)
        out[i], state = _frame(face, state, first_frame + i)
    return out, state, applied


def blink_requested(commands: Sequence[Directive]) -> bool:
    """Whether idle motion should blink in this chunk."""
    return any(isinstance(command, BlinkNow) for command in commands)


def _apply(command: Directive, state: ControlState, frame: int) -> ControlState:
    match command:
        case PoseSet():
            axes = dict(state.axes)
            for name, axis in AXES.items():
                target_deg = getattr(command, name)
                if target_deg is not None:
                    until = _until(frame, command.ease_ms, command.hold_ms)
                    axes[axis] = axes[axis].set(target_deg, command.mode, frame, command.ease_ms, until)
            return replace(state, axes=axes)
        case PoseRelease():
            named = {AXES[channel] for channel in command.channels if channel in AXES}
            given_back = {axis: state.axes[axis].release(frame, command.ease_ms) for axis in named}
            return replace(state, axes={**state.axes, **given_back})
        case HeadFix():
            own = state.own_head.to(0.0 if command.on else 1.0, frame, command.ease_ms)
            return state if command.on == state.head_fixed else replace(state, head_fixed=command.on, own_head=own)
        case GazeSet():
            until = _until(frame, command.ease_ms, command.hold_ms)
            target_deg = command.yaw_deg, command.pitch_deg
            return replace(state, eyes=state.eyes.set(target_deg, frame, command.ease_ms, until))
        case GazeRelease():
            return replace(state, eyes=state.eyes.release(frame, command.ease_ms))
        case GesturePlay():
            gesture = Gesture(command.name, frame, command.amplitude, command.speed, command.repeats)
            return replace(state, gestures=(*state.gestures, gesture)[-MAX_GESTURES:])
        case ExpressionSet():
            until = _until(frame, command.ease_ms, command.hold_ms)
            return replace(state, expression=state.expression.set(_weights(command), frame, command.ease_ms, until))
        case ExpressionRelease():
            return replace(state, expression=state.expression.set({}, frame, command.ease_ms, None))
        case BlinkRate():
            return replace(state, blinks_per_minute=command.per_minute)
        case Freeze():
            return _freeze(state, command.on, frame)
        case Neutral():
            released = state
            for release in (PoseRelease, ExpressionRelease, GazeRelease):
                released = _apply(release(command.id), released, frame)
            released = _apply(HeadFix(command.id, False), released, frame)
            return replace(_freeze(released, False, frame), gestures=())
        case BlinkNow():
            return state
        case _:
            raise TypeError(f"{command.type} was let in at the door")


def _weights(command: ExpressionSet) -> dict[str, float]:
    """ARKit weights with the intensity applied."""
    shapes = NAMED_EXPRESSIONS[command.name] if command.name else command.shapes or {}
    return {shape: weight * command.intensity for shape, weight in shapes.items()}


def _until(frame: int, ease_ms: float, hold_ms: float | None) -> int | None:
    return None if hold_ms is None else frame + math.ceil((ease_ms + hold_ms) / 1000 * FRAME_RATE_HZ)


def _freeze(state: ControlState, on: bool, frame: int) -> ControlState:
    if on == state.frozen:
        return state
    if on:
        return replace(state, frozen=True, live=Tween(), still=state.previous)
    return replace(state, frozen=False, live=Tween(0.0, 1.0, frame, UNFREEZE_FRAMES))


def _expire(state: ControlState, frame: int) -> ControlState:
    """Releases what has been held long enough and forgets gestures that are over."""
    axes = {
        axis: layer.release(frame, 320) if layer.until_frame is not None and frame >= layer.until_frame else layer
        for axis, layer in state.axes.items()
    }
    expression = state.expression
    if expression.until_frame is not None and frame >= expression.until_frame:
        expression = expression.set({}, frame, 320, None)
    gestures = tuple(g for g in state.gestures if not g.over(frame))
    eyes = state.eyes
    if eyes.until_frame is not None and frame >= eyes.until_frame:
        eyes = eyes.release(frame, 120)
    return replace(state, axes=axes, eyes=eyes, expression=expression, gestures=gestures)


def _frame(face: co.Array, state: ControlState, frame: int) -> tuple[co.Array, ControlState]:
    out = face.copy()
    out[co.ROTATION] *= state.own_head.at(frame)
    state.eyes.apply(out, frame)
    for axis, turned in state.axes.items():
        out[axis] = turned.apply(float(out[axis]), frame)
    layers: tuple[Gesture | ExpressionLayer, ...] = (*state.gestures, state.expression)
    for layer in layers:
        added = layer.added(frame)
        if added is not None:
            out += added
    out = co.limit(out)
    live = state.live.at(frame)
    if state.still is not None and live < 1:
        out = state.still * (1 - live) + out * live
    head = {axis: _turn(float(out[axis]), state.head.get(axis), limits) for axis, limits in HEAD_LIMITS.items()}
    for axis, motion in head.items():
        out[axis] = motion.place
    return out, replace(state, previous=out, head=head)


def _turn(wanted: float, before: Motion | None, limits: Limits) -> Motion:
    return follow(wanted, before, limits) if before else Motion(wanted)
