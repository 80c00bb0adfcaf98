"""`run_server.py` as a process that is watched from outside: its processor time, its memory, its log."""

import asyncio
import re
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psutil

from benchmarks.machine import REPOSITORY

READY_S = 60.0
# one address asks for everything here, and numbers of one size of pictures say nothing of the other
SETTINGS = ("--port=0", "--requests-per-minute=1000000", "--max-viewers=64", "--picture-size=256")
FAULT_LINES = 40
FAULTS = ("Traceback (most recent call last)", "was never retrieved", "Task was destroyed")


@dataclass(frozen=True)
class Sample:
    """Processor seconds since the start, and memory in use, of server and renderer."""

    second: float
    media_cpu_s: float
    render_cpu_s: float
    memory_mb: float


class WatchedServer:
    """Owns the process and the folder with its log; an asynchronous context from start to end."""

    def __init__(self, *options: str):
        self._options = options
        self._folder = tempfile.TemporaryDirectory()
        self._log = Path(self._folder.name) / "log"
        self._dead_cpu_s = 0.0  # of renderers that have ended
        self._render_cpu_s: dict[int, float] = {}
        self.url = ""

    async def __aenter__(self) -> "WatchedServer":
        command = [
            sys.executable,
            "run_server.py",
            *SETTINGS,
            f"--presenters-folder={self._folder.name}/presenters",
            *self._options,
        ]
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE, stderr=log
            )
        try:
            self.url = await self._ready()
        except BaseException:
            await self._end()
            raise
        self._watched = psutil.Process(self._process.pid)
        return self

    async def _ready(self) -> str:
        assert self._process.stdout
        async with asyncio.timeout(READY_S):
            line = (await self._process.stdout.readline()).decode()
        ready = re.search(r"ready: (http://\S+?)/\s", line)
        if not ready:
            raise RuntimeError(f"the server did not start: {self._log.read_text()[-2000:]}")
        return ready[1]

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def _end(self) -> None:
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), 20)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        self._folder.cleanup()

    def renderer(self) -> psutil.Process:
        """Raises StopIteration while there is none."""
        return next(
            child for child in self._watched.children() if "realtime.render.process" in " ".join(child.cmdline())
        )

    def renderer_id(self) -> int | None:
        """Its process id; None while there is none, or while it is being started."""
        with suppress(StopIteration, psutil.Error):
            return self.renderer().pid
        return None

    def sample(self) -> Sample:
        media = self._watched.cpu_times()
        memory = self._watched.memory_info().rss
        for child in self._watched.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                times = child.cpu_times()
                self._render_cpu_s[child.pid] = times.user + times.system
                memory += child.memory_info().rss
        return Sample(time.monotonic(), media.user + media.system, sum(self._render_cpu_s.values()), memory / 2**20)

    def faults(self) -> list[str]:
        """What the log says of each exception that nobody had foreseen."""
        lines = self._log.read_text(errors="replace").splitlines()
        found = [number for number, line in enumerate(lines) if any(fault in line for fault in FAULTS)]
        return ["\n".join(lines[max(0, number - 1) : number + FAULT_LINES]) for number in found]
