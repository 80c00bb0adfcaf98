"""How the server is, for people, load balancers and Prometheus."""

from aiohttp import web

from realtime.access import Role
from realtime.metrics import mocap_prometheus, prometheus
from realtime.server import SERVER
from realtime.web_guard import needs, open_to_all


@open_to_all
async def health(request: web.Request) -> web.Response:
    server = request.app[SERVER]
    status = "draining" if server.draining else "ok"
    return web.json_response({"status": status, "sessions": len(server.sessions), "max_sessions": server.max_sessions})


@open_to_all
async def ready(request: web.Request) -> web.Response:
    """Whether new sessions find what they need. Sessions that run go on when it is not."""
    server = request.app[SERVER]
    reason = "draining" if server.draining else None if server.renderer.is_up else "renderer_down"
    return readiness(reason, server.renderer.restarts)


def readiness(reason: str | None, renderer_restarts: int) -> web.Response:
    """200, or 503 for a `reason`."""
    body = {"ready": reason is None, "reason": reason, "renderer_restarts": renderer_restarts}
    return web.json_response(body, status=200 if reason is None else 503)


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
