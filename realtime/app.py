"""All HTTP doors of a server (docs/protocol.md), put together."""

import asyncio

from aiohttp import web

from realtime import (
    web_events,
    web_gestures,
    web_health,
    web_outputs,
    web_pages,
    web_portraits,
    web_presenters,
    web_sessions,
    whip,
)
from realtime.peer import MAX_SDP_BYTES
from realtime.rate_limit import RateLimiter
from realtime.server import SERVER, Server
from realtime.web_audit import audit_requests
from realtime.web_guard import LIMITER, add_headers, guard
from realtime.web_requests import answer_errors, name_session


def application(server: Server) -> web.Application:
    config = server.config
    app = web.Application(
        middlewares=[name_session, audit_requests(server.audit, config), answer_errors, guard(config)],
        client_max_size=2 * MAX_SDP_BYTES,
    )
    app[SERVER] = server
    app[LIMITER] = RateLimiter(config.requests_per_minute)
    app[web_sessions.READING] = web_sessions.Reading()
    app[web_portraits.BUSY] = asyncio.Lock()
    doors = (web_pages, web_health, web_gestures, web_presenters, web_portraits, web_sessions, web_events, web_outputs)
    for part in (*doors, whip):
        app.add_routes(part.ROUTES)
    app.on_startup.append(_start)
    app.on_response_prepare.append(add_headers(config))
    app.on_shutdown.append(_close)
    return app


async def _start(app: web.Application) -> None:
    """Raises OSError for a port that is taken."""
    await app[SERVER].start()


async def _close(app: web.Application) -> None:
    await app[SERVER].close()
