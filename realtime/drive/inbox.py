"""What driving sources have shown since the last chunk: of each source and picture of the chunk the newest."""

from collections.abc import Iterable

from flap.config import CHUNK_FRAMES
from realtime.control.commands import Command
from realtime.drive.clip_player import SOURCE as CLIP
from realtime.errors import Conflict
from realtime.protocol.directives import DriveFrame

HOLD_S = 1.0  # whoever drives with a source keeps it until nothing has come for so long


class DriveInput:
    """Drop rule: a newer frame takes the place of an older one. A source has one sender at a time."""

    def __init__(self) -> None:
        self._shown: dict[tuple[str, int], Command] = {}
        self._senders: dict[str, tuple[str, float]] = {}  # source -> who, when last

    def put(self, frame: DriveFrame, sender: str, hearing_frame: int, now_s: float) -> bool:
        """Whether the sender drives with this source only from now on; `hearing_frame` is the one whose sound is being heard.

        Raises Conflict when somebody else does.
        """
        held_by, last_s = self._senders.get(frame.source, (sender, now_s))
        if held_by != sender and now_s - last_s < HOLD_S:
            raise Conflict(f"somebody else drives with {frame.source}: let them stop first")
        begins = frame.source not in self._senders or held_by != sender
        self._senders[frame.source] = sender, now_s
        picture = hearing_frame % CHUNK_FRAMES
        self._shown[frame.source, picture] = Command(frame, sender, offset=picture)
        return begins

    def take(self) -> tuple[Command, ...]:
        """What live sources show now, the newest that there is. A clip goes by the clock: `take_of`."""
        return self._pop(key for key in self._shown if key[0] != CLIP)

    def take_of(self, source: str) -> tuple[Command, ...]:
        """What one source shows in the chunk that is being heard."""
        return self._pop(key for key in self._shown if key[0] == source)

    def _pop(self, keys: Iterable[tuple[str, int]]) -> tuple[Command, ...]:
        return tuple(self._shown.pop(key) for key in sorted(keys))
