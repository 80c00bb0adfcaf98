"""How the server is, for people, load balancers and Prometheus."""

from aiohttp import web

from realtime.metrics import prometheus
from realtime.server import SERVER


async def health(request: web.Request) -> web.Response:
    server = request.app[SERVER]
    return web.json_response(
        {"status": "ok", "sessions": len(server.sessions), "max_sessions": server.config.max_sessions}
    )


async def metrics(request: web.Request) -> web.Response:
    server = request.app[SERVER]
    text = prometheus(
        {key: session.metrics for key, session in server.sessions.items()},
        {key: session.viewers for key, session in server.sessions.items()},
        dict(server.refused),
    )
    return web.Response(text=text, content_type="text/plain")


ROUTES = [web.get("/health", health), web.get("/metrics", metrics)]
