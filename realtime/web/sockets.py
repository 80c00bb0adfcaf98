"""What every WebSocket door shares: sending what waits, and letting go of one who does not listen."""

from aiohttp import WSCloseCode, web

from realtime.desk.outgoing import Outgoing


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
