"""Messages on their way to one WebSocket: a bounded queue, and what empties it."""

import asyncio

from aiohttp import WSCloseCode, web

QUEUE_MESSAGES = 64


class Outgoing(asyncio.Queue[str | None]):
    """JSON texts; None means that nothing more comes. Drop rule: a full queue loses its oldest message."""

    def __init__(self) -> None:
        super().__init__(QUEUE_MESSAGES)

    def put_nowait(self, item: str | None) -> None:
        if self.full():
            self.get_nowait()
        super().put_nowait(item)


def abort_unless_closed(socket: web.WebSocketResponse, request: web.Request) -> None:
    """Lets go of one who has not said good-bye: what it does not read would keep its connection until TCP gives up."""
    if socket.close_code != WSCloseCode.OK and request.transport:
        request.transport.abort()


async def send_all(socket: web.WebSocketResponse, outgoing: Outgoing) -> None:
    """Sends what comes until nothing more does, then closes the socket."""
    try:
        while (text := await outgoing.get()) is not None:
            await socket.send_str(text)
        await socket.close()
    except ConnectionResetError:
        pass  # the other side has gone; whoever reads from it notices too
