"""The operators' commands merged into the face, at the border of a chunk, by one pure and replayable function.

Order: speech and idle motion, style, driving sources, pose (override or overlay), gestures, freeze, limits of place, velocity
and acceleration for the pose, then eyes and expression. A pose touches the head and the framing alone; a gesture and an expression
add to the face and touch nothing they do not name.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flap import coefficients as co
from flap.config import CHUNK_FRAMES
from realtime.control.commands import Command, apply, expire
from realtime.control.layers import LIMITS, Pose, pose_of, rotation_of
from realtime.control.limits import Motion, follow
from realtime.control.state import ControlState, Shown
from realtime.control.tickets import Event
from realtime.face import features as ft
from realtime.face.idle_motion import BLINK
from realtime.gestures import motion as gesture_motion
from realtime.gestures.motion import Added
from realtime.protocol.directives import CHANNELS, SOURCES

_OPENING = np.array(
    [
        ft.JAW.start,
        *(ft.UNIT_INDEX[f"mouth{way}{side}"] for way in ("LowerDown", "UpperUp") for side in ("Left", "Right")),
    ]
)
_PRESSED = np.array([ft.UNIT_INDEX["mouthPressLeft"], ft.UNIT_INDEX["mouthPressRight"]])
_ROLLED = ft.UNIT_INDEX["mouthRollLower"]
_PRESSED_SHUT, _ROLLED_SHUT = 0.4, 0.7  # as in the closures of p b m and of f v (training/visemes.py)
Gestured = tuple[ft.Features, Pose]  # what a gesture adds at a frame
MAX_COMMANDS = 16  # a chunk; the session refuses more
MAX_IN_CHUNK = MAX_COMMANDS + CHUNK_FRAMES * len(SOURCES)  # with what driving sources saw at each of its pictures


@dataclass(frozen=True)
class Merged:
    """What a chunk's faces became."""

    faces: co.Array  # [n, 120]
    framing: NDArray[np.float64]  # [n, 3]: x, y and the logarithm of the zoom of each picture
    events: tuple[Event, ...]
    added: Added  # [n, 115]: what operators and sources have added to the face's own motion


def merge(
    faces: co.Array, commands: Sequence[Command], state: ControlState, first_frame: int
) -> tuple[Merged, ControlState]:
    """Faces `[n, 120]` of frames `first_frame`.. with `commands` taking effect at the first of them, or at their offset."""
    events: list[Event] = []
    out, framing = np.empty_like(faces), np.zeros((len(faces), 3))
    added = np.empty((len(faces), gesture_motion.SIZE), np.float32)
    for i, face in enumerate(faces):
        for command in commands[:MAX_IN_CHUNK]:
            if command.offset == i:
                state, happened = apply(command, state, first_frame + i)
                events += happened
        state, finished = expire(state, first_frame + i)
        events += finished
        out[i], added[i], state = _frame(face, state, first_frame + i)
        framing[i] = state.framing()
    return Merged(out, framing, tuple(events), added), state


def _frame(face: co.Array, state: ControlState, frame: int) -> tuple[co.Array, Added, ControlState]:
    spoken = ft.of_face(face)
    features, rotation = state.style.apply(spoken, face[co.ROTATION], frame)
    gestures = [added for added in (gesture.added(frame) for gesture in state.gestures) if added is not None]
    features, own = _driven(features, pose_of(rotation), state, frame)
    features = _blinking(features, state, frame)
    blinking = features[ft.LIDS].copy()
    pose = _posed(own, gestures, state, frame)
    live = state.live.at(frame)
    held = state.still if live < 1 else None
    if held:
        pose = held.pose * (1 - live) + pose * live
    pose, motion = _follow(pose, state)
    features = _expressed(features, pose, gestures, state, frame)
    if held and state.frozen:
        opening = np.minimum(
            held.features[ft.LIDS], features[ft.LIDS]
        )  # a blink is not held, eyes that were closed are
        held = held.with_lids(np.where(held.blinking > 0, opening, held.features[ft.LIDS]))
        state = replace(state, still=held)
    if held:
        features = (held.features * (1 - live) + features * live).astype(np.float32)
    out = ft.to_face(features, rotation_of(pose))
    if np.array_equal(features[ft.GAZE], spoken[ft.GAZE]):
        out[co.EYES] = face[co.EYES]  # untouched to the last bit
    return out, _added(gestures, state, frame), replace(state, last=Shown(features, pose, blinking), motion=motion)


def _driven(features: ft.Features, own: Pose, state: ControlState, frame: int) -> tuple[ft.Features, Pose]:
    """A speaking face and its pose with the driving sources mixed in."""
    for layer in state.drive.values():
        features, own = layer.apply(features, own, frame)
    return features, own


def _blinking(features: ft.Features, state: ControlState, frame: int) -> ft.Features:
    """With the lids as shut as a blink has them that was asked for, whoever else drives them."""
    place = len(BLINK) if state.blinked is None else frame - state.blinked
    if not 0 <= place < len(BLINK):
        return features
    out = features.copy()
    out[ft.LIDS] = np.maximum(features[ft.LIDS], BLINK[place])
    return out


def _posed(own: Pose, gestures: Sequence[Gestured], state: ControlState, frame: int) -> Pose:
    """Where operators and gestures want the head."""
    own = own * state.own_head.at(frame)
    pose = np.array([state.channels[c].apply(float(v), frame) for c, v in zip(CHANNELS, own, strict=True)])
    for _, turned in gestures:
        pose += turned
    return pose


def _expressed(
    features: ft.Features, pose: Pose, gestures: Sequence[Gestured], state: ControlState, frame: int
) -> ft.Features:
    """The face with what operators and gestures put on it, in a head of that pose."""
    speaking = state.eyes.apply(features, pose, frame)
    features = state.expression.apply(speaking, frame)
    for shaped, _ in gestures:
        features = features + shaped
    return ft.limited(_closing(features, speaking, state.expression.keep_at(frame)))


def _added(gestures: Sequence[Gestured], state: ControlState, frame: int) -> Added:
    """What becomes of a face at rest: taken off the face of now, what is held would have its speech and its saccades in it, inverted."""
    features, own = _driven(ft.NEUTRAL, np.zeros(len(CHANNELS)), state, frame)
    pose = _posed(own, gestures, state, frame)
    return np.concatenate([_expressed(features, pose, gestures, state, frame), pose]).astype(np.float32)


def _closing(features: ft.Features, speaking: ft.Features, keep: ft.Features) -> ft.Features:
    """What expressions and gestures have made of a speaking face, its mouth as shut for p b m and f v as speech has it: they open
    it less by then, as far as they leave speech its part (`keep`)."""
    shut = max(float(speaking[_PRESSED].min()) / _PRESSED_SHUT, float(speaking[_ROLLED]) / _ROLLED_SHUT)
    shut = min(shut, 1.0) * float(keep[[ft.JAW.start, _ROLLED]].min())
    if shut <= 0:
        return features
    closing = features.copy()
    closing[_OPENING] -= shut * np.maximum(features[_OPENING] - speaking[_OPENING], 0)
    return closing


def _follow(wanted: Pose, state: ControlState) -> tuple[Pose, dict[str, Motion]]:
    """The pose as far as the limits allow, and how each channel moves."""
    motion = {}
    for channel, value in zip(CHANNELS, wanted, strict=True):
        before, limits = state.motion.get(channel), LIMITS[channel]
        place = min(max(float(value), limits.low), limits.high)
        motion[channel] = follow(place, before, limits) if before else Motion(place)
    return np.array([motion[channel].place for channel in CHANNELS]), motion
