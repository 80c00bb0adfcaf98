"""HTTP doors (docs/protocol.md) and the list of sessions, which nobody else changes."""

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from engines.bundle import Presenter
from realtime.config import ServerConfig
from realtime.control import serve_operator
from realtime.errors import BadRequest, FlapError, NotFound, TooLarge, Unavailable, WrongType
from realtime.metrics import prometheus
from realtime.peer import MAX_SDP_BYTES
from realtime.pipeline import AvatarPipeline
from realtime.renderer import Renderer
from realtime.session import Session, SessionLimits
from realtime.speech import MAX_UPLOAD_BYTES, SpeechClip, decode

WEB_FOLDER = Path(__file__).parent.parent / "client_web"
logger = logging.getLogger(__name__)


class Server:
    """Owns the sessions and the renderer that they share."""

    def __init__(self, pipeline: AvatarPipeline, presenters: Mapping[str, Presenter], config: ServerConfig):
        self._pipeline, self._presenters, self._config = pipeline, presenters, config
        self._renderer = Renderer()
        self._sessions: dict[str, Session] = {}
        self._lives: dict[str, asyncio.Task[None]] = {}
        self._refused: Counter[str] = Counter()

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._answer_errors], client_max_size=2 * MAX_SDP_BYTES)
        app.add_routes(
            [
                web.get("/", self._page),
                web.get("/watch", self._watch),
                web.static("/static", WEB_FOLDER),
                web.get("/health", self._health),
                web.get("/metrics", self._metrics),
                web.get("/api/presenters", self._list_presenters),
                web.get("/api/presenters/{presenter}/thumbnail", self._thumbnail),
                web.get("/api/sessions", self._list_sessions),
                web.post("/api/sessions", self._create),
                web.get("/api/sessions/{session}", self._describe),
                web.delete("/api/sessions/{session}", self._delete),
                web.get("/api/sessions/{session}/control", self._control),
                web.post("/api/sessions/{session}/audio", self._speak),
                web.post("/offer", self._offer),
            ]
        )
        for way, handler in (("whip", self._whip), ("whep", self._whep)):
            path = f"/api/sessions/{{session}}/{way}"
            app.add_routes([web.post(path, handler), web.options(path, self._accept_post)])
            app.add_routes([web.patch(path + "/{peer}", self._trickle), web.delete(path + "/{peer}", self._leave)])
        app.on_shutdown.append(self._shutdown)
        return app

    # --- sessions

    def _open_session(self, presenter_id: str | None) -> Session:
        chosen = presenter_id or self._config.presenter or next(iter(self._presenters))
        if chosen not in self._presenters:
            raise NotFound(f"no presenter {chosen!r}: choose one of {', '.join(self._presenters)}")
        if len(self._sessions) >= self._config.max_sessions:
            raise Unavailable(f"this server runs at most {self._config.max_sessions} sessions: end one first")
        session_id = secrets.token_urlsafe(9)
        config = self._config
        limits = SessionLimits(config.max_viewers, config.session_idle_s, config.render_budget_ms, config.ice_servers)
        session = Session(session_id, chosen, self._pipeline, self._renderer, limits)
        self._sessions[session_id] = session
        life = asyncio.create_task(self._live(session), name=f"session {session_id}")
        life.add_done_callback(lambda _: self._forget(session_id))  # a task cancelled before it began runs no finally
        self._lives[session_id] = life
        return session

    async def _live(self, session: Session) -> None:
        logger.info("[session %s] opened with %s", session.id, session.presenter_id)
        reason = "failed"
        try:
            reason = await session.run(seed=secrets.randbits(31))
        except asyncio.CancelledError:
            reason = "deleted"
        except Exception:  # one session's failure is not another's
            logger.exception("[session %s] failed", session.id)
        finally:
            logger.info("[session %s] closed: %s", session.id, reason)

    def _forget(self, session_id: str) -> None:
        self._sessions.pop(session_id, None)
        self._lives.pop(session_id, None)

    async def _close_session(self, session_id: str) -> None:
        life = self._lives.get(session_id)
        if life:
            life.cancel()
            await asyncio.wait([life])

    def _session(self, request: web.Request) -> Session:
        session = self._sessions.get(request.match_info["session"])
        if session is None:
            raise NotFound("no such session: it has ended or never was; create one with POST /api/sessions")
        return session

    async def _shutdown(self, _: web.Application) -> None:
        for session_id in list(self._sessions):
            await self._close_session(session_id)
        self._renderer.close()

    # --- doors

    @web.middleware
    async def _answer_errors(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            return await handler(request)
        except FlapError as error:
            self._refused[error.code] += 1
            return _error(error.status, error.code, str(error))
        except web.HTTPRequestEntityTooLarge:
            return _error(413, "too_large", f"the body is longer than {MAX_SDP_BYTES} bytes")
        except web.HTTPException as error:
            if error.status < 400:
                raise
            return _error(
                error.status,
                (error.reason or "error").lower().replace(" ", "_"),
                f"{request.method} {request.path}: {error.reason}",
            )
        except Exception:  # the client gets no stack trace
            logger.exception("%s %s failed", request.method, request.path)
            return _error(500, "internal", "the server failed on this request; its log says why")

    async def _page(self, _: web.Request) -> web.FileResponse:
        return web.FileResponse(WEB_FOLDER / "index.html", headers={"Cache-Control": "no-cache"})

    async def _watch(self, _: web.Request) -> web.FileResponse:
        return web.FileResponse(WEB_FOLDER / "watch.html", headers={"Cache-Control": "no-cache"})

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response(
            {"status": "ok", "sessions": len(self._sessions), "max_sessions": self._config.max_sessions}
        )

    async def _metrics(self, _: web.Request) -> web.Response:
        viewers = {key: session.viewers for key, session in self._sessions.items()}
        text = prometheus(
            {key: session.metrics for key, session in self._sessions.items()}, viewers, dict(self._refused)
        )
        return web.Response(text=text, content_type="text/plain")

    async def _list_presenters(self, _: web.Request) -> web.Response:
        return web.json_response(
            [
                {"id": p.id, "name": p.name, "thumbnail_url": f"/api/presenters/{p.id}/thumbnail"}
                for p in self._presenters.values()
            ]
        )

    async def _thumbnail(self, request: web.Request) -> web.FileResponse:
        presenter = self._presenters.get(request.match_info["presenter"])
        if presenter is None:
            raise NotFound("no such presenter")
        return web.FileResponse(presenter.portrait_path)

    async def _create(self, request: web.Request) -> web.Response:
        body = await _json_object(request) if request.can_read_body else {}
        session = self._open_session(_text(body, "presenter"))
        base = f"/api/sessions/{session.id}"
        return web.json_response(
            {
                "id": session.id, "presenter": session.presenter_id, "delay_ms": session.delay_ms, "whip_url": f"{base}/whip",
                "whep_url": f"{base}/whep", "control_url": f"{base}/control", "ice_servers": list(self._config.ice_servers),
            },
            status=201,
        )  # fmt: skip

    async def _list_sessions(self, _: web.Request) -> web.Response:
        return web.json_response([self._description(session) for session in self._sessions.values()])

    async def _describe(self, request: web.Request) -> web.Response:
        return web.json_response(self._description(self._session(request)))

    def _description(self, session: Session) -> dict[str, Any]:
        return {
            "id": session.id, "presenter": session.presenter_id, "host_connected": session.host is not None,
            "viewers": session.viewers, "delay_ms": session.delay_ms, "ice_servers": list(self._config.ice_servers),
        }  # fmt: skip

    async def _delete(self, request: web.Request) -> web.Response:
        await self._close_session(self._session(request).id)
        return web.Response(status=204)

    async def _speak(self, request: web.Request) -> web.Response:
        """A sound file that the avatar speaks instead of the microphone, after those that wait already."""
        session = self._session(request)
        data = await _upload(request)
        clip = SpeechClip(secrets.token_urlsafe(6), await asyncio.to_thread(decode, data))
        begins_s = session.say(clip)
        return web.json_response(
            {"clip": clip.id, "duration_ms": round(1000 * clip.seconds), "begins_in_ms": round(1000 * begins_s)},
            status=202,
        )

    async def _whip(self, request: web.Request) -> web.Response:
        return await self._join_by_sdp(request, sends_microphone=True)

    async def _whep(self, request: web.Request) -> web.Response:
        return await self._join_by_sdp(request, sends_microphone=False)

    async def _join_by_sdp(self, request: web.Request, *, sends_microphone: bool) -> web.Response:
        """WHIP (RFC 9725, 4.2) and WHEP: an SDP offer in, 201 with the answer and the URL that ends it."""
        session = self._session(request)
        if request.content_type != "application/sdp":
            raise WrongType("send the offer as application/sdp")
        peer_id = secrets.token_urlsafe(9)
        offer = await _sdp_text(request)
        answer = await session.join(
            peer_id, offer, sends_microphone=sends_microphone, wants_avatar=not sends_microphone
        )
        headers = {"Location": f"{request.path}/{peer_id}"}
        return web.Response(status=201, text=answer, content_type="application/sdp", headers=headers)

    async def _accept_post(self, request: web.Request) -> web.Response:
        self._session(request)
        return web.Response(headers={"Accept-Post": "application/sdp"})

    async def _trickle(self, request: web.Request) -> web.Response:
        peer = self._session(request).peer(request.match_info["peer"])
        if peer is None:
            raise NotFound("no such connection in this session")
        if request.content_type != "application/trickle-ice-sdpfrag":
            raise WrongType("send candidates as application/trickle-ice-sdpfrag")
        await peer.add_candidates(await request.text())
        return web.Response(status=204)

    async def _leave(self, request: web.Request) -> web.Response:
        peer = self._session(request).peer(request.match_info["peer"])
        if peer is None:
            raise NotFound("no such connection in this session")
        await peer.close()
        return web.Response()

    async def _offer(self, request: web.Request) -> web.Response:
        """Microphone and avatar in one peer connection, for simple clients and the page."""
        body = await _json_object(request)
        sdp = _text(body, "sdp")
        if sdp is None or body.get("type") != "offer":
            raise BadRequest('send {"type": "offer", "sdp": ...}')
        session_id = _text(body, "session_id")
        if session_id is None:
            session = self._open_session(_text(body, "presenter"))
        elif session_id in self._sessions:
            session = self._sessions[session_id]
        else:
            raise NotFound("no such session: create one with POST /api/sessions")
        peer_id = secrets.token_urlsafe(9)
        try:
            answer = await session.join(peer_id, sdp, sends_microphone=True, wants_avatar=True)
        except FlapError:
            if session_id is None:
                await self._close_session(session.id)
            raise
        return web.json_response({"type": "answer", "sdp": answer, "session_id": session.id})

    async def _control(self, request: web.Request) -> web.StreamResponse:
        return await serve_operator(request, self._session(request))


async def _sdp_text(request: web.Request) -> str:
    try:
        text = await request.text()
    except UnicodeDecodeError as error:
        raise BadRequest("the SDP is not text") from error
    if len(text) > MAX_SDP_BYTES:
        raise TooLarge(f"the SDP is longer than {MAX_SDP_BYTES} bytes")
    return text


async def _upload(request: web.Request) -> bytes:
    """The body of a request that may be longer than this server's other ones."""
    data = bytearray()
    async for piece in request.content.iter_chunked(65_536):
        data += piece
        if len(data) > MAX_UPLOAD_BYTES:
            raise TooLarge(f"the file is longer than {MAX_UPLOAD_BYTES // 2**20} MiB: send it in parts")
    return bytes(data)


async def _json_object(request: web.Request) -> dict[str, Any]:
    if request.content_type != "application/json":  # also keeps other sites' plain forms out
        raise WrongType("send the body as application/json")
    try:
        body = await request.json()
    except (ValueError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    return body


def _text(body: dict[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise BadRequest(f"{name} must be a string")
    return value


def _error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)
