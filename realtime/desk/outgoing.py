"""Messages on their way to one who listens."""

import asyncio

QUEUE_MESSAGES = 64


class Outgoing(asyncio.Queue[str | None]):
    """JSON texts; None means that nothing more comes. Drop rule: a full queue loses its oldest message."""

    def __init__(self) -> None:
        super().__init__(QUEUE_MESSAGES)

    def put_nowait(self, item: str | None) -> None:
        if self.full():
            self.get_nowait()
        super().put_nowait(item)
