"""One life of the render process, as the media process sees it: requests out, replies in, and how it ended."""

import asyncio
import os
import pickle
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from realtime.render.messages import (
    HEADER,
    AvatarFailed,
    CannotOpen,
    ChunkDrawn,
    ChunkMade,
    CloseAvatar,
    MakeChunk,
    OpenAvatar,
    Opened,
    Rendering,
    Reply,
    pack,
)
from realtime.render.shared_slots import SharedSlots, create_memory

OPENING_S = 120.0  # for opening the networks; engines that are built for a GPU take their time
WATCH_PERIOD_S = 0.1


class RenderError(Exception):
    """The networks cannot be opened, or fail for one session; the message is a sentence."""


class RendererLost(Exception):
    """The render process has died or hangs: what was asked of it is not answered."""


class Process(Protocol):
    """What runs at the other end of the socket."""

    @property
    def pid(self) -> int: ...
    async def wait(self) -> int: ...
    def kill(self) -> None: ...


Launch = Callable[[socket.socket, int], Awaitable[Process]]


async def launch_process(link: socket.socket, memory: int) -> Process:
    """A fresh interpreter with the other end of the socket and the memory."""
    descriptors = (link.fileno(), memory)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "realtime.render.process", *map(str, descriptors), pass_fds=descriptors, env=environment
    )  # fmt: skip


class RenderLink:
    """Owns the process, its socket and its memory; `run()` lasts as long as they do."""

    def __init__(
        self, process: Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, slots: SharedSlots
    ):
        self.slots, self._process, self._reader, self._writer = slots, process, reader, writer
        self._asked: dict[str, tuple[float, asyncio.Future[Reply]]] = {}  # session -> when, answer; oldest first
        self._drawings: dict[tuple[str, int], asyncio.Future[ChunkDrawn]] = {}  # (session, chunk)
        self._begun_s: dict[tuple[str, int], float] = {}  # since when they are drawn; oldest first
        self._heard_s = time.monotonic()
        self._lost = False

    @classmethod
    async def create(cls, rendering: Rendering, slots: int, launch: Launch) -> tuple["RenderLink", Opened]:
        """Starts the process and waits until its networks are open. Raises RenderError, and OSError when it cannot be started."""
        ours, theirs = socket.socketpair()
        memory = create_memory(slots)
        try:
            process = await launch(theirs, memory)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            shared = SharedSlots(memory)
        reader, writer = await asyncio.open_connection(sock=ours)
        link = cls(process, reader, writer, shared)
        writer.write(pack(rendering))
        try:
            async with asyncio.timeout(OPENING_S):
                opened = await link._read()
        except TimeoutError as error:
            await link.close()
            raise RenderError(
                f"the networks were not open within {OPENING_S:g} s, and their process was ended"
            ) from error
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            await link.close()
            raise RenderError("the render process ended while it opened the networks; its log is above") from error
        except BaseException:
            await link.close()
            raise
        if not isinstance(opened, Opened):
            await link.close()
            raise RenderError(opened.reason if isinstance(opened, CannotOpen) else f"unexpected {opened}")
        return link, opened

    @property
    def process_id(self) -> int:
        return self._process.pid

    @property
    def suspects(self) -> set[str]:
        """Whom it may have been working for: those whose chunks it was drawing, and the one whose request is the oldest."""
        return {session for session, _ in self._begun_s} | {
            session for session, _ in zip(self._asked, range(1), strict=False)
        }

    async def ask(self, request: OpenAvatar | MakeChunk) -> Reply:
        """The answer; a session asks one thing at a time. Raises RendererLost, and RenderError for a session's failure."""
        if self._lost:
            raise RendererLost
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._asked[request.session] = time.monotonic(), answer
        self._writer.write(pack(request))
        reply = await answer
        if isinstance(reply, AvatarFailed):
            raise RenderError(reply.reason)
        return reply

    async def make(self, request: MakeChunk) -> tuple[ChunkMade, "asyncio.Future[ChunkDrawn] | None"]:
        """A chunk's faces, and its pictures if they are drawn: both raise what `ask` raises."""
        key, drawing = (request.session, request.chunk), asyncio.get_running_loop().create_future()
        self._drawings[key] = drawing
        try:
            made = await self.ask(request)
        except BaseException:
            self._drawings.pop(key, None)
            raise
        assert isinstance(made, ChunkMade)
        if not made.drawn:
            self._drawings.pop(key, None)
        return made, drawing if made.drawn else None

    def close_avatar(self, session: str) -> None:
        self._asked.pop(session, None)
        for key in [key for key in self._drawings if key[0] == session]:
            self._drawings.pop(key).cancel()
        if not self._lost:
            self._writer.write(pack(CloseAvatar(session)))

    async def run(self, patience_s: float) -> str:
        """Takes replies until the process has died, or has not answered for `patience_s`; returns what happened."""
        reading = asyncio.create_task(self._take_replies(), name="render replies")
        watching = asyncio.create_task(self._watch(patience_s), name="render watch")
        try:
            done, _ = await asyncio.wait([reading, watching], return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            reading.cancel()
            watching.cancel()

    async def close(self) -> None:
        """Ends the process; whoever waits for an answer hears RendererLost."""
        self._lost = True
        for _, answer in self._asked.values():
            if not answer.done():
                answer.set_exception(RendererLost())
        self._asked.clear()
        for key in list(self._drawings):
            self._fail(key, RendererLost())
        self._writer.close()
        try:
            async with asyncio.timeout(0.2):
                await self._process.wait()  # it ends by itself when the socket closes
        except TimeoutError:
            with suppress(ProcessLookupError):  # it may have ended just now
                self._process.kill()
            await self._process.wait()

    async def _take_replies(self) -> str:
        while True:
            try:
                reply = await self._read()
            except (asyncio.IncompleteReadError, ConnectionError):
                return "ended by itself"
            self._heard_s = time.monotonic()
            match reply:
                case Opened() | CannotOpen():
                    continue
                case ChunkDrawn():
                    self._begun_s.pop((reply.session, reply.chunk), None)
                    drawing = self._drawings.pop((reply.session, reply.chunk), None)
                    if drawing and not drawing.done():
                        drawing.set_result(reply)
                    continue
                case AvatarFailed():
                    for key in [key for key in self._begun_s if key[0] == reply.session]:
                        self._fail(key, RenderError(reply.reason))
                case ChunkMade() if (
                    reply.drawn and reply.session in self._asked and (reply.session, reply.chunk) in self._drawings
                ):
                    self._begun_s[reply.session, reply.chunk] = self._heard_s
            _, answer = self._asked.pop(reply.session, (0.0, None))
            if answer and not answer.done():
                answer.set_result(reply)

    def _fail(self, key: tuple[str, int], error: Exception) -> None:
        """Tells whoever waits for pictures; nobody may."""
        self._begun_s.pop(key, None)
        drawing = self._drawings.pop(key, None)
        if drawing and not drawing.done():
            drawing.set_exception(error)
            drawing.exception()  # looked at, so that it is no matter if nobody waits

    async def _read(self) -> Reply:
        (size,) = HEADER.unpack(await self._reader.readexactly(HEADER.size))
        return pickle.loads(await self._reader.readexactly(size))  # type: ignore[no-any-return]

    async def _watch(self, patience_s: float) -> str:
        awake_s = float("-inf")
        while True:
            slept_from_s = time.monotonic()
            await asyncio.sleep(WATCH_PERIOD_S)
            now_s = time.monotonic()
            asked_s = next((second for second, _ in self._asked.values()), now_s)
            begun_s = next(iter(self._begun_s.values()), now_s)
            if (
                now_s - slept_from_s > 2 * WATCH_PERIOD_S
            ):  # replies may lie unread, and the other process may have stood too
                awake_s = now_s
            if now_s - max(awake_s, min(max(asked_s, self._heard_s), begun_s)) > patience_s:
                return f"did not answer for {patience_s:g} s"
