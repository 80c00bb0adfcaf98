"""Connections by SDP over HTTP: WHIP (RFC 9725) in, WHEP (draft-ietf-wish-whep) out, and POST /offer for both at once."""

import secrets

from aiohttp import web

from realtime.errors import (
    BadRequest,
    FlapError,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    TooLarge,
    WrongType,
)
from realtime.media.ice import link_headers
from realtime.media.offer import MAX_SDP_BYTES
from realtime.media.peer import Peer
from realtime.server import SERVER
from realtime.session import Session
from realtime.web.access import Role
from realtime.web.guard import DEAR, grants_of, needs, open_to_all
from realtime.web.requests import check_fields, json_object, text_body, text_field
from realtime.web.sessions import session_of, standing

FRAGMENT = "application/trickle-ice-sdpfrag"


@needs(Role.HOST, cost=DEAR)
async def publish(request: web.Request) -> web.Response:
    return await _join(request, sends_microphone=True)


@needs(Role.VIEWER, cost=DEAR)
async def watch(request: web.Request) -> web.Response:
    return await _join(request, sends_microphone=False)


async def _join(request: web.Request, *, sends_microphone: bool) -> web.Response:
    """An SDP offer in; 201 with the answer, the URL that ends the connection, and the ICE servers (RFC 9725, 4.2 and 4.6)."""
    session = session_of(request)
    if request.content_type != "application/sdp":
        raise WrongType("send the offer as application/sdp")
    peer_id = secrets.token_urlsafe(9)
    offer = await text_body(request, MAX_SDP_BYTES)
    network, is_staff = standing(request, session)
    answer = await session.join(
        peer_id, offer, sends_microphone=sends_microphone, wants_avatar=not sends_microphone, network=network, is_staff=is_staff
    )  # fmt: skip
    headers = {"Location": f"{request.path}/{peer_id}"} | _ice_headers(request, session, peer_id)
    return web.Response(status=201, text=answer, content_type="application/sdp", headers=headers)


def _ice_headers(request: web.Request, session: Session, peer_id: str) -> dict[str, str]:
    """What a client needs to trickle candidates (RFC 9725, 4.3 and 4.6)."""
    peer = session.peer(peer_id)
    tag = {"ETag": peer.entity_tag} if peer else {}
    return tag | link_headers(request.app[SERVER].config.ice.servers())


@needs(Role.VIEWER)
async def show_nothing(request: web.Request) -> web.Response:
    """Neither the doors nor their connections have anything to show (RFC 9725, 4.1)."""
    session_of(request)
    if "peer" in request.match_info:
        _peer_of(request)
    return web.Response(status=204)


@open_to_all
async def accept_post(_: web.Request) -> web.Response:
    """Tells nothing of the session: a browser asks this before it may send a token."""
    return web.Response(headers={"Accept-Post": "application/sdp"})


@open_to_all
async def accept_patch(_: web.Request) -> web.Response:
    return web.Response(headers={"Accept-Patch": FRAGMENT, "Allow": "GET, HEAD, PATCH, DELETE, OPTIONS"})


def _peer_of(request: web.Request) -> Peer:
    peer = session_of(request).peer(request.match_info["peer"])
    if peer is None:
        raise NotFound("no such connection in this session")
    return peer


def _check_tag(request: web.Request, peer: Peer) -> None:
    """Candidates are for one ICE session (RFC 9725, 4.3). Raises PreconditionRequired or PreconditionFailed."""
    given = request.headers.get("If-Match")
    if given is None:
        raise PreconditionRequired("send If-Match with the ETag that came with the answer")
    if given.strip() not in ("*", '"*"', peer.entity_tag):  # the RFC's own example has quotes around the asterisk
        raise PreconditionFailed("If-Match names another ICE session: send the ETag that came with the answer")


@needs(Role.VIEWER)
async def trickle(request: web.Request) -> web.Response:
    peer = _peer_of(request)
    _check_tag(request, peer)
    if request.content_type != FRAGMENT:
        raise WrongType(f"send candidates as {FRAGMENT}")
    await peer.add_candidates(await text_body(request, MAX_SDP_BYTES))
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
    if len(sdp) > MAX_SDP_BYTES:
        raise TooLarge(f"the SDP is longer than {MAX_SDP_BYTES // 1024} KiB")
    check_fields(body, "type", "sdp", "session_id", "presenter")
    session_id = text_field(body, "session_id")
    grants_of(request).check_session(session_id)
    session = (
        server.session(session_id) if session_id is not None else server.open_session(text_field(body, "presenter"))
    )
    peer_id = secrets.token_urlsafe(9)
    try:
        answer = await session.join(peer_id, sdp, sends_microphone=True, wants_avatar=True)
    except FlapError:
        if session_id is None:
            await server.close_session(session.id)
        raise
    url = f"/api/sessions/{session.id}/whip/{peer_id}"
    description = {"type": "answer", "sdp": answer, "session_id": session.id, "connection_url": url}
    return web.json_response(description, headers=_ice_headers(request, session, peer_id))


@needs(Role.HOST)
async def send_host_away(request: web.Request) -> web.Response:
    """For one who has lost the address of its connection, as a page that was reloaded: the next may come at once."""
    host = session_of(request).host
    if host:
        await host.close()
    return web.Response(status=204)


ROUTES: list[web.AbstractRouteDef] = [
    web.post("/offer", offer),
    web.delete("/api/sessions/{session}/host", send_host_away),
]
for _way, _handler in (("whip", publish), ("whep", watch)):
    _path = f"/api/sessions/{{session}}/{_way}"
    ROUTES += [web.post(_path, _handler), web.options(_path, accept_post), web.get(_path, show_nothing)]
    ROUTES += [web.get(_path + "/{peer}", show_nothing), web.options(_path + "/{peer}", accept_patch)]
    ROUTES += [web.patch(_path + "/{peer}", trickle), web.delete(_path + "/{peer}", leave)]
