"""Sessions by HTTP: made, described, spoken through, directed and ended."""

import asyncio
import json
import secrets
from typing import Any

from aiohttp import web

from flap.config import FRAME_RATE_HZ
from realtime.desk.cue_sheet import MAX_SHEET_BYTES, CueSheet
from realtime.drive.face_clip import MAX_UPLOAD_BYTES as MAX_FACES_BYTES
from realtime.drive.face_clip import read_faces
from realtime.errors import Conflict, NotFound, TooMany
from realtime.protocol.messages import encode
from realtime.server import SERVER, Server
from realtime.session import Session
from realtime.sound.sound_file import MAX_UPLOAD_BYTES, read_sound
from realtime.sound.speech import SpeechClip
from realtime.web.access import Role, is_local
from realtime.web.control import serve_operator
from realtime.web.guard import DEAR, grants_of, needs, sender_of
from realtime.web.rate_limit import network_of
from realtime.web.requests import check_fields, json_object, text_field, upload
from realtime.web.speech_line import serve_speech

MAX_FILES = 8  # sound files and clips in memory at once


def session_of(request: web.Request) -> Session:
    """The session that the path names. Raises NotFound, or Forbidden when the token is for another."""
    session_id = request.match_info["session"]
    grants_of(request).check_session(session_id)
    return request.app[SERVER].session(session_id)


def standing(request: web.Request, session: Session) -> tuple[str | None, bool]:
    """What counts as the network of one who wants to watch, and whether it is staff there.

    Without a secret nobody can tell, and what comes through a proxy or tunnel on this machine may be anybody.
    """
    config = request.app[SERVER].config
    if config.secret is None:
        return None, False
    sender, role = sender_of(request, config), grants_of(request).role_in(session.id)
    return None if is_local(sender) else network_of(sender), role > Role.VIEWER


def ice_servers(server: Server) -> list[dict[str, str]]:
    """What a browser's `RTCPeerConnection` takes as `iceServers`."""
    return [ice_server.json() for ice_server in server.config.ice.servers()]


def describe(server: Server, session: Session) -> dict[str, Any]:
    base = f"/api/sessions/{session.id}"
    return {
        "id": session.id, "presenter": session.presenter_id, "host_connected": session.host is not None,
        "viewers": session.viewers, "delay_ms": session.delay_ms, "whip_url": f"{base}/whip", "whep_url": f"{base}/whep",
        "control_url": f"{base}/control", "audio_url": f"{base}/audio", "ice_servers": ice_servers(server),
    }  # fmt: skip


@needs(Role.HOST, cost=DEAR)
async def create_session(request: web.Request) -> web.Response:
    grants_of(request).check_session(None)
    body = await json_object(request) if request.can_read_body else {}
    check_fields(body, "presenter")
    server = request.app[SERVER]
    session = server.open_session(text_field(body, "presenter"))
    return web.json_response(describe(server, session), status=201)


@needs(Role.VIEWER)
async def list_sessions(request: web.Request) -> web.Response:
    """Those that a token of the sender's is good for."""
    server, grants = request.app[SERVER], grants_of(request)
    return web.json_response(
        [describe(server, session) for session in server.sessions.values() if grants.cover(session.id)]
    )


@needs(Role.VIEWER)
async def show_session(request: web.Request) -> web.Response:
    return web.json_response(describe(request.app[SERVER], session_of(request)))


@needs(Role.HOST)
async def delete_session(request: web.Request) -> web.Response:
    await request.app[SERVER].close_session(session_of(request).id)
    return web.Response(status=204)


class Reading:
    """Files that are being received or read; one of sound is read at a time, and few wait."""

    def __init__(self) -> None:
        self.places, self.turn = asyncio.Semaphore(MAX_FILES), asyncio.Lock()
        self.faces = asyncio.Lock()  # held while a clip is looked at


READING = web.AppKey("reading", Reading)


@needs(Role.HOST, cost=DEAR)
async def speak(request: web.Request) -> web.Response:
    """A sound file that the avatar speaks instead of the microphone, after those that wait already."""
    session = session_of(request)
    reading, stops = request.app[READING], session.speaking.stops
    if reading.places.locked():
        raise TooMany(f"{MAX_FILES} sound files are being read already: try again in a moment")
    async with reading.places:
        data = await upload(request, MAX_UPLOAD_BYTES)
        async with reading.turn:
            clip = SpeechClip(secrets.token_urlsafe(6), await read_sound(data))
    if session.ending:
        raise NotFound("this session has ended")
    if session.speaking.stops != stops:
        raise Conflict("speech was stopped while this file was being read: send it again to have it spoken")
    begins_s = session.speaking.say(clip)
    return web.json_response(
        {"clip": clip.id, "duration_ms": round(1000 * clip.seconds), "begins_in_ms": round(1000 * begins_s)},
        status=202,
    )


@needs(Role.HOST)
async def hush(request: web.Request) -> web.Response:
    """Interrupts what is spoken instead of the microphone, and forgets what waits."""
    session_of(request).stop_speech()
    return web.Response(status=204)


@needs(Role.HOST, cost=DEAR)
async def speech_line(request: web.Request) -> web.StreamResponse:
    """A WebSocket of PCM that the avatar speaks."""
    return await serve_speech(request, session_of(request))


@needs(Role.OPERATOR, cost=DEAR)
async def play_clip(request: web.Request) -> web.Response:
    """A video, picture or track whose face drives as the source `clip`; `?loop=yes` plays it again and again."""
    session, reading = session_of(request), request.app[READING]
    if reading.places.locked():
        raise TooMany(f"{MAX_FILES} files are being read already: try again in a moment")
    async with reading.places:
        data = await upload(request, MAX_FACES_BYTES)
        if reading.faces.locked():
            raise TooMany("another clip is being looked at: try again in a moment")
        async with reading.faces:
            faces = await read_faces(data)
    if session.ending:
        raise NotFound("this session has ended")
    session.clip.play(faces, request.query.get("loop") == "yes")
    return web.json_response(
        {"frames": len(faces), "duration_ms": round(1000 * len(faces) / FRAME_RATE_HZ)}, status=202
    )


@needs(Role.OPERATOR)
async def stop_clip(request: web.Request) -> web.Response:
    if not session_of(request).clip.stop():
        raise NotFound("no clip drives in this session")
    return web.Response(status=204)


@needs(Role.OPERATOR)
async def export_cues(request: web.Request) -> web.Response:
    sheet = session_of(request).desk.export_cues()
    cues = json.loads(encode(sheet))
    return web.json_response({"name": cues["name"], "cues": cues["cues"]})


@needs(Role.OPERATOR, cost=DEAR)
async def import_cues(request: web.Request) -> web.StreamResponse:
    """`?operator=` says who asks, while somebody has the lock; `?anew=yes` begins at the first cue."""
    session, asked = session_of(request), request.query
    body = await json_object(request, MAX_SHEET_BYTES)
    sheet = await asyncio.to_thread(CueSheet.read, body)  # the largest takes longer than sound can wait
    session.desk.import_cues(sheet, asked.get("operator"), anew=asked.get("anew") == "yes")
    return await export_cues(request)


@needs(Role.OPERATOR, cost=DEAR)
async def control(request: web.Request) -> web.StreamResponse:
    return await serve_operator(request, session_of(request))


ROUTES = [
    web.get("/api/sessions", list_sessions),
    web.post("/api/sessions", create_session),
    web.get("/api/sessions/{session}", show_session),
    web.delete("/api/sessions/{session}", delete_session),
    web.get("/api/sessions/{session}/control", control),
    web.get("/api/sessions/{session}/audio", speech_line),
    web.post("/api/sessions/{session}/audio", speak),
    web.delete("/api/sessions/{session}/audio", hush),
    web.post("/api/sessions/{session}/clip", play_clip),
    web.delete("/api/sessions/{session}/clip", stop_clip),
    web.get("/api/sessions/{session}/cues", export_cues),
    web.put("/api/sessions/{session}/cues", import_cues),
]
