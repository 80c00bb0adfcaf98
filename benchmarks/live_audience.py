"""The process with the viewers (`benchmarks/live_viewers.py`), seen from the benchmark."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil

from benchmarks.machine import REPOSITORY

JOIN_S = 60.0
ANSWER_S = 20.0


class Viewers:
    """What they see, and what they take of the processor."""

    def __init__(self, process: asyncio.subprocess.Process):
        self._process, self._watched = process, psutil.Process(process.pid)
        self._cpu_s = 0.0

    async def report(self) -> dict[str, float]:
        """What they saw since the last time. Raises TimeoutError when they do not answer."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(b"\n")
        times = self._watched.cpu_times()
        self._last_cpu_s, self._cpu_s = self._cpu_s, times.user + times.system
        async with asyncio.timeout(ANSWER_S):
            return json.loads(await self._process.stdout.readline())  # type: ignore[no-any-return]

    def core_share(self, seconds: float) -> float:
        """What they took between the last two reports."""
        return (self._cpu_s - self._last_cpu_s) / seconds


@asynccontextmanager
async def viewers(url: str, session_id: str, count: int) -> AsyncIterator[Viewers]:
    """`count` viewers that have all seen a frame; they leave at the end, and are ended when they do not."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.live_viewers", url, session_id, str(count), cwd=REPOSITORY,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin and process.stdout
    try:
        async with asyncio.timeout(JOIN_S):
            if not await process.stdout.readline():
                raise RuntimeError("the viewers could not join")
        yield Viewers(process)
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(ANSWER_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
