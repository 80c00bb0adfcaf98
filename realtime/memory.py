"""Memory that ended sessions and connections leave behind goes back to the system.

Nothing is held that is not used: `tests/test_leaks.py` counts objects, tasks and descriptors. But what refers to itself in a
circle, as connections do, stays until Python's garbage is collected, and glibc keeps what was freed in pieces among what is in
use, a little more after each session that comes and goes, for hours.
"""

import asyncio
import ctypes
import gc

EVERY_S = 60.0


def settle() -> None:
    """Leaves all that is there now, which lives as long as the process, out of every later collection of garbage.

    One that looks at all of it stops the process for a tenth of a second, which is several pictures, and Python puts it off
    until a quarter more has come. What sessions make is looked at in milliseconds.
    """
    gc.collect()
    gc.freeze()
    gc.collect()  # Python counts anew what a quarter is of


def hand_back() -> None:
    """Collects garbage, and returns freed pages to the system where the C library is glibc."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)


async def keep_handing_back(every_s: float = EVERY_S) -> None:
    """Until it is cancelled; in a thread, as the system takes some milliseconds, without Python's lock."""
    while True:
        await asyncio.sleep(every_s)
        await asyncio.to_thread(hand_back)
