"""What each command of an operator does to the state of control. Pure: the same commands give the same state."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from flap import coefficients as co
from flap.config import FRAME_RATE_HZ
from realtime.control.state import ControlState
from realtime.control.style import EASE_MS, GAINED
from realtime.control.tickets import Applied, Event, Finished, Outcome, Refused
from realtime.control.tween import resting
from realtime.drive.mixer import CALIBRATE_MS, SourceLayer
from realtime.errors import FlapError, NotFound, TooMany
from realtime.face import features as ft
from realtime.face.idle_motion import BLINK
from realtime.gestures import queue as gesture_queue
from realtime.gestures.builtin import GESTURES
from realtime.gestures.curve import GestureCurve
from realtime.gestures.queue import PlayingGesture
from realtime.protocol.directives import (
    CHANNELS,
    NAMED_EXPRESSIONS,
    BlinkNow,
    BlinkRate,
    Directive,
    DriveCalibrate,
    DriveFrame,
    DriveMix,
    ExpressionRelease,
    ExpressionSet,
    Freeze,
    GazeRelease,
    GazeSet,
    GestureCancel,
    GesturePlay,
    HeadFix,
    LookAt,
    LookRelease,
    Neutral,
    PoseRelease,
    PoseSet,
    SceneDefine,
    SceneUse,
    StyleSet,
)

MAX_SCENES = 16
MOST_PASSING = 128  # commands that hold nothing and are not over
UNFREEZE_MS = 320.0
RELEASE_MS = {"gaze": 120.0}  # of a place that releases itself; of any other
DEFAULT_RELEASE_MS = 320.0
LOOK_EASE_MS = 120.0  # of the eyes, which are there before the head
HEAD = ("yaw_deg", "pitch_deg")  # what a look turns, beside the eyes


@dataclass(frozen=True)
class Command:
    """A directive, who gave it, and the curve of the gesture that it names (one of the built-in ones when None).

    It acts from the frame `offset` of its chunk on.
    """

    directive: Directive
    operator: str = ""
    curve: GestureCurve | None = None
    offset: int = 0


def of_sources(commands: Iterable[Command]) -> tuple[Command, ...]:
    """What driving sources see: it is of its moment alone."""
    return tuple(command for command in commands if isinstance(command.directive, DriveFrame))


def of_operators(commands: Iterable[Command]) -> tuple[Command, ...]:
    """All others: they may wait."""
    return tuple(command for command in commands if not isinstance(command.directive, DriveFrame))


def apply(command: Command, state: ControlState, frame: int) -> tuple[ControlState, list[Event]]:
    """`command` acts from `frame` on; a refused one leaves the state as it is."""
    directive, operator = command.directive, command.operator
    if isinstance(directive, DriveFrame):  # many a second: neither acknowledged nor finished
        layer = state.drive.get(directive.source, SourceLayer())
        return replace(state, drive={**state.drive, directive.source: layer.see(directive, frame)}), []
    try:
        after = _Work(state, command, frame).obey()
    except FlapError as error:
        return state, [Refused(directive.id, error.code, str(error), operator)]
    return after.state, [Applied(directive.id, frame, operator, directive.type), *after.finished]


def expire(state: ControlState, frame: int) -> tuple[ControlState, list[Finished]]:
    """Releases what has been held long enough, ends gestures that are over and begins those whose turn it is."""
    due = state.tickets.due(frame)
    finished: list[Finished] = []
    if due:
        tickets, finished = state.tickets.free(due, frame, "ended")
        state = replace(state, tickets=tickets)
        for place in due:
            state = _let_go(state, (place,), frame, RELEASE_MS.get(place, DEFAULT_RELEASE_MS))
    drive = {source: layer.expire(frame) for source, layer in state.drive.items()}
    state = replace(state, drive=drive) if drive else state
    gestures, ended = gesture_queue.advance(state.gestures, frame)
    finished += [Finished(g.ticket.id, frame, "ended", g.ticket.operator) for g in ended]
    return replace(state, gestures=gestures), finished


def blink_requested(commands: Sequence[Command]) -> bool:
    """Whether idle motion should blink in this chunk."""
    return any(isinstance(command.directive, BlinkNow) for command in commands)


def _let_go(state: ControlState, places: Iterable[str], frame: int, ease_ms: float) -> ControlState:
    """Eases the layers of some places back to nothing."""
    places = set(places)
    channels = {c: layer.release(frame, ease_ms) if c in places else layer for c, layer in state.channels.items()}
    state = replace(state, channels=channels)
    if "gaze" in places:
        state = replace(state, eyes=state.eyes.release(frame, ease_ms))
    if "expression" in places:
        state = replace(state, expression=state.expression.release(frame, ease_ms))
    if places.intersection(HEAD):
        state = replace(state, look=None)
    return state


class _Work:
    """One command at work: the state as it becomes, and the commands that it finishes."""

    def __init__(self, state: ControlState, command: Command, frame: int):
        self.state, self._command, self._frame = state, command, frame
        self.finished: list[Finished] = []
        self._ticket, tickets = state.tickets.issue(command.directive.id, command.operator)
        self._change(tickets=tickets)

    def obey(self) -> "_Work":
        directive = self._command.directive
        match directive:
            case PoseSet():
                self._set_pose(directive)
            case PoseRelease():
                self._release(directive.channels, directive.ease_ms)
            case HeadFix():
                self._fix_head(directive.on, directive.ease_ms)
            case GazeSet():
                self._hold(("gaze",), directive.ease_ms, directive.hold_ms)
                target = directive.yaw_deg, directive.pitch_deg
                self._change(eyes=self.state.eyes.set(target, False, self._frame, directive.ease_ms))
            case GazeRelease():
                self._release(("gaze",), directive.ease_ms)
            case LookAt():
                self._look_at(directive)
            case LookRelease():
                self._release(self._look_places(), directive.ease_ms)
            case SceneDefine() | SceneUse():
                self._set_scene(directive)
            case ExpressionSet():
                self._hold(("expression",), directive.ease_ms, directive.hold_ms)
                layer = self.state.expression
                added, ease_ms = _added(directive), directive.ease_ms
                self._change(expression=layer.set(added, directive.keep, self._frame, ease_ms, directive.name))
            case ExpressionRelease():
                self._release(("expression",), directive.ease_ms)
            case StyleSet():
                given = {name: getattr(directive, name) for name in GAINED}
                gains = {name: gain for name, gain in given.items() if gain is not None}
                self._change(style=self.state.style.set(directive.name, gains, self._frame))
                self._pass(EASE_MS)
            case GesturePlay():
                self._play(directive)
            case GestureCancel():
                self._cancel(directive.name, directive.ease_ms)
                self._pass(directive.ease_ms)
            case BlinkNow():
                self._change(blinked=self._frame)
                self._pass(len(BLINK) * 1000 / FRAME_RATE_HZ)
            case BlinkRate():
                self._change(blinks_per_minute=directive.per_minute)
                self._pass(0)
            case DriveMix():
                self._mix(directive)
                self._pass(directive.ease_ms)
            case DriveCalibrate():
                calibrated = self.state.drive.get(directive.source, SourceLayer()).calibrate(
                    directive.source, self._frame
                )
                self._change(drive={**self.state.drive, directive.source: calibrated})
                self._pass(CALIBRATE_MS)
            case Freeze():
                self._freeze(directive.on)
            case Neutral():
                self._neutral()
            case _:
                raise TypeError(f"{directive.type} was let in at the door")
        return self

    # --- tickets

    def _change(self, **values: object) -> None:
        self.state = replace(self.state, **values)  # type: ignore[arg-type]

    def _hold(self, places: Iterable[str], ease_ms: float, hold_ms: float | None) -> None:
        """The command takes places, until somebody else does or its time is over."""
        until = None if hold_ms is None else self._frame + _frames(ease_ms + hold_ms)
        tickets, finished = self.state.tickets.hold(places, replace(self._ticket, until_frame=until), self._frame)
        self._change(tickets=tickets)
        self.finished += finished

    def _pass(self, lasts_ms: float) -> None:
        """The command holds nothing; it is over after some time."""
        passing = [place for place in self.state.tickets.holders if place.startswith("passing ")]
        if len(passing) >= MOST_PASSING:
            self._free(passing[:1], "ended")
        ticket = replace(self._ticket, until_frame=self._frame + max(_frames(lasts_ms), 1))
        tickets, _ = self.state.tickets.hold((f"passing {ticket.number}",), ticket, self._frame)
        self._change(tickets=tickets)

    def _free(self, places: Iterable[str], outcome: Outcome = "cancelled") -> None:
        tickets, finished = self.state.tickets.free(places, self._frame, outcome, self._ticket)
        self._change(tickets=tickets)
        self.finished += finished

    def _release(self, places: Iterable[str], ease_ms: float) -> None:
        """Gives places back; a look that loses the head is over."""
        places = set(places)
        if self.state.look and places.intersection(HEAD):
            places |= set(self._look_places())
        self._free(places)
        self.state = _let_go(self.state, places, self._frame, ease_ms)
        self._pass(ease_ms)

    # --- commands

    def _set_pose(self, directive: PoseSet) -> None:
        asked = {c: getattr(directive, c) for c in CHANNELS if getattr(directive, c) is not None}
        if self.state.look and not asked.keys().isdisjoint(HEAD):
            left = set(self._look_places()) - asked.keys()
            self._hold(asked, directive.ease_ms, directive.hold_ms)
            self._free(left, "replaced")
            self.state = replace(_let_go(self.state, left, self._frame, directive.ease_ms), look=None)
        else:
            self._hold(asked, directive.ease_ms, directive.hold_ms)
        channels = dict(self.state.channels)
        for channel, target in asked.items():
            overlaid = directive.mode == "overlay"
            channels[channel] = channels[channel].set(channel, target, overlaid, self._frame, directive.ease_ms)
        self._change(channels=channels)

    def _fix_head(self, on: bool, ease_ms: float) -> None:
        if on:
            self._hold(("head",), 0, None)
        else:
            self._free(("head",))
            self._pass(ease_ms)
        if on != self.state.head_fixed:
            self._change(head_fixed=on, own_head=self.state.own_head.to(0.0 if on else 1.0, self._frame, ease_ms))

    def _look_places(self) -> tuple[str, ...]:
        """What the look at hand holds."""
        holders = self.state.tickets.holders
        if not self.state.look:
            return ()
        look = holders[HEAD[0]]
        return tuple(place for place in (*HEAD, "gaze") if holders.get(place) is look)

    def _look_at(self, directive: LookAt) -> None:
        if directive.target not in self.state.targets:
            raise NotFound(f"no target {directive.target!r} here: choose one of {', '.join(self.state.targets)}")
        self._hold((*HEAD, "gaze"), directive.ease_ms, directive.hold_ms)
        self._change(look=directive.target)
        self._aim((*HEAD, "gaze"), directive.ease_ms)

    def _aim(self, places: tuple[str, ...], ease_ms: float) -> None:
        """Turns eyes and head to the target that is looked at."""
        assert self.state.look
        target = self.state.targets[self.state.look]
        channels = dict(self.state.channels)
        for channel in HEAD:
            moved = channels[channel].set(channel, getattr(target, channel), False, self._frame, ease_ms)
            channels[channel] = replace(moved, target=None)  # state shows the look instead
        self._change(channels=channels)
        if "gaze" in places:
            eyes_ms = min(ease_ms, LOOK_EASE_MS)
            self._change(eyes=self.state.eyes.set((target.yaw_deg, target.pitch_deg), True, self._frame, eyes_ms))

    def _set_scene(self, directive: SceneDefine | SceneUse) -> None:
        scenes, scene = dict(self.state.scenes), self.state.scene
        if isinstance(directive, SceneDefine):
            if directive.name not in scenes and len(scenes) >= MAX_SCENES:
                raise TooMany(f"there are {MAX_SCENES} scenes already: define one of them anew")
            scenes[directive.name] = directive.targets
        elif directive.name in scenes:
            scene = directive.name
        else:
            raise NotFound(f"no scene {directive.name!r}: choose one of {', '.join(scenes)}")
        before, places = self.state.targets, self._look_places()
        self._change(scenes=scenes, scene=scene)
        look = self.state.look
        if look and look not in self.state.targets:
            self._release(places, DEFAULT_RELEASE_MS)
            return
        if look and self.state.targets[look] != before[look]:
            self._aim(places, DEFAULT_RELEASE_MS)
        self._pass(DEFAULT_RELEASE_MS)

    def _play(self, directive: GesturePlay) -> None:
        curve = self._command.curve or GESTURES[directive.name]
        gesture = PlayingGesture(
            self._ticket, directive.name, curve, directive.amplitude, directive.speed, directive.repeats,
            directive.priority,
        )  # fmt: skip
        if directive.when == "queue":
            self._change(gestures=gesture_queue.enqueue(self.state.gestures, gesture))
            return
        gestures, beaten = gesture_queue.begin(self.state.gestures, gesture, self._frame)
        self._change(gestures=gestures)
        self._finish(beaten, "replaced")

    def _mix(self, directive: DriveMix) -> None:
        """A source that is mixed in anew lies over the others."""
        drive = dict(self.state.drive)
        layer = drive.get(directive.source, SourceLayer())
        if not layer.mixed_in(self._frame):
            drive.pop(directive.source, None)
        drive[directive.source] = layer.mix(directive, self._frame)
        self._change(drive=drive)

    def _cancel(self, name: str | None, ease_ms: float) -> None:
        gestures, gone = gesture_queue.cancel(self.state.gestures, name, self._frame, ease_ms)
        if name and not any(gesture.name == name for gesture in self.state.gestures):
            raise NotFound(f"no gesture {name!r} plays or waits")
        self._change(gestures=gestures)
        self._finish(gone, "cancelled")

    def _finish(self, gestures: Sequence[PlayingGesture], outcome: Outcome) -> None:
        by = self._ticket
        self.finished += [
            Finished(g.ticket.id, self._frame, outcome, g.ticket.operator, by.id, by.operator) for g in gestures
        ]

    def _freeze(self, on: bool) -> None:
        if on:
            self._hold(("freeze",), 0, None)
        else:
            self._free(("freeze",))
            self._pass(UNFREEZE_MS)
        if on and not self.state.frozen:
            self._change(frozen=True, live=resting(0.0), still=self.state.last)
        elif not on:
            self._thaw()

    def _thaw(self) -> None:
        if self.state.frozen:
            self._change(frozen=False, live=resting(0.0).to(1.0, self._frame, UNFREEZE_MS))

    def _neutral(self) -> None:
        places = (*CHANNELS, "gaze", "expression")
        self._free((*places, "head", "freeze"))
        self.state = _let_go(self.state, places, self._frame, DEFAULT_RELEASE_MS)
        if self.state.head_fixed:
            own = self.state.own_head.to(1.0, self._frame, DEFAULT_RELEASE_MS)
            self._change(head_fixed=False, own_head=own)
        self._thaw()
        self._cancel(None, gesture_queue.GIVE_WAY_MS)
        self._pass(DEFAULT_RELEASE_MS)


def _frames(milliseconds: float) -> int:
    return math.ceil(milliseconds / 1000 * FRAME_RATE_HZ)


def _added(directive: ExpressionSet) -> ft.Features:
    """What an expression adds to the features."""
    if directive.coefficients is not None:
        wanted = ft.of_face(np.array(directive.coefficients, np.float32))
    else:
        named = NAMED_EXPRESSIONS[directive.name] if directive.name else directive.shapes or {}
        wanted = ft.of_face(co.from_arkit(named))
    return ft.limited(wanted) * np.float32(directive.intensity)
