"""Which command holds which part of the avatar, and what became of every command: acknowledged, refused, done."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Outcome = Literal["ended", "replaced", "cancelled"]


@dataclass(frozen=True)
class Applied:
    """A command of a type acts from `frame` on."""

    id: str
    frame: int
    operator: str = ""
    command: str = ""

    def not_before(self, frame: int) -> "Applied":
        return replace(self, frame=max(self.frame, frame))


@dataclass(frozen=True)
class Finished:
    """An applied command is over; `by` is the command that replaced or cancelled it."""

    id: str
    frame: int
    outcome: Outcome
    operator: str = ""
    by: str | None = None
    by_operator: str | None = None

    def not_before(self, frame: int) -> "Finished":
        return replace(self, frame=max(self.frame, frame))


@dataclass(frozen=True)
class Refused:
    """A command that could not be applied; nothing has changed."""

    id: str
    code: str
    message: str
    operator: str = ""


Event = Applied | Finished | Refused


@dataclass(frozen=True)
class Ticket:
    """A command that has been applied; `number` tells two of the same id apart."""

    number: int
    id: str
    operator: str
    until_frame: int | None = None  # it is over by itself then


@dataclass(frozen=True)
class Tickets:
    """Who holds each place (a channel of the pose, the gaze, ...). A ticket that holds no place any more is finished."""

    holders: Mapping[str, Ticket] = field(default_factory=dict)
    count: int = 0

    def issue(self, command_id: str, operator: str) -> tuple[Ticket, "Tickets"]:
        return Ticket(self.count, command_id, operator), replace(self, count=self.count + 1)

    def hold(self, places: Iterable[str], ticket: Ticket, frame: int) -> tuple["Tickets", list[Finished]]:
        """`ticket` takes places from whoever holds them."""
        places = tuple(places)
        freed, finished = self.free(places, frame, "replaced", ticket)
        return replace(freed, holders={**freed.holders, **dict.fromkeys(places, ticket)}), finished

    def free(
        self, places: Iterable[str], frame: int, outcome: Outcome, by: Ticket | None = None
    ) -> tuple["Tickets", list[Finished]]:
        """Nobody holds the places any more."""
        left = {place: ticket for place, ticket in self.holders.items() if place not in set(places)}
        remaining = {ticket.number for ticket in left.values()}
        gone = {t.number: t for t in self.holders.values() if t.number not in remaining}
        finished = [
            Finished(t.id, frame, outcome, t.operator, by.id if by else None, by.operator if by else None)
            for t in gone.values()
        ]
        return replace(self, holders=left), finished

    def due(self, frame: int) -> tuple[str, ...]:
        """Places whose time is over."""
        return tuple(p for p, t in self.holders.items() if t.until_frame is not None and frame >= t.until_frame)
