"""What viewers are told of a session, as server-sent events: `GET /api/sessions/{id}/events`."""

import asyncio
from contextlib import suppress

from aiohttp import web

from realtime.desk.outgoing import Outgoing
from realtime.protocol.messages import encode
from realtime.web.access import Role
from realtime.web.guard import DEAR, needs
from realtime.web.requests import write_out
from realtime.web.sessions import session_of

HEARTBEAT_S = 10.0  # between comments that keep proxies from closing, and show that the viewer is still there


@needs(Role.VIEWER, cost=DEAR)
async def tell_viewer(request: web.Request) -> web.StreamResponse:
    session = session_of(request)
    outgoing = session.audience.join()
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    try:
        if farewell := session.farewell():
            outgoing.put_nowait(encode(farewell))
        with suppress(ConnectionResetError):  # the viewer has gone
            await response.prepare(request)
            await write_out(request, response, b": connected\n\n")
            await _send_all(request, response, outgoing)
    finally:
        session.audience.leave(outgoing)
    return response


async def _send_all(request: web.Request, response: web.StreamResponse, outgoing: Outgoing) -> None:
    while True:
        try:
            async with asyncio.timeout(HEARTBEAT_S):
                text = await outgoing.get()
        except TimeoutError:
            await write_out(request, response, b": still here\n\n")
            continue
        if text is None:
            return
        await write_out(request, response, f"data: {text}\n\n".encode())


ROUTES = [web.get("/api/sessions/{session}/events", tell_viewer, allow_head=False)]
