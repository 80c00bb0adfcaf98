"""The process that runs the networks: `python -m realtime.render.process SOCKET MEMORY`, started by the media process.

It keeps every session's state, answers one request after the other, tells when pictures are drawn, and ends when the media
process does.
"""

import logging
import pickle
import socket
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from engines.bundle import BundleError
from engines.engine import EngineError, EngineLost
from realtime.config import ConfigError
from realtime.control.commands import of_operators, of_sources
from realtime.memory import EVERY_S, hand_back, settle
from realtime.pipeline import AvatarPipeline, AvatarState
from realtime.recording import checksum
from realtime.render.messages import (
    HEADER,
    AvatarFailed,
    AvatarOpened,
    CannotOpen,
    ChunkDrawn,
    ChunkMade,
    CloseAvatar,
    MakeChunk,
    Open,
    OpenAvatar,
    Opened,
    Rendering,
    Reply,
    Request,
    pack,
)
from realtime.render.quality import Level, Moment, Quality, judge, ladder, missed
from realtime.render.shared_slots import SharedSlots
from realtime.render.trial import chunk_times_ms, leaves_room
from realtime.render.turns import Turns
from realtime.signals import leave_signals_to_server
from realtime.telemetry.logs import LogFormat, about, set_up

if TYPE_CHECKING:
    from realtime.render.portrait import Drawn

MEASURED_CHUNKS = 100
LOST = "what runs the networks is gone: this process ends, and is started again"
FRESH_S = 10.0  # for which a measurement counts while others are newer: what slowed the machine down may have ended
LOAD_S = 1.0  # a session that has asked for nothing for so long takes no share of the renderer's time
logger = logging.getLogger(__name__)


class RenderWorker:
    """Requests in, replies out; holds every session's avatar.

    A chunk is chosen and begun when a thread is free to draw it, and a request waits until then; `send` is called by that thread
    when its pictures lie in shared memory. `give_up` is called there when no more can be drawn in this process.
    """

    def __init__(
        self,
        pipeline: AvatarPipeline,
        slots: SharedSlots,
        send: Callable[[Reply], None],
        now_s: Callable[[], float] = time.monotonic,
        give_up: Callable[[], None] = lambda: None,
    ):
        self._pipeline, self._slots, self._send, self._now_s = pipeline, slots, send, now_s
        self._give_up = give_up
        self._at_once = pipeline.portrait.at_once
        self._progress = threading.Condition()  # guards the next two
        self._drawing: Counter[str] = Counter()  # session -> its chunks that are being drawn
        self._avatars: dict[str, AvatarState] = {}
        self._shown: dict[str, str] = {}  # session -> the presenter that was last asked for
        self._rungs = ladder(pipeline.portrait.steps)
        self._draw_s: dict[int, deque[float]] = {}  # steps -> what drawn chunks took
        self._drawn_s: dict[int, float] = {}  # steps -> when the last of them was drawn
        self._tried_s: dict[int, float] = {}  # steps -> what a chunk took before the first session
        self._quality: dict[str, Quality] = {}
        self._opened_s: dict[str, float] = {}  # session -> since when its chunks could be drawn
        # session -> when it last wanted pictures, its share of our time
        self._loads: dict[str, tuple[float, float]] = {}
        self._turns = Turns()

    def try_out(self, presenter_id: str) -> float:
        """Draws a few chunks for nobody; returns what one takes in one step of diffusion, in milliseconds."""
        for steps in {rung.steps for rung in self._rungs}:
            for spent_ms in chunk_times_ms(self._pipeline, presenter_id, steps):
                self._measure(steps, spent_ms)
        self._tried_s = {steps: float(np.median(draw_s)) for steps, draw_s in self._draw_s.items()}
        return 1000 * self._expected_s(Level(1))

    def leaves_room(self) -> bool:
        """Whether what was tried out leaves the time for all else, at the best of its levels."""
        return leaves_room(1000 * self._expected_s(self._rungs[0]), self._at_once)

    def answer(self, request: Request) -> Reply | None:
        """A failure of one session's networks is a reply too. Raises EngineLost when nothing can be drawn any more."""
        match request:
            case OpenAvatar() | MakeChunk():
                try:
                    return self._open(request) if isinstance(request, OpenAvatar) else self._make(request)
                except EngineLost:
                    raise
                except Exception as error:  # one session's failure is not another's
                    logger.exception("failed in the render process")
                    self._avatars.pop(request.session, None)
                    return AvatarFailed(request.session, repr(error))
            case CloseAvatar():
                self._settle(request.session)
                self._avatars.pop(request.session, None)
                self._shown.pop(request.session, None)
                self._turns.forget(request.session)
                self._quality.pop(request.session, None)
                self._opened_s.pop(request.session, None)
                self._loads.pop(request.session, None)
        return None

    def _settle(self, session: str) -> None:
        """Waits until nothing is drawn for it: its slot will be another's."""
        with self._progress:
            self._progress.wait_for(lambda: not self._drawing[session])
            del self._drawing[session]

    def _open(self, request: OpenAvatar) -> AvatarOpened:
        self._settle(request.session)
        try:
            avatar = self._pipeline.init_state(request.presenter_id, request.seed)
        except EngineLost:
            raise
        except (KeyError, EngineError):
            if request.instead is None:
                raise
            logger.exception("cannot show presenter %s any more, but %s", request.presenter_id, request.instead)
            avatar = self._pipeline.init_state(request.instead, request.seed)
        self._avatars[request.session] = replace(avatar, control=request.control)
        self._shown[request.session] = request.presenter_id
        self._quality[request.session] = Quality()
        self._opened_s[request.session] = self._now_s()
        return AvatarOpened(request.session)

    def _make(self, request: MakeChunk) -> ChunkMade:
        if request.watched:
            with self._progress:
                self._progress.wait_for(lambda: self._drawing.total() < self._at_once)
        urgent = bool(of_operators(request.commands)) or self._shown[request.session] != request.presenter_id
        avatar = self._cast(request, replace(self._avatars[request.session], chunk=request.chunk))
        level, draws, left_out = self._choose(request, self._now_s(), urgent)
        sound = self._slots.sound(request.slot).copy()
        waits = request.watched and not draws
        commands = of_sources(request.commands) if waits else request.commands
        step, avatar = self._pipeline.step(sound, commands, avatar, steps=level.steps if draws else 0)
        self._avatars[request.session] = avatar
        if step.drawing:
            before_ms = sum(step.stage_ms.values())
            with self._progress:
                self._drawing[request.session] += 1
            step.drawing.add_done_callback(lambda drawing: self._drawn(drawing, request, level.steps, before_ms))
        faces_crc = checksum(step.faces) if request.checked else 0
        return ChunkMade(
            request.session, request.chunk, step.first_frame, draws, step.events, avatar.control, step.stage_ms, step.added, level,
            self._rungs.index(level), left_out, waits, faces_crc,
        )  # fmt: skip

    def _drawn(self, drawing: "Future[Drawn]", request: MakeChunk, steps: int, before_ms: float) -> None:
        """In the thread that drew."""
        try:
            drawn = drawing.result()
            self._slots.pictures(request.slot, request.place, drawn.frames.shape[1])[:] = drawn.frames
            self._measure(steps, before_ms + drawn.spent_ms)
            crc = checksum(drawn.frames) if request.checked else None
            reply: Reply | None = ChunkDrawn(request.session, request.chunk, drawn.spent_ms, crc)
        except EngineLost:
            logger.exception(LOST)
            reply = None
            self._give_up()
        except Exception as error:  # one session's failure is not another's
            with about(request.session):
                logger.exception("failed in the render process")
            reply = AvatarFailed(request.session, repr(error))
        with suppress(OSError):  # the media process has gone
            if reply:
                self._send(reply)
        if isinstance(reply, AvatarFailed):  # after the reason has been told
            self._avatars.pop(request.session, None)
        with self._progress:
            self._drawing[request.session] -= 1
            self._progress.notify_all()

    def _choose(self, request: MakeChunk, now_s: float, urgent: bool) -> tuple[Level, bool, bool]:
        """How the chunk is drawn, whether it is, and whether it is left out because half the rate is enough."""
        session = request.session
        quality = self._quality[session]
        if not request.watched:
            return self._rungs[quality.rung], False, False
        others = (
            load for other, (asked_s, load) in self._loads.items() if other != session and now_s - asked_s < LOAD_S
        )
        moment = Moment(
            now_s, request.heard_s, request.due_s, sum(others), request.room_s, urgent, self._at_once, request.above_room_s
        )  # fmt: skip
        verdict, judged = judge(moment, [self._expected_s(rung) for rung in self._rungs], self._rungs, quality)
        if request.heard_s >= self._opened_s[session]:  # else it came late because there was nobody to draw it
            quality = judged
        draws = verdict.wanted and self._turns.may_draw(session, verdict.in_time, now_s)
        gave_way = verdict.wanted and verdict.in_time and not draws
        self._quality[session] = missed(quality) if gave_way else quality
        self._loads[session] = now_s, verdict.level.load(self._expected_s(verdict.level), self._at_once)
        return verdict.level, draws, not verdict.wanted

    def _measure(self, steps: int, spent_ms: float) -> None:
        with self._progress:
            now_s = self._now_s()
            if now_s - self._drawn_s.get(steps, now_s) > FRESH_S:
                self._draw_s.pop(steps, None)
            self._drawn_s[steps] = now_s
            self._draw_s.setdefault(steps, deque(maxlen=MEASURED_CHUNKS)).append(spent_ms / 1000)

    def _expected_s(self, level: Level) -> float:
        """What a chunk will take; of a number of steps that was not drawn lately what the least one that was makes of it."""
        with self._progress:
            now_s = self._now_s()
            fresh = [steps for steps, drawn_s in self._drawn_s.items() if now_s - drawn_s <= FRESH_S]
            known = min(fresh or self._draw_s, default=0)
            if not known:
                return 0.0
            if level.steps in (fresh or self._draw_s):
                return float(np.median(self._draw_s[level.steps]))
            return float(np.median(self._draw_s[known])) * self._times_as_long(level.steps, known)

    def _times_as_long(self, steps: int, known: int) -> float:
        """As it was tried out, else at most so many times, and no less time for fewer."""
        tried_s = self._tried_s
        return tried_s[steps] / tried_s[known] if {steps, known} <= tried_s.keys() else max(1.0, steps / known)

    def _cast(self, request: MakeChunk, avatar: AvatarState) -> AvatarState:
        """The avatar with the presenter that is asked for; with the one before when that one cannot be shown."""
        if self._shown[request.session] == request.presenter_id:
            return avatar
        self._shown[request.session] = request.presenter_id
        try:
            return self._pipeline.with_presenter(avatar, request.presenter_id)
        except EngineLost:
            raise
        except (KeyError, EngineError):
            logger.exception("cannot show presenter %s", request.presenter_id)
            return avatar


def _open(
    rendering: Rendering, slots: SharedSlots, send: Callable[[Reply], None], give_up: Callable[[], None]
) -> tuple[RenderWorker, Opened]:
    """Raises what opening the networks raises."""
    worker, opened = _try_out(rendering.open, rendering.measures, slots, send, give_up)
    if rendering.smaller is None or not rendering.measures or worker.leaves_room():
        return worker, opened
    del worker  # its networks go before the others come
    worker, opened = _try_out(rendering.smaller, rendering.measures, slots, send, give_up)
    logger.info("pictures are %d pixels wide: larger ones would leave too little time here", opened.picture_size)
    return worker, replace(opened, is_smaller=True)


def _try_out(
    open_pipeline: Open, measures: bool, slots: SharedSlots, send: Callable[[Reply], None], give_up: Callable[[], None]
) -> tuple[RenderWorker, Opened]:
    pipeline, presenters = open_pipeline()
    worker, portrait = RenderWorker(pipeline, slots, send, give_up=give_up), pipeline.portrait
    draw_ms = worker.try_out(next(iter(presenters))) if measures else 0.0
    return worker, Opened(presenters, pipeline.lookahead_ms, draw_ms, portrait.at_once, portrait.picture_size)


def work(
    link: socket.socket,
    memory: int,
    begin_log: Callable[[LogFormat], None] = lambda _: None,
    settle: Callable[[], None] = lambda: None,
) -> None:
    """Opens the networks as the first message (`Rendering`) says, then answers requests until the other side has gone.

    `settle` is called when what lives as long as the process is there.
    """
    sending = threading.Lock()

    def send(reply: Reply) -> None:
        with sending:
            link.sendall(pack(reply))

    def give_up() -> None:
        with suppress(OSError):  # it is closed already
            link.shutdown(socket.SHUT_RDWR)

    with link, link.makefile("rb") as incoming:
        slots = SharedSlots(memory)
        try:
            rendering = _read(incoming)
            begin_log(rendering.log_format)
            worker, opened = _open(rendering, slots, send, give_up)
        except (BundleError, EngineError, ConfigError, OSError) as error:
            send(CannotOpen(str(error)))
            return
        settle()
        send(opened)
        with _handing_back():
            while request := _read(incoming):
                with about(request.session):
                    try:
                        reply = worker.answer(request)
                    except EngineLost:
                        logger.exception(LOST)
                        return
                if reply:
                    send(reply)


@contextmanager
def _handing_back() -> Iterator[None]:
    """What was freed goes back to the system now and then, in a thread of its own, also while nobody asks for anything."""
    ended = threading.Event()

    def keep_handing_back() -> None:
        while not ended.wait(EVERY_S):
            hand_back()

    threading.Thread(target=keep_handing_back, name="memory", daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def _read(incoming: BinaryIO) -> Any:
    """The next message, None when there are no more."""
    header = incoming.read(HEADER.size)
    return pickle.loads(incoming.read(*HEADER.unpack(header))) if len(header) == HEADER.size else None


def main() -> None:
    leave_signals_to_server()
    set_up()  # until the first message says how
    link, memory = (int(argument) for argument in sys.argv[1:3])
    try:
        work(socket.socket(fileno=link), memory, set_up, settle)
    except (BrokenPipeError, ConnectionResetError):
        pass  # the media process has gone


if __name__ == "__main__":
    main()
