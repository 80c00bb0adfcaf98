"""The one worker thread that runs every session's networks, first come first served.

A session hands in one chunk at a time and waits for it, so sessions take turns.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Renderer:
    """Owns the render thread and the encode thread; the event loop only waits for them."""

    def __init__(self) -> None:
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
