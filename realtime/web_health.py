"""How the server is, for people, load balancers and Prometheus."""

from aiohttp import web

from realtime.access import Role
from realtime.metrics import mocap_prometheus, prometheus
from realtime.server import SERVER
from realtime.web_guard import needs, open_to_all


@open_to_all
async def health(request: web.Request) -> web.Response:
    server = request.app[SERVER]
    return web.json_response({"status": "ok", "sessions": len(server.sessions), "max_sessions": server.max_sessions})


@open_to_all
async def ready(request: web.Request) -> web.Response:
    """503 while the networks are being started again; sessions that run go on meanwhile."""
    renderer = request.app[SERVER].renderer
    body = {"ready": renderer.is_up, "renderer_restarts": renderer.restarts}
    return web.json_response(body, status=200 if renderer.is_up else 503)


@needs(Role.ADMIN)
async def metrics(request: web.Request) -> web.Response:
    server = request.app[SERVER]
    text = prometheus(
        {key: session.metrics for key, session in server.sessions.items()},
        {key: session.viewers for key, session in server.sessions.items()},
        dict(server.refused),
    )
    text += mocap_prometheus(server.mocap.received, server.mocap.refused)
    return web.Response(text=text, content_type="text/plain")


ROUTES = [web.get("/health", health), web.get("/ready", ready), web.get("/metrics", metrics)]
