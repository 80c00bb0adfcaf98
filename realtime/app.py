"""All HTTP doors of a server (docs/protocol.md), put together."""

import asyncio

from aiohttp import web

from realtime import web_health, web_outputs, web_pages, web_portraits, web_presenters, web_sessions, whip
from realtime.peer import MAX_SDP_BYTES
from realtime.server import SERVER, Server
from realtime.web_requests import answer_errors


def application(server: Server) -> web.Application:
    app = web.Application(middlewares=[answer_errors], client_max_size=2 * MAX_SDP_BYTES)
    app[SERVER] = server
    app[web_portraits.BUSY] = asyncio.Lock()
    for part in (web_pages, web_health, web_presenters, web_portraits, web_sessions, web_outputs, whip):
        app.add_routes(part.ROUTES)
    app.on_shutdown.append(_close)
    return app


async def _close(app: web.Application) -> None:
    await app[SERVER].close()
