"""What is answered while the networks are being opened, which takes minutes where engines are built for a GPU."""

from aiohttp import web

from realtime.config import ServerConfig
from realtime.web.guard import add_headers
from realtime.web.health import readiness
from realtime.web.requests import error_response


async def _health(_: web.Request) -> web.Response:
    return web.json_response({"status": "opening", "sessions": 0, "max_sessions": 0})


async def _ready(_: web.Request) -> web.Response:
    return readiness("opening", renderer_restarts=0)


async def _refuse(request: web.Request) -> web.Response:
    return error_response(request, 503, "unavailable", "the networks are being opened: try again in a moment")


def opening_application(config: ServerConfig) -> web.Application:
    app = web.Application()
    app.add_routes([web.get("/health", _health), web.get("/ready", _ready), web.route("*", "/{path:.*}", _refuse)])
    app.on_response_prepare.append(add_headers(config))
    return app
