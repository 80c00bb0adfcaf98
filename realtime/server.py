"""The list of sessions, which nobody else changes, and what they share."""

import asyncio
import logging
import secrets
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import cast

from aiohttp import web

from engines.bundle import Presenter
from realtime.config import ServerConfig
from realtime.desk.obs import ObsLink
from realtime.drive.receivers import MocapReceivers
from realtime.errors import Conflict, NotFound, ShuttingDown, Unavailable
from realtime.gestures.library import GestureLibrary
from realtime.memory import keep_handing_back
from realtime.protocol.directives import DriveFrame
from realtime.recording import SUFFIX, Header, Recorder, bundle_identity
from realtime.render.admission import Admission, admit, sustainable
from realtime.render.messages import Opened
from realtime.render.renderer import Renderer
from realtime.session import Session, SessionSettings
from realtime.telemetry.audit import AuditLog
from realtime.telemetry.logs import about

DRAIN_LOOK_S = 0.05
logger = logging.getLogger(__name__)


class Server:
    """Owns the sessions and the renderer that they share; `realtime/web/app.py` puts doors in front of it."""

    def __init__(self, renderer: Renderer, opened: Opened, config: ServerConfig):
        self.config = config
        self.refused: Counter[str] = Counter()  # requests by error code
        self.ended: Counter[str] = Counter()  # sessions by why
        self.obs = ObsLink(config.obs_url, config.obs_password, self._tell_changes) if config.obs_url else None
        self.renderer, self._lookahead_ms = renderer, opened.lookahead_ms
        self.audit = AuditLog(config.audit_log, config.audit_log_mb * 10**6)
        self.mocap = MocapReceivers(config, self._drive)
        self.gestures = GestureLibrary(config.gestures_folder)
        # of the networks that were opened: the folder may be exchanged while they run
        self._bundle = bundle_identity(config.bundle) if config.recordings_folder else ""
        self._watching: asyncio.Task[None] | None = None
        self._linking: asyncio.Task[None] | None = None
        self._tidying: asyncio.Task[None] | None = None
        self._sessions: dict[str, Session] = {}
        self._lives: dict[str, asyncio.Task[None]] = {}
        self.draining = False

    @property
    def sessions(self) -> Mapping[str, Session]:
        """Oldest first; one that is ending is not among them, though its outputs may still say good-bye."""
        return {name: session for name, session in self._sessions.items() if not session.ending}

    @property
    def presenters(self) -> Mapping[str, Presenter]:
        """Everybody who can be animated."""
        return self.renderer.presenters

    @property
    def max_sessions(self) -> int:
        """At once: as many as are allowed and, if that is fewer, as the machine is measured to sustain."""
        admission = cast(Admission, self.config.admission)
        return int(min(self.config.max_sessions, sustainable(self.renderer.draw_ms, admission, self.renderer.at_once)))

    def session(self, session_id: str) -> Session:
        """Raises NotFound."""
        session = self._sessions.get(session_id)
        if session is None or session.ending:
            raise NotFound("no such show: it has ended or never was; begin another one (programs: POST /api/sessions)")
        return session

    def open_session(self, presenter_id: str | None) -> Session:
        """A running session.

        Raises NotFound for an unknown presenter, Unavailable when there are too many or nothing can be drawn, Overloaded when the
        machine is too slow for more, ShuttingDown when the server is to end.
        """
        config = self.config
        if self.draining:
            raise ShuttingDown(
                "this server is shutting down and takes no new sessions: use another, or try again later"
            )
        chosen = presenter_id or config.presenter or next(iter(self.presenters))
        if chosen not in self.presenters:
            raise NotFound(f"no presenter {chosen!r}: choose one of {', '.join(self.presenters)}")
        if len(self._sessions) >= config.max_sessions:
            raise Unavailable(f"this server runs at most {config.max_sessions} sessions: end one first")
        if not self.renderer.is_up:
            raise Unavailable("the renderer is being started again: try again in a few seconds")
        admit(len(self._sessions), self.renderer.draw_ms, cast(Admission, config.admission), self.renderer.at_once)
        session_id = secrets.token_hex(9)  # no dash to begin with: programs take it for an option
        settings = SessionSettings(
            max_viewers=config.max_viewers,
            idle_s=config.session_idle_s,
            render_ms=config.render_bounds,
            steps=config.steps,
            ice=config.ice,
            disclosure=config.disclosure,
            standby=config.standby,
        )
        session = Session(
            session_id, chosen, self.renderer, self._lookahead_ms, settings, self.gestures, self.audit.of_session(session_id), self.obs,
        )  # fmt: skip
        self._sessions[session_id] = session
        with about(session_id):
            life = asyncio.create_task(self._live(session), name=f"session {session_id}")
        life.add_done_callback(lambda _: self._forget(session_id))  # a task cancelled before it began runs no finally
        self._lives[session_id] = life
        return session

    def _tell_changes(self) -> None:
        for session in self._sessions.values():
            session.desk.tell_changes()

    async def close_session(self, session_id: str, reason: str = "deleted") -> None:
        life = self._lives.get(session_id)
        if life:
            session = self._sessions[session_id]
            if not session.ending:  # a second cancellation would stop it from putting things away
                session.ends_as = reason
                life.cancel()
            await asyncio.wait([life])

    async def start(self) -> None:
        """Listens to driving sources and OBS, and looks after gesture files. Raises OSError for a port that is taken."""
        await self.mocap.start()
        await asyncio.to_thread(self.gestures.look)
        self._watching = asyncio.create_task(self.gestures.watch(self.tell_catalog), name="gestures")
        self._linking = asyncio.create_task(self.obs.run(), name="link to OBS") if self.obs else None
        self._tidying = asyncio.create_task(keep_handing_back(), name="memory")

    def tell_catalog(self) -> None:
        """To every operator: what can be asked for has changed."""
        for session in self._sessions.values():
            session.desk.tell_catalog()

    async def drain(self) -> None:
        """Takes no more sessions, tells everybody in those that run, and waits until they are left, `drain_s` at the longest."""
        self.draining = True
        ends_s = time.monotonic() + self.config.drain_s
        for session in self._sessions.values():
            session.drain(ends_s)
        logger.info("draining: %d sessions have %d s to end", len(self._sessions), self.config.drain_s)
        while any(session.used for session in self._sessions.values()) and time.monotonic() < ends_s:
            await asyncio.sleep(DRAIN_LOOK_S)

    async def close(self) -> None:
        """Ends every session, then the renderer."""
        self.draining = True
        self.mocap.close()
        for task in (self._watching, self._linking, self._tidying):
            if task:
                task.cancel()
        await asyncio.gather(*(self.close_session(session_id, "shutdown") for session_id in list(self._sessions)))
        await self.renderer.close()
        self.audit.close()

    def _drive(self, frame: DriveFrame, sender: str) -> None:
        """A face that has come over UDP, to every session: those that mix its source in show it. Raises Conflict when somebody
        else drives with it in all of them."""
        refused: list[Conflict] = []
        for session in self._sessions.values():
            try:
                session.desk.drive(frame, sender)
            except Conflict as error:
                refused.append(error)
        if refused and len(refused) == len(self._sessions):
            raise refused[0]

    async def _live(self, session: Session) -> None:
        logger.info("opened with %s", session.presenter_id)
        self.audit.note("session_opened", session=session.id, presenter=session.presenter_id)
        reason, seed = "failed", secrets.randbits(31)
        try:
            reason = await session.run(seed, self._recorder(session, seed))
        except asyncio.CancelledError:
            reason = session.ends_as
        except Exception:  # one session's failure is not another's
            logger.exception("failed")
        finally:
            self.ended[reason] += 1
            logger.info("closed: %s", reason)
            self.audit.note("session_closed", session=session.id, reason=reason)

    def _recorder(self, session: Session, seed: int) -> Recorder | None:
        config = self.config
        if config.recordings_folder is None:
            return None
        began = datetime.now(UTC)
        header = Header(
            session.id, seed, began.isoformat(), self._bundle, config.engine, config.threads, config.steps, config.variant,
            config.background, session.picture_size,
        )  # fmt: skip
        path = config.recordings_folder / f"{began:%Y%m%dT%H%M%SZ}-{session.id}{SUFFIX}"
        try:
            return Recorder(path, header, config.recording_mb * 10**6)
        except OSError as error:
            logger.error("cannot be recorded: %s", error)
            return None

    def _forget(self, session_id: str) -> None:
        self._sessions.pop(session_id, None)
        self._lives.pop(session_id, None)


SERVER = web.AppKey("server", Server)
