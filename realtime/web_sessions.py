"""Sessions by HTTP: made, described, spoken through, directed and ended."""

import asyncio
import secrets
from typing import Any

from aiohttp import web

from realtime.control import serve_operator
from realtime.server import SERVER, Server
from realtime.session import Session
from realtime.speech import MAX_UPLOAD_BYTES, SpeechClip, decode
from realtime.web_requests import json_object, text_field, upload


def session_of(request: web.Request) -> Session:
    """The session that the path names. Raises NotFound."""
    return request.app[SERVER].session(request.match_info["session"])


def describe(server: Server, session: Session) -> dict[str, Any]:
    return {
        "id": session.id, "presenter": session.presenter_id, "host_connected": session.host is not None,
        "viewers": session.viewers, "delay_ms": session.delay_ms, "ice_servers": list(server.config.ice_servers),
    }  # fmt: skip


async def create_session(request: web.Request) -> web.Response:
    body = await json_object(request) if request.can_read_body else {}
    server = request.app[SERVER]
    session = server.open_session(text_field(body, "presenter"))
    base = f"/api/sessions/{session.id}"
    return web.json_response(
        {
            "id": session.id, "presenter": session.presenter_id, "delay_ms": session.delay_ms, "whip_url": f"{base}/whip",
            "whep_url": f"{base}/whep", "control_url": f"{base}/control", "ice_servers": list(server.config.ice_servers),
        },
        status=201,
    )  # fmt: skip


async def list_sessions(request: web.Request) -> web.Response:
    server = request.app[SERVER]
    return web.json_response([describe(server, session) for session in server.sessions.values()])


async def show_session(request: web.Request) -> web.Response:
    return web.json_response(describe(request.app[SERVER], session_of(request)))


async def delete_session(request: web.Request) -> web.Response:
    await request.app[SERVER].close_session(session_of(request).id)
    return web.Response(status=204)


async def speak(request: web.Request) -> web.Response:
    """A sound file that the avatar speaks instead of the microphone, after those that wait already."""
    session = session_of(request)
    data = await upload(request, MAX_UPLOAD_BYTES)
    clip = SpeechClip(secrets.token_urlsafe(6), await asyncio.to_thread(decode, data))
    begins_s = session.say(clip)
    return web.json_response(
        {"clip": clip.id, "duration_ms": round(1000 * clip.seconds), "begins_in_ms": round(1000 * begins_s)},
        status=202,
    )


async def control(request: web.Request) -> web.StreamResponse:
    return await serve_operator(request, session_of(request))


ROUTES = [
    web.get("/api/sessions", list_sessions),
    web.post("/api/sessions", create_session),
    web.get("/api/sessions/{session}", show_session),
    web.delete("/api/sessions/{session}", delete_session),
    web.get("/api/sessions/{session}/control", control),
    web.post("/api/sessions/{session}/audio", speak),
]
