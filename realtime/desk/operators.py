"""The operators of one session: every one of them hears the same messages, and each may send only so many."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from realtime.allowance import Allowance
from realtime.desk.outgoing import Outgoing
from realtime.errors import Locked, NotFound, Unavailable
from realtime.protocol.events import OperatorInfo, ServerMessage
from realtime.protocol.messages import encode

MAX_OPERATORS = 8
MAX_NAME = 40


@dataclass(eq=False)
class Operator:
    """One at the desk: a queue of what is to be sent, and what may still be received."""

    id: str
    name: str
    address: str = ""
    outgoing: Outgoing = field(default_factory=Outgoing)
    commands: Allowance = field(default_factory=lambda: Allowance(per_second=40, burst=40))
    frames: Allowance = field(default_factory=lambda: Allowance(per_second=66, burst=20))  # of a driving source
    # of any kind: more are not read
    messages: Allowance = field(default_factory=lambda: Allowance(per_second=120, burst=120))
    answers: Allowance = field(default_factory=lambda: Allowance(per_second=10, burst=10))  # to what is not read
    unread: int = 0  # messages that were refused before anybody looked what they ask for

    @property
    def who(self) -> dict[str, str]:
        """As the audit log names them."""
        return {"operator": self.id, "name": self.name, "address": self.address}

    @property
    def info(self) -> OperatorInfo:
        return OperatorInfo(self.id, self.name)

    def tell(self, message: ServerMessage) -> None:
        self.outgoing.put_nowait(encode(message))


class Operators:
    """Who is at the desk, and who directs. Drop rule: a full queue loses its oldest message."""

    def __init__(self) -> None:
        self.lock: str | None = None  # the operator whose commands alone are obeyed
        self._present: dict[str, Operator] = {}
        self._numbers = 0

    def __len__(self) -> int:
        return len(self._present)

    @property
    def waiting(self) -> int:
        """Messages that wait for the slowest."""
        return max((operator.outgoing.qsize() for operator in self), default=0)

    def __iter__(self) -> Iterator[Operator]:
        return iter(self._present.values())

    def join(self, name: str = "", address: str = "") -> Operator:
        """A new operator; raises Unavailable when there are too many."""
        if len(self._present) >= MAX_OPERATORS:
            raise Unavailable(f"this session has its {MAX_OPERATORS} operators already")
        self._numbers += 1
        operator = Operator(f"o{self._numbers}", name.strip()[:MAX_NAME] or f"Operator {self._numbers}", address)
        self._present[operator.id] = operator
        return operator

    def leave(self, operator: Operator) -> None:
        self._present.pop(operator.id, None)
        if self.lock == operator.id:
            self.lock = None

    def check_lock(self, operator_id: str | None) -> None:
        """Raises Locked when somebody else has the lock."""
        if self.lock not in (None, operator_id):
            holder = self.get(self.lock or "")
            raise Locked(f"{holder.name if holder else 'somebody else'} has the lock: wait until it is released")

    def hand_over(self, operator: Operator, to: str | None) -> None:
        """Releases the lock, or gives it to another operator. Raises NotFound, or Locked for whoever does not have it."""
        if to is not None and self.get(to) is None:
            raise NotFound(f"no operator {to!r} is at the desk")
        if to is not None and self.lock != operator.id:
            raise Locked("take the lock before you hand it over")
        self.lock = to

    def get(self, operator_id: str) -> Operator | None:
        return self._present.get(operator_id)

    def tell(self, message: ServerMessage) -> None:
        if not self._present:
            return  # a large cue sheet takes long to encode
        text = encode(message)
        for operator in self:
            operator.outgoing.put_nowait(text)

    def end(self) -> None:
        """Lets every operator know that nothing more comes."""
        for operator in self:
            operator.outgoing.put_nowait(None)
