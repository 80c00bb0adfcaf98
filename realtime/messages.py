"""The control channel's messages: one frozen class each, parsed once at the door (docs/protocol.md)."""

import json
from dataclasses import asdict, dataclass, fields
from typing import ClassVar, Literal, get_args

from flap.coefficients import ARKIT_NAMES, MAX_ANGLE_DEG
from realtime.errors import BadCommand
from realtime.gestures import GESTURES
from realtime.typed_json import parse

MAX_MESSAGE_BYTES = 16_384
MAX_MS = 60_000.0


def _both(**shapes: float) -> dict[str, float]:
    """The same weight for the left and the right shape of a name."""
    return {f"{name}{side}": weight for name, weight in shapes.items() for side in ("Left", "Right")}


NAMED_EXPRESSIONS: dict[str, dict[str, float]] = {
    "smile": _both(mouthSmile=0.8, cheekSquint=0.3),
    "happy": {"browInnerUp": 0.15, **_both(mouthSmile=1.0, cheekSquint=0.7, eyeSquint=0.3, mouthUpperUp=0.15)},
    "surprised": {"browInnerUp": 0.8, **_both(browOuterUp=0.7, eyeWide=0.6)},
    "serious": _both(browDown=0.5, mouthPress=0.2),
    "sad": {"browInnerUp": 0.7, **_both(mouthFrown=0.5)},
    "angry": _both(browDown=0.9, eyeSquint=0.4, noseSneer=0.4, mouthPress=0.3, mouthFrown=0.2),
    "disgusted": {"mouthShrugLower": 0.3, **_both(noseSneer=0.8, mouthUpperUp=0.5, browDown=0.4, eyeSquint=0.3)},
    "afraid": {"browInnerUp": 0.9, **_both(eyeWide=0.8, mouthStretch=0.5, browOuterUp=0.3)},
    "contempt": {"mouthSmileLeft": 0.5, "mouthDimpleLeft": 0.5, "cheekSquintLeft": 0.3, **_both(eyeSquint=0.2)},
    "eyes_closed": _both(eyeBlink=1.0),
}


@dataclass(frozen=True)
class PoseSet:
    """Turn the head: absolute (`override`) or on top of the motion that speech gives (`overlay`)."""

    type: ClassVar[str] = "pose.set"
    id: str
    yaw_deg: float | None = None
    pitch_deg: float | None = None
    roll_deg: float | None = None
    mode: Literal["override", "overlay"] = "override"
    ease_ms: float = 240.0
    hold_ms: float | None = None  # None holds until released

    def __post_init__(self) -> None:
        if self.yaw_deg is None and self.pitch_deg is None and self.roll_deg is None:
            raise BadCommand("pose.set needs yaw_deg, pitch_deg or roll_deg", self.id)
        for axis, bound in MAX_ANGLE_DEG.items():
            _within(self.id, f"{axis}_deg", getattr(self, f"{axis}_deg"), -bound, bound)
        _within(self.id, "ease_ms", self.ease_ms, 0, MAX_MS)
        _within(self.id, "hold_ms", self.hold_ms, 0, MAX_MS)


@dataclass(frozen=True)
class PoseRelease:
    """Give the head back to speech and idle motion."""

    type: ClassVar[str] = "pose.release"
    id: str
    ease_ms: float = 320.0

    def __post_init__(self) -> None:
        _within(self.id, "ease_ms", self.ease_ms, 0, MAX_MS)


@dataclass(frozen=True)
class GesturePlay:
    """A gesture over whatever else the face does."""

    type: ClassVar[str] = "gesture.play"
    id: str
    name: str
    amplitude: float = 1.0
    speed: float = 1.0

    def __post_init__(self) -> None:
        if self.name not in GESTURES:
            raise BadCommand(f"name must be one of {', '.join(GESTURES)}, not {self.name!r}", self.id)
        _within(self.id, "amplitude", self.amplitude, 0.1, 2)
        _within(self.id, "speed", self.speed, 0.5, 2)


@dataclass(frozen=True)
class ExpressionSet:
    """Add a named expression, or ARKit weights, to the face; replaces the one before."""

    type: ClassVar[str] = "expression.set"
    id: str
    name: str | None = None
    shapes: dict[str, float] | None = None
    intensity: float = 1.0
    ease_ms: float = 240.0
    hold_ms: float | None = None

    def __post_init__(self) -> None:
        if (self.name is None) == (self.shapes is None):
            raise BadCommand("expression.set needs either name or shapes", self.id)
        if self.name is not None and self.name not in NAMED_EXPRESSIONS:
            raise BadCommand(f"name must be one of {', '.join(NAMED_EXPRESSIONS)}, not {self.name!r}", self.id)
        for shape, weight in (self.shapes or {}).items():
            if shape not in ARKIT_NAMES:
                raise BadCommand(f"shapes: {shape} is not an ARKit blendshape name", self.id)
            _within(self.id, f"shapes.{shape}", weight, 0, 1)
        _within(self.id, "intensity", self.intensity, 0, 1)
        _within(self.id, "ease_ms", self.ease_ms, 0, MAX_MS)
        _within(self.id, "hold_ms", self.hold_ms, 0, MAX_MS)

    @property
    def weights(self) -> dict[str, float]:
        """ARKit weights with the intensity applied."""
        shapes = NAMED_EXPRESSIONS[self.name] if self.name else self.shapes or {}
        return {shape: weight * self.intensity for shape, weight in shapes.items()}


@dataclass(frozen=True)
class ExpressionRelease:
    type: ClassVar[str] = "expression.release"
    id: str
    ease_ms: float = 320.0

    def __post_init__(self) -> None:
        _within(self.id, "ease_ms", self.ease_ms, 0, MAX_MS)


@dataclass(frozen=True)
class BlinkNow:
    type: ClassVar[str] = "blink.now"
    id: str


@dataclass(frozen=True)
class BlinkRate:
    type: ClassVar[str] = "blink.rate"
    id: str
    per_minute: float

    def __post_init__(self) -> None:
        _within(self.id, "per_minute", self.per_minute, 0, 60)


@dataclass(frozen=True)
class Freeze:
    """Hold the picture still; sound goes on."""

    type: ClassVar[str] = "freeze"
    id: str
    on: bool


@dataclass(frozen=True)
class Neutral:
    """Release everything and go to rest."""

    type: ClassVar[str] = "neutral"
    id: str


@dataclass(frozen=True)
class SpeechStop:
    """Interrupt the file that is being spoken, and forget those that wait."""

    type: ClassVar[str] = "speech.stop"
    id: str


@dataclass(frozen=True)
class Ping:
    type: ClassVar[str] = "ping"
    id: str
    client_time_ms: float


Directive = (
    PoseSet | PoseRelease | GesturePlay | ExpressionSet | ExpressionRelease | BlinkNow | BlinkRate | Freeze | Neutral
)
ClientMessage = Directive | SpeechStop | Ping


@dataclass(frozen=True)
class State:
    """The whole truth for an operator: sent on joining and after every change."""

    type: ClassVar[str] = "state"
    session: str
    presenter: str
    frame: int
    host_connected: bool
    viewers: int
    frozen: bool
    pose: dict[str, float | None]  # operator's targets in degrees; None where speech moves the head
    expression: dict[str, float]  # operator's ARKit weights
    blinks_per_minute: float


@dataclass(frozen=True)
class Ack:
    """The command takes effect with this frame, shown at `pts_ms` of the session's media clock."""

    type: ClassVar[str] = "ack"
    id: str
    frame: int
    pts_ms: float


@dataclass(frozen=True)
class Error:
    type: ClassVar[str] = "error"
    id: str | None
    code: str
    message: str


@dataclass(frozen=True)
class Pong:
    type: ClassVar[str] = "pong"
    id: str
    client_time_ms: float
    server_time_ms: float


@dataclass(frozen=True)
class Stats:
    """Measured over the last seconds; sent once a second."""

    type: ClassVar[str] = "stats"
    frames_per_second: float
    mic_to_frame_ms: dict[str, float]  # p50, p95
    delay_ms: float
    late_frames: int
    dropped_chunks: int
    render_ms: float
    viewers: int


@dataclass(frozen=True)
class Speech:
    """A file that was sent to be spoken has got to `what`; `frame` is the picture at that moment."""

    type: ClassVar[str] = "speech"
    clip: str
    what: Literal["started", "ended", "interrupted"]
    frame: int


@dataclass(frozen=True)
class Ended:
    type: ClassVar[str] = "ended"
    reason: str


ServerMessage = State | Ack | Error | Pong | Stats | Speech | Ended
CLIENT_TYPES = {kind.type: kind for kind in get_args(ClientMessage)}
SERVER_TYPES = {kind.type: kind for kind in get_args(ServerMessage)}


def parse_client(text: str) -> ClientMessage:
    """One message from a client; raises BadCommand with a sentence for anything that is not exactly one of them."""
    return parse(text, CLIENT_TYPES)  # type: ignore[no-any-return]


def parse_server(text: str) -> ServerMessage:
    """One message from the server (for clients written in Python)."""
    return parse(text, SERVER_TYPES)  # type: ignore[no-any-return]


def encode(message: ClientMessage | ServerMessage) -> str:
    """JSON of a message; fields that are None by default and None now are left out."""
    optional = {f.name for f in fields(message) if f.default is None}
    values = {name: value for name, value in asdict(message).items() if not (value is None and name in optional)}
    return json.dumps({"type": message.type, **values}, allow_nan=False)


def _within(command_id: str, name: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:
        raise BadCommand(f"{name} must lie within {low:g} and {high:g}", command_id)
