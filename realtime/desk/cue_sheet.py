"""A rundown of cues that an operator steps through, or that run by a clock. A value: every change makes a new one."""

from dataclasses import dataclass, replace
from typing import Annotated, Any

from flap.config import FRAME_RATE_HZ
from realtime.errors import BadCommand, NotFound
from realtime.protocol.events import Cue, Cues
from realtime.protocol.messages import (
    ClientMessage,
    CueGo,
    CueRun,
    CueSelect,
    DriveFrame,
    GestureRecord,
    LockRelease,
    LockTake,
    Ping,
    parse_command,
)
from realtime.protocol.typed_json import Length, build

MAX_CUES, MAX_COMMANDS = 200, 12
MAX_SHEET_BYTES = 524_288  # as JSON: 200 cues of 12 commands of 200 characters
NOT_IN_CUES = CueGo | CueRun | CueSelect | DriveFrame | GestureRecord | LockRelease | LockTake | Ping


@dataclass(frozen=True)
class _File:
    """A cue sheet as it is imported and exported."""

    cues: Annotated[tuple[Cue, ...], Length(0, MAX_CUES)]
    name: Annotated[str, Length(0, 80)] = ""


@dataclass(frozen=True)
class CueSheet:
    """`next_id` is the cue that `go` runs; `started_frame` is when the clock said 0, None while it stands."""

    name: str = ""
    cues: tuple[Cue, ...] = ()
    next_id: str | None = None
    last_id: str | None = None
    started_frame: int | None = None

    @classmethod
    def read(cls, raw: Any) -> "CueSheet":
        """From the JSON of a file. Raises BadCommand with what is wrong, and where."""
        file = build(raw, _File, "a cue sheet")
        for number, cue in enumerate(file.cues):
            if cue.id in {other.id for other in file.cues[:number]}:
                raise BadCommand(f"two cues have the id {cue.id!r}")
            if len(cue.commands) > MAX_COMMANDS:
                raise BadCommand(f"cue {cue.id!r} has more than {MAX_COMMANDS} commands")
            commands(cue)
        keys = [cue.key for cue in file.cues if cue.key]
        if len(set(keys)) < len(keys):
            raise BadCommand("two cues have the same key")
        return cls(file.name, file.cues, file.cues[0].id if file.cues else None)

    def cue(self, cue_id: str | None) -> Cue:
        """The cue of an id, the next one for None. Raises NotFound."""
        wanted = cue_id if cue_id is not None else self.next_id
        for cue in self.cues:
            if cue.id == wanted:
                return cue
        raise NotFound("the cue sheet has no further cue" if cue_id is None else f"no cue {cue_id!r} in the cue sheet")

    def ran(self, cue: Cue) -> "CueSheet":
        """The cue has been run; the one after it is the next.

        While the clock runs one from before the next leaves that the next: the clock has passed what lies between.
        """
        following = self.ids_from(cue.id)[1:]
        is_past = self.started_frame is not None and cue.id not in self.ids_from(self.next_id)
        return replace(self, last_id=cue.id, next_id=self.next_id if is_past else next(iter(following), None))

    def keeping_place_of(self, before: "CueSheet") -> "CueSheet":
        """As an edited form of the sheet before it: the last cue and the clock stay, the next cue too while it is there.

        Where it is gone the next one is the first cue left of those that followed it, or what now follows the last cue.
        At the end of a sheet the clock stops: it has passed the moment of whatever may be added. A sheet that shares no cue
        with the one before begins anew.
        """
        ids = {cue.id for cue in self.cues}
        if not any(cue.id in ids for cue in before.cues):
            return self
        last_id = before.last_id if before.last_id in ids else None
        wanted = [*before.ids_from(before.next_id), *self.ids_from(last_id)[1:]]
        next_id = next((cue_id for cue_id in wanted if cue_id in ids), None)
        started_frame = before.started_frame if before.next_id else None
        return replace(self, next_id=next_id, last_id=last_id, started_frame=started_frame)

    def ids_from(self, cue_id: str | None) -> list[str]:
        """A cue's id and those of the cues after it; none for None."""
        ids = [cue.id for cue in self.cues]
        return ids[ids.index(cue_id) :] if cue_id is not None else []

    def select(self, cue_id: str, frame: int) -> "CueSheet":
        """The cue is the next, and waits for a hand when the clock, which stops then, has passed its moment. Raises NotFound."""
        chosen = replace(self, next_id=self.cue(cue_id).id)
        return replace(chosen, started_frame=None) if chosen.due(frame) else chosen

    def run(self, on: bool, frame: int) -> "CueSheet":
        """The clock begins at the next cue's moment, or stops. Raises NotFound when no cue is left to run."""
        if not on:
            return replace(self, started_frame=None)
        begins_ms = self.cue(None).at_ms or 0.0
        return replace(self, started_frame=frame - round(begins_ms / 1000 * FRAME_RATE_HZ))

    def clock_ms(self, frame: int) -> float:
        return 0.0 if self.started_frame is None else (frame - self.started_frame) * 1000 / FRAME_RATE_HZ

    def due(self, frame: int) -> Cue | None:
        """The next cue, when the clock has reached its moment."""
        if self.started_frame is None or self.next_id is None:
            return None
        cue = self.cue(None)
        return cue if cue.at_ms is not None and cue.at_ms <= self.clock_ms(frame) else None

    def message(self, frame: int) -> Cues:
        clock_ms = self.clock_ms(frame)
        return Cues(self.name, self.cues, self.next_id, self.last_id, self.started_frame is not None, clock_ms)


def commands(cue: Cue) -> list[ClientMessage]:
    """What a cue does; ids are the cue's, and a number. Raises BadCommand."""
    found: list[ClientMessage] = []
    for number, raw in enumerate(cue.commands):
        try:
            message = parse_command({**raw, "id": f"{cue.id[:56]}.{number + 1}"})
        except BadCommand as error:
            raise BadCommand(f"cue {cue.id!r}, command {number + 1}: {error}") from error
        if isinstance(message, NOT_IN_CUES):
            raise BadCommand(f"cue {cue.id!r}: {message.type} cannot be part of a cue")
        found.append(message)
    return found
