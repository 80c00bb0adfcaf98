"""What the media process and the render process say to each other: one frozen class a message, pickled, never a picture."""

import pickle
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from engines.bundle import Presenter
from flap.config import IMAGE_SIZE
from realtime.control.commands import Command
from realtime.control.state import ControlState
from realtime.control.tickets import Event
from realtime.gestures.motion import Added
from realtime.pipeline import AvatarPipeline
from realtime.render.quality import Level
from realtime.telemetry.logs import LogFormat

Open = Callable[[], tuple[AvatarPipeline, Mapping[str, Presenter]]]

HEADER = struct.Struct("!I")  # bytes of the message that follows


@dataclass(frozen=True)
class Rendering:
    """The first message: `open` builds the pipeline. It is pickled, so it must be a module's function or a partial of one.

    With `measures` a few chunks are drawn first, to know what one takes. Where that is more than leaves room for all else, `smaller`
    builds another one, whose pictures are smaller. The process logs as `log_format` says.
    """

    open: Open
    measures: bool = True
    smaller: Open | None = None
    log_format: LogFormat = "text"


@dataclass(frozen=True)
class OpenAvatar:
    """A fresh avatar; when it is made again, `control` is what its operators had asked for, and `instead` whom it shows if its
    presenter cannot be shown any more."""

    session: str
    presenter_id: str
    seed: int
    control: ControlState
    instead: str | None = None


@dataclass(frozen=True)
class MakeChunk:
    """A chunk of sound, which lies in `slot` of the shared memory, to faces, and to pictures in its `place` there if they are `watched`.

    Seconds are those of the monotonic clock, which both processes share.
    """

    session: str
    presenter_id: str
    slot: int
    chunk: int
    commands: tuple[Command, ...]
    watched: bool
    heard_s: float  # when its sound was complete
    due_s: float  # when the last of its pictures is to be shown
    checked: bool = False  # whether checksums of what it gives are wanted
    room_s: float = 0.0  # by how much the session may still put off when it is due
    place: int = 0  # of those that a slot has for pictures
    above_room_s: float = 0.0  # `room_s` at the full frame rate; negative while it is due later than it may be there


@dataclass(frozen=True)
class CloseAvatar:
    session: str


@dataclass(frozen=True)
class AvatarOpened:
    session: str


@dataclass(frozen=True)
class ChunkMade:
    """The faces of a chunk are made; if it is `drawn`, `ChunkDrawn` follows when its pictures are."""

    session: str
    chunk: int
    first_frame: int
    drawn: bool
    events: tuple[Event, ...]
    control: ControlState
    stage_ms: Mapping[str, float]
    added: Added  # [1, 115]: what operators and driving sources have added to the face
    level: Level
    rung: int  # which one of the ladder that is, 0 the best
    left_out: bool  # not drawn because half the frame rate is enough
    commands_wait: (
        bool  # operators' commands act with the next chunk: this one is not drawn, and nobody would see them begin
    )
    faces_crc: int = 0  # if it was wanted


@dataclass(frozen=True)
class ChunkDrawn:
    """The pictures of a chunk lie in its place. This may come before its ChunkMade."""

    session: str
    chunk: int
    spent_ms: float  # by the thread that drew them
    pictures_crc: int | None = None  # if it was wanted


@dataclass(frozen=True)
class AvatarFailed:
    """One session's failure; its avatar is gone, the others go on."""

    session: str
    reason: str


@dataclass(frozen=True)
class Opened:
    """The networks are open. `draw_ms` is what a chunk in one step of diffusion took while `at_once` of them were drawn, 0 when
    nothing was measured. Pictures are `picture_size` pixels wide and high; `is_smaller` when there was no room for larger ones."""

    presenters: Mapping[str, Presenter]
    lookahead_ms: float
    draw_ms: float = 0.0
    at_once: int = 1
    picture_size: int = IMAGE_SIZE
    is_smaller: bool = False


@dataclass(frozen=True)
class CannotOpen:
    """The networks cannot be opened; the reason is a sentence for whoever starts the server."""

    reason: str


Request = Rendering | OpenAvatar | MakeChunk | CloseAvatar
Reply = Opened | CannotOpen | AvatarOpened | ChunkMade | ChunkDrawn | AvatarFailed


def pack(message: Request | Reply) -> bytes:
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return HEADER.pack(len(body)) + body
