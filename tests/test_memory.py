"""What was freed in pieces goes back to the system, and what stays for good costs no collection of garbage."""

import asyncio
import platform
import subprocess
import sys

import psutil
import pytest

from realtime.memory import hand_back, keep_handing_back

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps freed pages like that")


def resident_mb() -> float:
    return psutil.Process().memory_info().rss / 2**20


def freed_in_pieces() -> list[bytearray]:
    """A hundred megabytes of which every hundredth piece stays."""
    return [bytearray(5000) for _ in range(20_000)][::100]


def test_pages_between_what_is_in_use_go_back() -> None:
    kept = freed_in_pieces()
    before = resident_mb()
    hand_back()
    assert resident_mb() < before - 30 and len(kept) == 200


def test_it_goes_on_until_it_is_cancelled() -> None:
    async def run() -> None:
        kept = freed_in_pieces()
        before, task = resident_mb(), asyncio.create_task(keep_handing_back(every_s=0.05))
        async with asyncio.timeout(10):
            while resident_mb() > before - 30:
                await asyncio.sleep(0.02)
        assert not task.done() and kept
        task.cancel()

    asyncio.run(run())


SETTLED = """
import gc, time, weakref
from realtime.memory import hand_back, settle

class Circle: pass

kept = [[] for _ in range(1_000_000)]
settle()
def seconds():
    started_s = time.perf_counter()
    gc.collect()
    return time.perf_counter() - started_s
settled_s = seconds()
circle = Circle()
circle.itself, ended = circle, weakref.ref(circle)
gc.collect(1)
gc.collect(1)  # it is among the old ones now, which only a whole collection looks at
del circle
made = [[] for _ in range(200_000)]
assert ended() is None, "what came lately is collected by itself"
circle = Circle()
circle.itself, ended = circle, weakref.ref(circle)
del circle
hand_back()
assert ended() is None
gc.unfreeze()
assert settled_s < seconds() / 10
"""


def test_a_settled_process_collects_what_came_later_at_a_fraction_of_the_cost() -> None:
    subprocess.run([sys.executable, "-c", SETTLED], check=True, timeout=60)
