"""Viewers who want to be told what becomes of the show: a queue for each, as operators have one."""

from realtime.desk.outgoing import Outgoing
from realtime.errors import Unavailable
from realtime.protocol.events import Draining, Ended
from realtime.protocol.messages import encode


class Audience:
    """Those of one session. Drop rule: a full queue loses its oldest message."""

    def __init__(self, most: int):
        self._most = most
        self._present: set[Outgoing] = set()

    def __len__(self) -> int:
        return len(self._present)

    def join(self) -> Outgoing:
        """A new one's messages. Raises Unavailable when there are too many."""
        if len(self._present) >= self._most:
            raise Unavailable(f"this session tells its {self._most} viewers already")
        outgoing = Outgoing()
        self._present.add(outgoing)
        return outgoing

    def leave(self, outgoing: Outgoing) -> None:
        self._present.discard(outgoing)

    def tell(self, message: Draining | Ended) -> None:
        text = encode(message)
        for outgoing in self._present:
            outgoing.put_nowait(text)

    def end(self) -> None:
        """Lets everybody know that nothing more comes."""
        for outgoing in self._present:
            outgoing.put_nowait(None)
