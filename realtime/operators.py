"""The operators of one session: every one of them hears the same messages."""

import asyncio

from realtime.errors import Unavailable
from realtime.events import ServerMessage
from realtime.messages import encode

QUEUE_MESSAGES = 64
MAX_OPERATORS = 8

Outgoing = asyncio.Queue[str | None]  # JSON; None means that the session has ended


class Operators:
    """Owns their outgoing queues. Drop rule: a full queue loses its oldest message."""

    def __init__(self) -> None:
        self._queues: set[Outgoing] = set()

    def __len__(self) -> int:
        return len(self._queues)

    def join(self, first: ServerMessage) -> Outgoing:
        """A queue that begins with `first`; raises Unavailable when there are too many operators."""
        if len(self._queues) >= MAX_OPERATORS:
            raise Unavailable(f"this session has its {MAX_OPERATORS} operators already")
        queue: Outgoing = asyncio.Queue(QUEUE_MESSAGES)
        self._queues.add(queue)
        queue.put_nowait(encode(first))
        return queue

    def leave(self, queue: Outgoing) -> None:
        self._queues.discard(queue)

    def tell(self, message: ServerMessage) -> None:
        text = encode(message)
        for queue in self._queues:
            _put(queue, text)

    def end(self) -> None:
        """Lets every operator know that nothing more comes."""
        for queue in self._queues:
            _put(queue, None)


def _put(queue: Outgoing, item: str | None) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(item)
