"""The operator's WebSocket: messages in to the session, the session's messages out."""

import asyncio

from aiohttp import WSMsgType, web

from realtime.errors import BadCommand, BadRequest
from realtime.protocol.events import Error
from realtime.protocol.messages import MAX_MESSAGE_BYTES, encode
from realtime.server import SERVER
from realtime.session import Session
from realtime.web.guard import sender_of
from realtime.web.sockets import abort_unless_closed, send_all

HEARTBEAT_S = 10.0


async def serve_operator(request: web.Request, session: Session) -> web.WebSocketResponse:
    """Talks with one operator until either side ends. Raises BadRequest when no WebSocket was asked for."""
    socket = web.WebSocketResponse(heartbeat=HEARTBEAT_S, max_msg_size=MAX_MESSAGE_BYTES)
    if not socket.can_prepare(request).ok:
        raise BadRequest("the control channel is a WebSocket: connect with ws://")
    address = sender_of(request, request.app[SERVER].config)
    operator = session.desk.join(request.query.get("name", ""), address)
    sending: asyncio.Task[None] | None = None
    try:
        await socket.prepare(request)
        sending = asyncio.create_task(send_all(socket, operator.outgoing), name=f"{session.id} operator")
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                reply = session.desk.obey(operator, message.data)
            else:
                reply = Error(None, BadCommand.code, "send JSON as text")
            if reply:
                await socket.send_str(encode(reply))
                await asyncio.sleep(0)  # whoever floods waits for everybody else
    except ConnectionResetError as error:  # the operator has gone without waiting for the answer
        if not socket.prepared:
            raise BadRequest("the other side has gone before the channel was open") from error
    finally:
        abort_unless_closed(socket, request)
        session.desk.leave(operator)
        if sending:
            sending.cancel()
    return socket
