"""The operator's WebSocket: messages in to the session, the session's messages out."""

import asyncio
import time

from aiohttp import WSMsgType, web

from realtime.commands import OBEYED
from realtime.errors import BadCommand, BadRequest, NotFound, TooMany, Unprocessable
from realtime.events import Error, Pong
from realtime.gestures import GESTURES
from realtime.messages import (
    MAX_MESSAGE_BYTES,
    ClientMessage,
    ExpressionSet,
    GesturePlay,
    Ping,
    PoseSet,
    SpeechStop,
    encode,
    parse_client,
)
from realtime.operators import Outgoing
from realtime.session import Session

HEARTBEAT_S = 10.0


async def serve_operator(request: web.Request, session: Session) -> web.WebSocketResponse:
    """Talks with one operator until either side ends. Raises BadRequest when no WebSocket was asked for."""
    socket = web.WebSocketResponse(heartbeat=HEARTBEAT_S, max_msg_size=MAX_MESSAGE_BYTES)
    if not socket.can_prepare(request).ok:
        raise BadRequest("the control channel is a WebSocket: connect with ws://")
    outgoing = session.add_operator()
    sending: asyncio.Task[None] | None = None
    try:
        await socket.prepare(request)
        sending = asyncio.create_task(_send_all(socket, outgoing), name=f"{session.id} operator")
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                reply = obey(session, message.data)
            else:
                reply = Error(None, BadCommand.code, "send JSON as text")
            if reply:
                await socket.send_str(encode(reply))
    finally:
        session.operators.leave(outgoing)
        if sending:
            sending.cancel()
    return socket


def obey(session: Session, text: str) -> Pong | Error | None:
    """Does what one message says; the reply to send at once, if any. A bad message changes nothing."""
    command_id = None
    try:
        message = parse_client(text)
        command_id = message.id
        if isinstance(message, Ping):
            return Pong(message.id, message.client_time_ms, time.monotonic() * 1000)
        if isinstance(message, GesturePlay) and message.name not in GESTURES:
            raise NotFound(f"no gesture {message.name!r}: choose one of {', '.join(GESTURES)}")
        missing = not_supported(message)
        if missing:
            raise Unprocessable(f"this server does not do {missing} yet")
        if isinstance(message, SpeechStop):
            session.stop_speech(message)
        elif isinstance(message, OBEYED):
            session.command(message)
    except (BadCommand, NotFound, TooMany, Unprocessable) as error:
        session.metrics.commands_refused += 1
        refused_id = error.command_id if isinstance(error, BadCommand) else command_id
        return Error(refused_id, error.code, str(error))
    return None


def not_supported(message: ClientMessage) -> str | None:
    """What a message of the protocol asks for that this server would have to leave out."""
    match message:
        case PoseSet() if any(value is not None for value in (message.x, message.y, message.zoom)):
            return "x, y and zoom of pose.set"
        case ExpressionSet() if message.coefficients is not None or message.keep:
            return "coefficients and keep of expression.set"
        case GesturePlay() if message.when == "queue" or message.priority != 5:
            return "priority and queue of gesture.play"
    return None if isinstance(message, OBEYED | SpeechStop | Ping) else message.type


async def _send_all(socket: web.WebSocketResponse, outgoing: Outgoing) -> None:
    try:
        while (text := await outgoing.get()) is not None:
            await socket.send_str(text)
        await socket.close()
    except ConnectionResetError:
        pass  # the operator has gone; the reading side notices too
