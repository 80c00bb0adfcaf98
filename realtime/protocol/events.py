"""What the server tells an operator: one frozen class a message. Its docstring is its line in docs/protocol.md."""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, get_args

from realtime.protocol.directives import Id, Target
from realtime.protocol.typed_json import Length, Within


@dataclass(frozen=True)
class Hello:
    """The first message: the version of this protocol and who you are."""

    type: ClassVar[str] = "hello"
    protocol: int
    operator: str
    session: str


@dataclass(frozen=True)
class GestureInfo:
    """One gesture that can be played; `custom` when it comes from a file."""

    name: str
    duration_ms: float
    custom: bool


@dataclass(frozen=True)
class Catalog:
    """What can be asked for. On joining, when a gesture file has changed and when a presenter is added or removed by HTTP; `problems`
    says which files cannot be used."""

    type: ClassVar[str] = "catalog"
    presenters: tuple[str, ...]
    gestures: tuple[GestureInfo, ...]
    expressions: tuple[str, ...]
    styles: tuple[str, ...]
    sources: tuple[str, ...]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Style:
    """How lively speech moves the face."""

    name: str = "neutral"
    jaw: float = 1.0
    lips: float = 1.0
    brows: float = 1.0
    head: float = 1.0


@dataclass(frozen=True)
class PlayingGesture:
    """A gesture that plays, or waits for its turn."""

    id: str
    operator: str
    name: str
    playing: bool


@dataclass(frozen=True)
class DrivingSource:
    """`tracking` is false while nothing usable comes; `groups` are the weights of `drive.mix`."""

    source: str
    tracking: bool
    groups: dict[str, float]
    calibrated: bool = False  # a neutral face was taken


@dataclass(frozen=True)
class OperatorInfo:
    """Who is at the desk."""

    id: str
    name: str


@dataclass(frozen=True)
class State:
    """The whole truth for an operator: on joining and after every change."""

    type: ClassVar[str] = "state"
    session: str
    presenter: str
    frame: int
    host_connected: bool
    viewers: int
    frozen: bool
    pose: dict[str, float | None]  # operator's targets a channel; None where speech moves the head
    expression: dict[str, float]  # operator's ARKit weights
    blinks_per_minute: float
    head_fixed: bool = False
    overlaid: tuple[str, ...] = ()  # channels of the pose whose target is on top of their own motion
    look: str | None = None  # the target that is looked at
    gaze: Target | None = None
    scene: str = "default"
    scenes: tuple[str, ...] = ("default",)
    targets: dict[str, Target] = field(default_factory=dict)  # of the current scene
    expression_name: str | None = None
    expression_passes: bool = False  # it goes by itself after its hold_ms
    keep: dict[str, float] = field(default_factory=dict)
    gestures: tuple[PlayingGesture, ...] = ()
    style: Style = Style()
    sources: tuple[DrivingSource, ...] = ()
    muted: bool = False
    standby: bool = False
    overlay: str | None = None
    obs_scene: str | None = None  # with a link to OBS the one that it shows, else the one that was asked for
    obs_scenes: tuple[str, ...] = ()  # that OBS has
    recording_gesture: bool = False
    speech: bool = False  # a file or a stream speaks, or waits to
    operators: tuple[OperatorInfo, ...] = ()
    lock: str | None = None  # the operator who has it


@dataclass(frozen=True)
class Ack:
    """A command acts from this frame, shown at `pts_ms` of the session's media clock. Every operator hears it."""

    type: ClassVar[str] = "ack"
    id: str
    frame: int
    pts_ms: float
    operator: str = ""
    command: str = ""  # its type


@dataclass(frozen=True)
class Done:
    """The second and last word on an acknowledged command: it has run its course (`ended`), gave way to another
    (`replaced`) or was called off (`cancelled`), the latter two by the command `by` of the operator `by_operator`."""

    type: ClassVar[str] = "done"
    id: str
    frame: int
    pts_ms: float
    outcome: Literal["ended", "replaced", "cancelled"]
    operator: str = ""
    by: str | None = None
    by_operator: str | None = None


@dataclass(frozen=True)
class Error:
    """A message was refused (`id` is null when it could not be read): nothing changed, the channel stays open. Codes:
    `bad_command`, `not_found` (no such gesture, target, scene, presenter or cue), `conflict` (a gesture of a higher
    priority plays; somebody else drives with this source, or it shows no face to calibrate by; a gesture is recorded already,
    none is, or it cannot have that name), `locked`, `too_many`, `unavailable` (a
    gesture cannot be kept, OBS does not answer)."""

    type: ClassVar[str] = "error"
    id: str | None
    code: str
    message: str


@dataclass(frozen=True)
class Pong:
    """The answer to `ping`."""

    type: ClassVar[str] = "pong"
    id: str
    client_time_ms: float
    server_time_ms: float


@dataclass(frozen=True)
class Face:
    """What the avatar does, speech included: the last frame that was made. About six times a second."""

    type: ClassVar[str] = "face"
    frame: int
    pose: dict[str, float]  # every channel
    shapes: dict[str, float]  # ARKit weights above 0.01
    gaze: Target


@dataclass(frozen=True)
class Cue:
    """A cue of the sheet: a name, commands without ids, optionally a hot key and a moment on the sheet's clock."""

    id: Id
    name: Annotated[str, Length(0, 80)] = ""
    key: Annotated[str, Length(1, 16)] | None = None
    at_ms: Annotated[float, Within(0, 86_400_000)] | None = None
    commands: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Cues:
    """The cue sheet and where it stands. On joining and after every change of it; import and export it at `/cues`."""

    type: ClassVar[str] = "cues"
    name: str
    cues: tuple[Cue, ...]
    next: str | None
    last: str | None
    running: bool
    clock_ms: float


@dataclass(frozen=True)
class Stats:
    """Measured over the last seconds; every second. `frames_per_second` counts new pictures."""

    type: ClassVar[str] = "stats"
    frames_per_second: float
    mic_to_frame_ms: dict[str, float]  # p50, p95, p99
    delay_ms: float
    late_frames: int
    dropped_chunks: int
    render_ms: float
    viewers: int
    steps: int = 1  # of diffusion
    target_frames_per_second: float = 25.0  # less on a machine that is too slow
    quality_level: int = 0  # the rung of the quality ladder, 0 the best
    standby: bool = False  # the standby picture is shown because no picture comes
    command_to_frame_ms: dict[str, float] = field(default_factory=dict)  # p50, p95, p99
    av_offset_ms: float = 0.0  # how much later a sound leaves than the picture of its moment
    kilobits_per_second: float = 0.0  # to all viewers together
    memory_mb: float | None = None  # of the server and its renderer


@dataclass(frozen=True)
class Speech:
    """A file or a stream that was sent to be spoken has got so far. It is seen and heard `delay_ms` later; after `interrupted`
    viewers have heard `spoken_ms` of it."""

    type: ClassVar[str] = "speech"
    clip: str
    what: Literal["started", "ended", "interrupted"]
    frame: int
    spoken_ms: float = 0


@dataclass(frozen=True)
class Draining:
    """The server is shutting down: it takes no new sessions, and ends this one in `ends_in_ms` at the latest."""

    type: ClassVar[str] = "draining"
    ends_in_ms: float


@dataclass(frozen=True)
class Ended:
    """The last message: the session is over. A command that has had no `ack` by then did not act. `reason` is `deleted`, `idle`,
    `failed` or `shutdown`."""

    type: ClassVar[str] = "ended"
    reason: str


ServerMessage = Hello | Catalog | State | Ack | Done | Error | Pong | Face | Cues | Stats | Speech | Draining | Ended
SERVER_TYPES = {kind.type: kind for kind in get_args(ServerMessage)}
