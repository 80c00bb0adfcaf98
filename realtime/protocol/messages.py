"""The control channel's messages: one frozen class each, parsed once at the door.

Requests to the face are in `realtime/protocol/directives.py`, what the server says in `realtime/protocol/events.py`;
here are requests to the session, and the door.
`docs/protocol.schema.json` and the tables of docs/protocol.md are written from these classes by `python -m realtime.protocol.schema`.
"""

import json
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, Any, ClassVar, Protocol, get_args

from realtime.protocol.directives import (
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
    Id,
    LookAt,
    LookRelease,
    Milliseconds,
    Name,
    Neutral,
    PoseRelease,
    PoseSet,
    SceneDefine,
    SceneUse,
    StyleSet,
)
from realtime.protocol.events import SERVER_TYPES, ServerMessage
from realtime.protocol.typed_json import Length, parse, parse_object

__all__ = [
    "BlinkNow", "BlinkRate", "Directive", "DriveCalibrate", "DriveFrame", "DriveMix", "ExpressionRelease", "ExpressionSet",
    "Freeze", "GazeRelease", "GazeSet", "GestureCancel", "GesturePlay", "HeadFix", "LookAt", "LookRelease", "Neutral",
    "PoseRelease", "PoseSet", "SceneDefine", "SceneUse", "StyleSet",
]  # fmt: skip

PROTOCOL_VERSION = 1
MAX_MESSAGE_BYTES = 16_384

# --- requests to the session


@dataclass(frozen=True)
class PresenterSet:
    """Another presenter takes over; viewers stay, and what operators have set stays set."""

    type: ClassVar[str] = "presenter.set"
    id: Id
    presenter: Name


@dataclass(frozen=True)
class Mute:
    """Silences the avatar's voice; the lips rest."""

    type: ClassVar[str] = "mute"
    id: Id
    on: bool


@dataclass(frozen=True)
class Standby:
    """Shows the standby picture (the presenter's still portrait, unless the setting `standby_picture` names another) and sends
    silence until it is switched off."""

    type: ClassVar[str] = "standby"
    id: Id
    on: bool


@dataclass(frozen=True)
class OverlaySet:
    """A text over the picture, in place of the one before; with `hold_ms` it goes by itself. Four lines at most; emoji are left out."""

    type: ClassVar[str] = "overlay.set"
    id: Id
    text: Annotated[str, Length(1, 200)]
    hold_ms: Milliseconds | None = None


@dataclass(frozen=True)
class OverlayClear:
    """Takes the text away."""

    type: ClassVar[str] = "overlay.clear"
    id: Id


@dataclass(frozen=True)
class ObsScene:
    """Switches OBS to a scene, where the server is linked to OBS (`--obs-url`). Without a link the name appears in `state`, where
    whoever is connected to OBS takes it from."""

    type: ClassVar[str] = "obs.scene"
    id: Id
    name: Name


@dataclass(frozen=True)
class SpeechStop:
    """Interrupts the file or stream that is being spoken and forgets those that wait."""

    type: ClassVar[str] = "speech.stop"
    id: Id


@dataclass(frozen=True)
class CueGo:
    """Runs a cue of the cue sheet, the next one unless `cue` names it; the one after it becomes the next. While the clock runs,
    one from before the next cue leaves that the next."""

    type: ClassVar[str] = "cue.go"
    id: Id
    cue: Name | None = None


@dataclass(frozen=True)
class CueSelect:
    """Makes a cue the next one without running it. A clock that has passed its moment stops."""

    type: ClassVar[str] = "cue.select"
    id: Id
    cue: Name


@dataclass(frozen=True)
class CueRun:
    """Starts the clock of the cue sheet (from the next cue on), or stops it: cues with `at_ms` then run by themselves."""

    type: ClassVar[str] = "cue.run"
    id: Id
    on: bool


@dataclass(frozen=True)
class GestureRecord:
    """Records what operators and driving sources do to the face from now on; ends the recording with `on: false` and, when
    it has a `name`, keeps it as the gesture of that name."""

    type: ClassVar[str] = "gesture.record"
    id: Id
    on: bool
    name: Annotated[str, Length(1, 40)] | None = None


@dataclass(frozen=True)
class LockTake:
    """From now on only this operator's commands are obeyed. Refused (`locked`) while somebody else has the lock."""

    type: ClassVar[str] = "lock.take"
    id: Id


@dataclass(frozen=True)
class LockRelease:
    """Everybody's commands are obeyed again, or those of the operator `to` alone. An operator who leaves releases the lock too."""

    type: ClassVar[str] = "lock.release"
    id: Id
    to: Id | None = None


@dataclass(frozen=True)
class Ping:
    """Is answered by `pong`, not acknowledged."""

    type: ClassVar[str] = "ping"
    id: Id
    client_time_ms: float


Request = (
    PresenterSet | Mute | Standby | OverlaySet | OverlayClear | ObsScene | SpeechStop | CueGo | CueSelect | CueRun
    | GestureRecord | LockTake | LockRelease | Ping
)  # fmt: skip
ClientMessage = Directive | Request


DIRECTIVES = get_args(Directive)
CLIENT_TYPES = {kind.type: kind for kind in get_args(ClientMessage)}


def parse_client(text: str) -> ClientMessage:
    """One message from a client; raises BadCommand with a sentence for anything that is not exactly one of them."""
    return parse(text, CLIENT_TYPES)  # type: ignore[no-any-return]


def parse_command(raw: Any) -> ClientMessage:
    """As `parse_client`, for JSON that has been read already, as in a cue sheet."""
    return parse_object(raw, CLIENT_TYPES)  # type: ignore[no-any-return]


def parse_server(text: str) -> ServerMessage:
    """One message from the server (for clients written in Python)."""
    return parse(text, SERVER_TYPES)  # type: ignore[no-any-return]


class Message(Protocol):
    """Any of the dataclasses that are sent, in either direction."""

    type: ClassVar[str]


def encode(message: Message) -> str:
    """JSON of a message; fields that are None by default and None now are left out."""
    return json.dumps({"type": message.type, **_plain(message)}, allow_nan=False)


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        shown = ((f, getattr(value, f.name)) for f in fields(value))
        return {f.name: _plain(item) for f, item in shown if item is not None or f.default is not None}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value
