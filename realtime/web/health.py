"""How the server is, for people, load balancers and Prometheus."""

import os

from aiohttp import web

from realtime.server import SERVER
from realtime.telemetry.prometheus import mocap_text, server_text, session_text
from realtime.telemetry.vitals import resident_bytes
from realtime.web.access import Role
from realtime.web.guard import grants_of, needs, open_to_all


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
    grants_of(request).check_session(None)
    server = request.app[SERVER]
    renderer = server.renderer
    memory = {"media": resident_bytes([os.getpid()]), "render": resident_bytes([renderer.process_id])}
    text = session_text({key: (session.metrics, session.vitals()) for key, session in server.sessions.items()})
    text += server_text(server.refused, server.ended, renderer.is_up, renderer.restarts, memory)
    text += mocap_text(server.mocap.received, server.mocap.refused)
    return web.Response(text=text, content_type="text/plain")


ROUTES = [web.get("/health", health), web.get("/ready", ready), web.get("/metrics", metrics)]
