"""A thread for what may hang for good: a device of this machine. Executors' threads are waited for when the process ends, this is not."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class DeviceThread:
    """Does one thing after the other, on behalf of the event loop in which it is made; ends after what it was told before `close`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._work: SimpleQueue[tuple[asyncio.Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        threading.Thread(target=self._do_all, name="device", daemon=True).start()

    def do(self, call: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> "asyncio.Future[R]":
        """What `call` returns or raises. One that is cancelled before its turn is not called."""
        answer: asyncio.Future[R] = self._loop.create_future()
        self._work.put((answer, lambda: call(*arguments, **named)))
        return answer

    def close(self) -> None:
        self._work.put(None)

    def _do_all(self) -> None:
        while work := self._work.get():
            answer, call = work
            if answer.cancelled():
                continue
            try:
                self._tell(answer, answer.set_result, call())
            except Exception as error:
                self._tell(answer, answer.set_exception, error)

    def _tell(self, answer: "asyncio.Future[Any]", tell: Callable[[Any], None], what: Any) -> None:
        def told() -> None:
            if not answer.done():
                tell(what)

        with suppress(RuntimeError):  # the loop has been closed: nobody waits any more
            self._loop.call_soon_threadsafe(told)
