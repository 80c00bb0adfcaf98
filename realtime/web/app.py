"""All HTTP doors of a server (docs/protocol.md), put together."""

import asyncio

from aiohttp import web

from realtime.server import SERVER, Server
from realtime.web import events, gestures, health, outputs, pages, presenters, sessions, whip
from realtime.web.audit import audit_requests
from realtime.web.guard import LIMITER, PACE, SELDOM, add_headers, guard
from realtime.web.rate_limit import Pace, RateLimiter
from realtime.web.requests import answer_errors, name_session


def application(server: Server) -> web.Application:
    config = server.config
    app = web.Application(
        middlewares=[name_session, audit_requests(server.audit, config), answer_errors, guard(config)]
    )
    app[SERVER] = server
    app[LIMITER], app[PACE], app[SELDOM] = RateLimiter(config.requests_per_minute), Pace(), RateLimiter(1)
    app[sessions.READING] = sessions.Reading()
    app[presenters.BUSY] = asyncio.Lock()
    doors = (pages, health, gestures, presenters, sessions, events, outputs)
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
