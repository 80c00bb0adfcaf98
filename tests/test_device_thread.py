"""What a device thread is told is done in order and answered, and one that hangs is waited for by nobody."""

import asyncio
import subprocess
import sys
import threading

import pytest

from realtime.outputs.device_thread import DeviceThread


def test_one_thing_is_done_after_the_other_by_one_thread_which_ends_when_it_is_closed() -> None:
    done: list[tuple[int, threading.Thread]] = []

    def do(number: int, *, fails: bool = False) -> int:
        done.append((number, threading.current_thread()))
        if fails:
            raise OSError("the device was unplugged")
        return 2 * number

    async def run() -> None:
        thread = DeviceThread()
        first, second, third = thread.do(do, 1), thread.do(do, 2, fails=True), thread.do(do, 3)
        thread.close()
        assert await first == 2
        with pytest.raises(OSError, match="unplugged"):
            await second
        assert await third == 6

    asyncio.run(run())
    (worker,) = {thread for _, thread in done}
    worker.join(5)
    assert [number for number, _ in done] == [1, 2, 3] and not worker.is_alive()


def test_what_is_cancelled_before_its_turn_is_not_done_and_what_has_begun_is_let_end() -> None:
    begun, may_end, done = threading.Event(), threading.Event(), []

    def wait() -> None:
        begun.set()
        may_end.wait(5)
        done.append("waited")

    async def run() -> None:
        thread = DeviceThread()
        waiting, never, last = thread.do(wait), thread.do(done.append, "never"), thread.do(done.append, "last")
        while not begun.is_set():
            await asyncio.sleep(0.01)
        waiting.cancel()
        never.cancel()
        may_end.set()
        await asyncio.wait_for(last, 5)
        thread.close()

    asyncio.run(run())
    assert done == ["waited", "last"]


HANGS = """
import asyncio, time
from realtime.outputs.device_thread import DeviceThread

async def main():
    thread = DeviceThread()
    opening = thread.do(time.sleep, {seconds})
    await asyncio.sleep(0.1)
    thread.close()

asyncio.run(main())
time.sleep({then_s})
"""


@pytest.mark.parametrize(("seconds", "then_s"), [(60, 0), (0.5, 1)])
def test_a_process_ends_while_a_call_hangs_and_an_answer_after_the_end_of_the_loop_is_nobodys(
    seconds: float, then_s: float
) -> None:
    program = [sys.executable, "-c", HANGS.format(seconds=seconds, then_s=then_s)]
    ended = subprocess.run(program, capture_output=True, text=True, timeout=20, check=True)
    assert ended.stderr == ""
