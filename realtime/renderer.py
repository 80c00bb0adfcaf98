"""The one worker thread that runs every session's networks: a session hands in a chunk and waits for it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Turns:
    """Shares a renderer that is too slow: whoever came too late is owed a turn, which the next one to ask leaves out.

    Used in the render thread alone.
    """

    def __init__(self) -> None:
        self._owed: list[str] = []

    def may_draw(self, session_id: str, in_time: bool) -> bool:
        """Whether the session draws the chunk at hand."""
        if not in_time:
            if session_id not in self._owed:
                self._owed.append(session_id)
            return False
        if session_id in self._owed:
            self._owed.remove(session_id)
            return True
        if self._owed:
            self._owed.pop(0)
            return False
        return True


class Renderer:
    """Owns the render thread and the encode thread; the event loop only waits for them."""

    def __init__(self) -> None:
        self.turns = Turns()
        self._render = ThreadPoolExecutor(1, thread_name_prefix="render")
        self._encode = ThreadPoolExecutor(1, thread_name_prefix="encode")

    async def render(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._render, lambda: work(*args, **kwargs))

    async def encode(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._encode, lambda: work(*args, **kwargs))

    def close(self) -> None:
        """Lets running work end and refuses more."""
        self._render.shutdown(wait=False, cancel_futures=True)
        self._encode.shutdown(wait=False, cancel_futures=True)
