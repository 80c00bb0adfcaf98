"""What an operator can ask of the face: one frozen class a message, with its ranges beside its types.

A directive acts at the border of a chunk, in `realtime/control/merge.py`. Its docstring is its line in docs/protocol.md.
"""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

import numpy as np

from flap import coefficients as co
from realtime.errors import BadCommand
from realtime.protocol.typed_json import MAX_ID_CHARACTERS, Length, OneOf, Within

CHANNELS = ("yaw_deg", "pitch_deg", "roll_deg", "x", "y", "zoom")  # of the pose
GROUPS = ("lips", "jaw", "brows", "eyes", "lids")  # of the face
DRIVEN = (*GROUPS, "pose")  # what a driving source can move
SOURCES = ("webcam", "clip", "ifacialmocap", "live_link", "vmc")
STYLES = ("neutral", "energetic", "calm", "wide_mouth")
MAX_SHIFT, MAX_ZOOM = 0.3, 2.0
MAX_GAZE_DEG = {"yaw": 30.0, "pitch": 20.0}
MAX_SEEN_DEG = 90.0  # a source sees no head that is turned further

Id = Annotated[str, Length(1, MAX_ID_CHARACTERS)]
Name = Annotated[str, Length(1, 64)]
Milliseconds = Annotated[float, Within(0, 60_000)]
Yaw = Annotated[float, Within(-co.MAX_ANGLE_DEG["yaw"], co.MAX_ANGLE_DEG["yaw"])]
Pitch = Annotated[float, Within(-co.MAX_ANGLE_DEG["pitch"], co.MAX_ANGLE_DEG["pitch"])]
Roll = Annotated[float, Within(-co.MAX_ANGLE_DEG["roll"], co.MAX_ANGLE_DEG["roll"])]
Shift = Annotated[float, Within(-MAX_SHIFT, MAX_SHIFT)]
Zoom = Annotated[float, Within(1 / MAX_ZOOM, MAX_ZOOM)]
Weight = Annotated[float, Within(0, 1)]
Gain = Annotated[float, Within(0, 2)]
Shapes = Annotated[dict[str, Weight], OneOf(tuple(sorted(co.ARKIT_NAMES)), "an ARKit blendshape name")]
MAX_COEFFICIENT = 100.0  # ten times what any face has: float32 can square it
Coefficients = Annotated[
    tuple[Annotated[float, Within(-MAX_COEFFICIENT, MAX_COEFFICIENT)], ...], Length(co.SIZE, co.SIZE)
]
Source = Annotated[str, OneOf(SOURCES, "a driving source")]


def _both(**shapes: float) -> dict[str, float]:
    """The same weight for the left and the right shape of a name."""
    return {f"{name}{side}": weight for name, weight in shapes.items() for side in ("Left", "Right")}


NAMED_EXPRESSIONS: dict[str, dict[str, float]] = {
    "neutral": {},
    "happy": {"browInnerUp": 0.15, **_both(mouthSmile=1.0, cheekSquint=0.7, eyeSquint=0.3, mouthUpperUp=0.15)},
    "sad": {"browInnerUp": 0.7, **_both(mouthFrown=0.5)},
    "angry": _both(browDown=0.9, eyeSquint=0.4, noseSneer=0.4, mouthPress=0.3, mouthFrown=0.2),
    "surprised": {"browInnerUp": 0.8, **_both(browOuterUp=0.7, eyeWide=0.6)},
    "afraid": {"browInnerUp": 0.9, **_both(eyeWide=0.8, mouthStretch=0.5, browOuterUp=0.3)},
    "disgusted": {"mouthShrugLower": 0.3, **_both(noseSneer=0.8, mouthUpperUp=0.5, browDown=0.4, eyeSquint=0.3)},
    "contempt": {"mouthSmileLeft": 0.5, "mouthDimpleLeft": 0.5, "cheekSquintLeft": 0.3, **_both(eyeSquint=0.2)},
    "smile": _both(mouthSmile=0.8, cheekSquint=0.3),
    "serious": _both(browDown=0.5, mouthPress=0.2),
    "eyes_closed": _both(eyeBlink=1.0),
}


def _has_eyes(coefficients: tuple[float, ...]) -> bool:
    """Whether both eyes are rotations: two columns each that are not nothing and not parallel."""
    columns = np.array(coefficients[co.EYES], np.float64).reshape(2, 2, 3)
    return bool((np.linalg.norm(np.cross(columns[:, 0], columns[:, 1]), axis=-1) > 1e-3).all())


@dataclass(frozen=True)
class PoseSet:
    """Turns the head and moves the picture: at least one channel, absolutely (`override`) or on top of its own motion
    (`overlay`). +yaw to the avatar's left, +pitch down, +roll crown to its right; `x` and `y` are shares of the picture
    to the viewer's right and down, `zoom` 1 is as it was. With `hold_ms` it releases itself."""

    type: ClassVar[str] = "pose.set"
    id: Id
    yaw_deg: Yaw | None = None
    pitch_deg: Pitch | None = None
    roll_deg: Roll | None = None
    x: Shift | None = None
    y: Shift | None = None
    zoom: Zoom | None = None
    mode: Literal["override", "overlay"] = "override"
    ease_ms: Milliseconds = 240.0
    hold_ms: Milliseconds | None = None

    def __post_init__(self) -> None:
        if all(getattr(self, channel) is None for channel in CHANNELS):
            raise BadCommand(f"pose.set needs one of {', '.join(CHANNELS)}", self.id)


@dataclass(frozen=True)
class PoseRelease:
    """Gives channels of the pose back to speech and idle motion, all of them unless `channels` names some."""

    type: ClassVar[str] = "pose.release"
    id: Id
    channels: Annotated[tuple[str, ...], OneOf(CHANNELS, "a channel of the pose")] = CHANNELS
    ease_ms: Milliseconds = 320.0


@dataclass(frozen=True)
class HeadFix:
    """Stops the head's own motion (of speech, of idle life and of driving sources); a pose, a look and gestures still move it."""

    type: ClassVar[str] = "head.fix"
    id: Id
    on: bool
    ease_ms: Milliseconds = 320.0


@dataclass(frozen=True)
class Target:
    """Where something is, seen from the avatar: +yaw to the avatar's left."""

    yaw_deg: Yaw
    pitch_deg: Pitch


# left and right in the names are the viewers': what stands left in the picture
DEFAULT_TARGETS = {
    "camera": Target(0.0, 0.0),
    "product_left": Target(-26.0, 8.0),
    "product_right": Target(26.0, 8.0),
    "product_below": Target(0.0, 20.0),
    "chat": Target(-14.0, 4.0),
}
Targets = Annotated[dict[str, Target], Length(1, 16)]


@dataclass(frozen=True)
class SceneDefine:
    """Names a scene and where its look-at targets are; replaces a scene of the same name."""

    type: ClassVar[str] = "scene.define"
    id: Id
    name: Name
    targets: Targets


@dataclass(frozen=True)
class SceneUse:
    """Makes a scene the current one. A look at a target of the same name goes on to where that is now."""

    type: ClassVar[str] = "scene.use"
    id: Id
    name: Name


@dataclass(frozen=True)
class LookAt:
    """Looks at a target of the current scene: the eyes at once, the head after them. Replaces an absolute yaw and pitch.
    Left and right in the names of targets and gestures are the viewers'."""

    type: ClassVar[str] = "look.at"
    id: Id
    target: Name
    ease_ms: Milliseconds = 400.0
    hold_ms: Milliseconds | None = None


@dataclass(frozen=True)
class LookRelease:
    """Looks where speech and idle motion look."""

    type: ClassVar[str] = "look.release"
    id: Id
    ease_ms: Milliseconds = 400.0


@dataclass(frozen=True)
class GazeSet:
    """Turns both eyes in the head: +yaw to the avatar's left, +pitch down."""

    type: ClassVar[str] = "gaze.set"
    id: Id
    yaw_deg: Annotated[float, Within(-MAX_GAZE_DEG["yaw"], MAX_GAZE_DEG["yaw"])] = 0.0
    pitch_deg: Annotated[float, Within(-MAX_GAZE_DEG["pitch"], MAX_GAZE_DEG["pitch"])] = 0.0
    ease_ms: Milliseconds = 120.0
    hold_ms: Milliseconds | None = None


@dataclass(frozen=True)
class GazeRelease:
    """Gives the eyes back."""

    type: ClassVar[str] = "gaze.release"
    id: Id
    ease_ms: Milliseconds = 120.0


@dataclass(frozen=True)
class ExpressionSet:
    """Puts on an expression, in place of the one before: a `name`, `shapes` (ARKit names) or all 120 `coefficients`
    (exactly one of them; the head's pose in them is not used), times `intensity`. `keep` says how much of its own motion
    a group keeps under it: 1 (the default) adds, 0 overrides, another number scales."""

    type: ClassVar[str] = "expression.set"
    id: Id
    name: Annotated[str, OneOf(tuple(NAMED_EXPRESSIONS), "an expression")] | None = None
    shapes: Shapes | None = None
    coefficients: Coefficients | None = None
    intensity: Weight = 1.0
    keep: Annotated[dict[str, Gain], OneOf(GROUPS, "a group of the face")] = field(default_factory=dict)
    ease_ms: Milliseconds = 240.0
    hold_ms: Milliseconds | None = None

    def __post_init__(self) -> None:
        if sum(given is not None for given in (self.name, self.shapes, self.coefficients)) != 1:
            raise BadCommand("expression.set needs exactly one of name, shapes and coefficients", self.id)
        if self.coefficients is not None and not _has_eyes(self.coefficients):
            raise BadCommand("coefficients: numbers 3 to 14 must be two rotations, as first two columns", self.id)


@dataclass(frozen=True)
class ExpressionRelease:
    """Takes the expression away."""

    type: ClassVar[str] = "expression.release"
    id: Id
    ease_ms: Milliseconds = 320.0


@dataclass(frozen=True)
class BlinkNow:
    """Blinks once."""

    type: ClassVar[str] = "blink.now"
    id: Id


@dataclass(frozen=True)
class BlinkRate:
    """How often it blinks by itself."""

    type: ClassVar[str] = "blink.rate"
    id: Id
    per_minute: Annotated[float, Within(0, 60)]


@dataclass(frozen=True)
class StyleSet:
    """How lively speech moves the face: a named style, and gains on top of it; what is left out stays as it is."""

    type: ClassVar[str] = "style.set"
    id: Id
    name: Annotated[str, OneOf(STYLES, "a style")] | None = None
    jaw: Gain | None = None
    lips: Gain | None = None
    brows: Gain | None = None
    head: Gain | None = None


@dataclass(frozen=True)
class GesturePlay:
    """Plays a gesture of the `catalog` over whatever the face does. `now` begins at once; gestures of the same or a lower
    priority that move the same channels end (it is refused when one of a higher priority plays there). `queue` begins when
    the gestures before it are over, higher priorities first. Gestures that share no channel play together."""

    type: ClassVar[str] = "gesture.play"
    id: Id
    name: Name
    amplitude: Annotated[float, Within(0.1, 2)] = 1.0
    speed: Annotated[float, Within(0.5, 2)] = 1.0
    repeats: Annotated[int, Within(1, 10)] = 1
    priority: Annotated[int, Within(0, 9)] = 5
    when: Literal["now", "queue"] = "now"


@dataclass(frozen=True)
class GestureCancel:
    """Ends gestures that play or wait: all of them, or those of a `name`."""

    type: ClassVar[str] = "gesture.cancel"
    id: Id
    name: Name | None = None
    ease_ms: Milliseconds = 160.0


@dataclass(frozen=True)
class Freeze:
    """Holds the face still; the sound goes on."""

    type: ClassVar[str] = "freeze"
    id: Id
    on: bool


@dataclass(frozen=True)
class Neutral:
    """Releases pose, look, gaze, expression and a fixed head, ends gestures and unfreezes. Style, blink rate, scene and mixer stay."""

    type: ClassVar[str] = "neutral"
    id: Id


@dataclass(frozen=True)
class DriveMix:
    """How much a driving source moves each group: 0 not at all (as when left out), 1 alone. Speech, or the source mixed
    in before it, has the rest. Stays until it is changed; `neutral` leaves it."""

    type: ClassVar[str] = "drive.mix"
    id: Id
    source: Source
    groups: Annotated[dict[str, Weight], OneOf(DRIVEN, "a group that can be driven")]
    ease_ms: Milliseconds = 320.0


@dataclass(frozen=True)
class DriveCalibrate:
    """Takes what a source shows now as its neutral face, ahead and at rest. Refused (`conflict`) while it shows no face."""

    type: ClassVar[str] = "drive.calibrate"
    id: Id
    source: Source


@dataclass(frozen=True)
class DriveFrame:
    """What a source sees in one picture. Is not acknowledged; at most 60 a second. `x`, `y` and `zoom` count once the source is
    calibrated, from where the head was then. `tracked: false` says that there is no face: the groups it drives ease back to
    speech, as they do when nothing comes for 0.3 s."""

    type: ClassVar[str] = "drive.frame"
    id: Id
    source: Source
    shapes: Shapes = field(default_factory=dict)
    yaw_deg: Annotated[float, Within(-MAX_SEEN_DEG, MAX_SEEN_DEG)] = 0.0
    pitch_deg: Annotated[float, Within(-MAX_SEEN_DEG, MAX_SEEN_DEG)] = 0.0
    roll_deg: Annotated[float, Within(-MAX_SEEN_DEG, MAX_SEEN_DEG)] = 0.0
    x: Annotated[float, Within(-1, 1)] = 0.0
    y: Annotated[float, Within(-1, 1)] = 0.0
    zoom: Annotated[float, Within(0.25, 4)] = 1.0
    tracked: bool = True


Directive = (
    PoseSet | PoseRelease | HeadFix | SceneDefine | SceneUse | LookAt | LookRelease | GazeSet | GazeRelease
    | ExpressionSet | ExpressionRelease | BlinkNow | BlinkRate | StyleSet | GesturePlay | GestureCancel | Freeze | Neutral
    | DriveMix | DriveCalibrate | DriveFrame
)  # fmt: skip
