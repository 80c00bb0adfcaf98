"""The networks as the media process sees them: a process that is started again when it dies or hangs."""

import asyncio
import logging
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from engines.bundle import Presenter
from flap.config import IMAGE_SIZE
from realtime.control.commands import Command
from realtime.control.state import ControlState
from realtime.render.link import Launch, RenderError, RenderLink, launch_process
from realtime.render.messages import ChunkDrawn, ChunkMade, MakeChunk, OpenAvatar, Opened, Rendering
from realtime.render.shared_slots import PLACES
from realtime.telemetry.traces import ChunkTraces

P = ParamSpec("P")
R = TypeVar("R")
LONGEST_PAUSE_S = 10.0  # between two starts of a process that keeps dying
MEASURED_CHUNKS = 100
FRESH_S = 60.0  # for which a measurement counts
MAX_STRIKES = 3  # a session for which alone the process died this often without a picture in between is given up
logger = logging.getLogger(__name__)


class Renderer:
    """Owns the render process and the encode thread; the event loop only waits for them."""

    def __init__(
        self, rendering: Rendering, sessions: int, patience_s: float = 1.2, launch: Launch = launch_process,
        traces: ChunkTraces | None = None,
    ):  # fmt: skip
        self.restarts, self.at_once, self.picture_size = 0, 1, IMAGE_SIZE
        self._traces = traces
        self._rendering, self._sessions, self._patience_s, self._launch = rendering, sessions, patience_s, launch
        self._encode = ThreadPoolExecutor(1, thread_name_prefix="encode")
        self._link: RenderLink | None = None
        self._opened: Opened | None = None
        self._came_up = asyncio.Event()
        self._supervision: asyncio.Task[None] | None = None
        # when chunks were drawn in one step of diffusion, and what they took
        self._draw_ms: deque[tuple[float, float]] = deque(maxlen=MEASURED_CHUNKS)
        self._slots: dict[str, int] = {}  # session -> its slot, the same in every life of the process
        self._strikes: defaultdict[str, float] = defaultdict(float)

    async def start(self) -> Opened:
        """Opens the networks. Raises RenderError with a sentence when they cannot be."""
        self._link, opened = await RenderLink.create(self._rendering, self._sessions, self._launch)
        self._opened = opened
        self.at_once, self.picture_size = opened.at_once, opened.picture_size
        chosen = self._rendering.smaller if opened.is_smaller else None
        # a process that is started again draws as large ones, and at once
        self._rendering = replace(self._rendering, open=chosen or self._rendering.open, smaller=None, measures=False)
        self._came_up.set()
        self._supervision = asyncio.create_task(self._supervise(), name="renderer")
        return opened

    @property
    def is_up(self) -> bool:
        return self._came_up.is_set()

    @property
    def draw_ms(self) -> float:
        """What drawing a chunk takes in one step of diffusion, as measured within a minute, or as at the start; `at_once` are drawn
        at the same time."""
        since_s = time.monotonic() - FRESH_S
        lately_ms = [spent_ms for drawn_s, spent_ms in self._draw_ms if drawn_s > since_s]
        if not lately_ms:
            return self._opened.draw_ms if self._opened else 0.0
        return float(np.median(lately_ms))

    @property
    def presenters(self) -> Mapping[str, Presenter]:
        """Whom the process of now can show: the bundle may have been exchanged before it was started again."""
        return self._opened.presenters if self._opened else {}

    @property
    def avatars(self) -> int:
        """How many share it."""
        return len(self._slots)

    @property
    def process_id(self) -> int | None:
        return self._link.process_id if self._link else None

    def avatar(self, session: str, presenter_id: str, seed: int) -> "RemoteAvatar":
        """A new avatar; it takes a slot until it is closed. After a restart another one is shown if its presenter has gone."""
        free = set(range(self._sessions)) - set(self._slots.values())
        self._slots[session] = min(free)
        return RemoteAvatar(self, session, presenter_id, seed)

    async def encode(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """`work` in the encode thread."""
        return await asyncio.get_running_loop().run_in_executor(self._encode, lambda: work(*args, **kwargs))

    async def close(self) -> None:
        """Ends the process, lets running work in the thread end and refuses more."""
        if self._supervision:
            self._supervision.cancel()
            await asyncio.wait([self._supervision])
        if self._link:
            await self._link.close()
        self._encode.shutdown(wait=False, cancel_futures=True)
        if self._traces:
            await asyncio.to_thread(self._traces.close)

    async def link(self) -> RenderLink:
        """The process of now, waited for when it is being started again."""
        await self._came_up.wait()
        assert self._link
        return self._link

    def slot(self, session: str) -> int:
        return self._slots[session]

    def check(self, session: str) -> None:
        """Raises RenderError for a session that the process keeps dying of."""
        if self._strikes.get(session, 0) >= MAX_STRIKES:
            raise RenderError(f"the render process died {MAX_STRIKES} times or more while it worked for this session")

    def worked(self, made: ChunkMade, heard: "Heard", stage_ms: Mapping[str, float], forgiven: bool) -> None:
        """A chunk was made, and drawn if it was to be; what happened before may be `forgiven` for it."""
        if forgiven:
            self._strikes.pop(made.session, None)
        if self._traces:
            self._traces.record(made.session, heard.chunk, heard.heard_s, stage_ms, made.drawn, made.level.steps)
        if made.drawn and made.level.steps == 1:
            self._draw_ms.append((time.monotonic(), sum(stage_ms.values())))

    def forget(self, session: str) -> None:
        self._strikes.pop(session, None)
        if self._slots.pop(session, None) is not None and self._link:
            self._link.close_avatar(session)

    async def _supervise(self) -> None:
        while True:
            assert self._link
            reason = await self._link.run(self._patience_s)
            self._came_up.clear()
            self.restarts += 1
            suspects = sorted(self._link.suspects)
            for session in suspects:  # who share the blame: the innocent is forgiven long before the other is given up
                self._strikes[session] += 1 / len(suspects)
            worked_for = ", ".join(suspects) or "no session"
            logger.error("the render process %s (it worked for %s): starting it again", reason, worked_for)
            await self._link.close()
            await self._start_again()
            self._came_up.set()
            logger.info("the render process is up again")

    async def _start_again(self) -> None:
        pause_s = 0.0
        while True:
            try:
                self._link, opened = await RenderLink.create(self._rendering, self._sessions, self._launch)
                assert self._opened
                self._opened = replace(opened, draw_ms=self._opened.draw_ms)  # it is not measured again
                return
            except (RenderError, OSError) as error:
                pause_s = min(max(2 * pause_s, 0.5), LONGEST_PAUSE_S)
                logger.error("the render process cannot start (%s): next try in %g s", error, pause_s)
                await asyncio.sleep(pause_s)


@dataclass(frozen=True)
class Heard:
    """A chunk to be made, and its moments on the monotonic clock."""

    chunk: int
    presenter_id: str
    sound: NDArray[np.int16]  # [1920] at 48 kHz
    heard_s: float
    due_s: float
    room_s: float = 0.0  # by how much it may still become later
    above_room_s: float = 0.0  # and at the full frame rate; negative while it is later than it may be there


@dataclass(frozen=True)
class Pictured:
    """A chunk that is drawn, or was not to be: then `pictures` are none."""

    stage_ms: Mapping[str, float]
    pictures: NDArray[np.uint8] | None = None  # [1, s, s, 3]
    crc: int | None = None  # of them, if it was wanted


class RemoteAvatar:
    """One session's avatar; knows enough of it to make it again in a new process."""

    def __init__(self, renderer: Renderer, session: str, presenter_id: str, seed: int):
        self._renderer, self._session, self._presenter_id, self._seed = renderer, session, presenter_id, seed
        self._control = ControlState()
        self._places: asyncio.Queue[int] = asyncio.Queue()  # in the shared memory, that are free
        for place in range(PLACES):
            self._places.put_nowait(place)
        self._lives_in: RenderLink | None = None
        self.lives = 0  # how often it was made anew
        self.opened_s = 0.0  # since when, on the monotonic clock; what was heard before waited for that

    async def open(self) -> RenderLink:
        """Makes the avatar, as its operators had left it. Raises RendererLost or RenderError."""
        link = await self._renderer.link()
        self._renderer.check(self._session)
        instead = next(iter(self._renderer.presenters), None) if self.lives else None
        await link.ask(OpenAvatar(self._session, self._presenter_id, self._seed, self._control, instead))
        self._lives_in = link
        self.lives += 1
        self.opened_s = time.monotonic()
        return link

    async def ready(self) -> None:
        """Waits until `make` may be called: until one of the PLACES chunks before it has been fetched."""
        self._places.put_nowait(await self._places.get())

    async def make(
        self, heard: Heard, commands: tuple[Command, ...], watched: bool, checked: bool = False
    ) -> tuple[ChunkMade, "Pictures"]:
        """What a chunk gave, and its pictures, which must be fetched before those of the next; checksums of both if it is `checked`.

        Raises RendererLost or RenderError.
        """
        link = await self._renderer.link()
        self._presenter_id = heard.presenter_id
        if link is not self._lives_in:
            link = await self.open()
        slot = self._renderer.slot(self._session)
        link.slots.sound(slot)[:] = heard.sound
        place = self._places.get_nowait()
        request = MakeChunk(
            self._session, heard.presenter_id, slot, heard.chunk, commands, watched, heard.heard_s, heard.due_s, checked, heard.room_s,
            place, heard.above_room_s,
        )  # fmt: skip
        try:
            made, drawing = await link.make(request)
        except BaseException:
            self._places.put_nowait(place)
            raise
        self._control = made.control
        if drawing is None:
            self._places.put_nowait(place)
            # of one whose pictures are wanted nothing is known yet: it may die when the next is drawn
            self._renderer.worked(made, heard, made.stage_ms, forgiven=not watched)
        return made, Pictures(self, link, made, heard, place, drawing)

    async def fetch(self, pictures: "Pictures") -> Pictured:
        made = pictures.made
        if pictures.drawing is None:
            return Pictured(made.stage_ms)
        try:
            drawn = await pictures.drawing
            slot, size = self._renderer.slot(self._session), self._renderer.picture_size
            fetched = pictures.link.slots.pictures(slot, pictures.place, size).copy()
        finally:
            self._places.put_nowait(pictures.place)
        stage_ms = {**made.stage_ms, "portrait": drawn.spent_ms}
        self._renderer.worked(made, pictures.heard, stage_ms, forgiven=True)
        return Pictured(stage_ms, fetched, drawn.pictures_crc)

    def close(self) -> None:
        self._renderer.forget(self._session)


@dataclass(frozen=True)
class Pictures:
    """Of a chunk that is made."""

    avatar: RemoteAvatar
    link: RenderLink
    made: ChunkMade
    heard: Heard
    place: int
    drawing: "asyncio.Future[ChunkDrawn] | None"  # None when it is not drawn

    async def fetch(self) -> Pictured:
        """Waits for them. Raises RendererLost or RenderError."""
        return await self.avatar.fetch(self)
