"""Connections by SDP over HTTP: WHIP (RFC 9725) in, WHEP (draft-ietf-wish-whep) out, and POST /offer for both at once."""

import secrets

from aiohttp import web

from realtime.access import Role
from realtime.errors import BadRequest, FlapError, NotFound, TooLarge, WrongType
from realtime.peer import MAX_SDP_BYTES, Peer
from realtime.server import SERVER
from realtime.web_guard import DEAR, grant_of, needs, open_to_all
from realtime.web_requests import json_object, text_body, text_field
from realtime.web_sessions import session_of


@needs(Role.HOST, cost=DEAR)
async def publish(request: web.Request) -> web.Response:
    return await _join(request, sends_microphone=True)


@needs(Role.VIEWER, cost=DEAR)
async def watch(request: web.Request) -> web.Response:
    return await _join(request, sends_microphone=False)


async def _join(request: web.Request, *, sends_microphone: bool) -> web.Response:
    """An SDP offer in, 201 with the answer and the URL that ends the connection (RFC 9725, 4.2)."""
    session = session_of(request)
    if request.content_type != "application/sdp":
        raise WrongType("send the offer as application/sdp")
    peer_id = secrets.token_urlsafe(9)
    offer = await text_body(request)
    if len(offer) > MAX_SDP_BYTES:
        raise TooLarge(f"the SDP is longer than {MAX_SDP_BYTES} bytes")
    answer = await session.join(peer_id, offer, sends_microphone=sends_microphone, wants_avatar=not sends_microphone)
    headers = {"Location": f"{request.path}/{peer_id}"}
    return web.Response(status=201, text=answer, content_type="application/sdp", headers=headers)


@open_to_all
async def accept_post(_: web.Request) -> web.Response:
    """Tells nothing of the session: a browser asks this before it may send a token."""
    return web.Response(headers={"Accept-Post": "application/sdp"})


def _peer_of(request: web.Request) -> Peer:
    peer = session_of(request).peer(request.match_info["peer"])
    if peer is None:
        raise NotFound("no such connection in this session")
    return peer


@needs(Role.VIEWER)
async def trickle(request: web.Request) -> web.Response:
    peer = _peer_of(request)
    if request.content_type != "application/trickle-ice-sdpfrag":
        raise WrongType("send candidates as application/trickle-ice-sdpfrag")
    await peer.add_candidates(await text_body(request))
    return web.Response(status=204)


@needs(Role.VIEWER)
async def leave(request: web.Request) -> web.Response:
    await _peer_of(request).close()
    return web.Response()


@needs(Role.HOST, cost=DEAR)
async def offer(request: web.Request) -> web.Response:
    """Microphone and avatar in one peer connection, for simple clients and the page."""
    server = request.app[SERVER]
    body = await json_object(request)
    sdp = text_field(body, "sdp")
    if sdp is None or body.get("type") != "offer":
        raise BadRequest('send {"type": "offer", "sdp": ...}')
    session_id = text_field(body, "session_id")
    grant_of(request).check_session(session_id)
    session = (
        server.session(session_id) if session_id is not None else server.open_session(text_field(body, "presenter"))
    )
    try:
        answer = await session.join(secrets.token_urlsafe(9), sdp, sends_microphone=True, wants_avatar=True)
    except FlapError:
        if session_id is None:
            await server.close_session(session.id)
        raise
    return web.json_response({"type": "answer", "sdp": answer, "session_id": session.id})


ROUTES: list[web.AbstractRouteDef] = [web.post("/offer", offer)]
for _way, _handler in (("whip", publish), ("whep", watch)):
    _path = f"/api/sessions/{{session}}/{_way}"
    ROUTES += [web.post(_path, _handler), web.options(_path, accept_post)]
    ROUTES += [web.patch(_path + "/{peer}", trickle), web.delete(_path + "/{peer}", leave)]
