"""Memory that ended sessions and connections leave behind goes back to the system.

Nothing is held that is not used: `tests/test_leaks.py` counts objects, tasks and descriptors. But glibc keeps what was freed in
pieces among what is in use, a little more after each session that comes and goes, for hours.
"""

import asyncio
import ctypes

EVERY_S = 60.0


def hand_back() -> None:
    """Returns freed pages to the system; does nothing where the C library is not glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)


async def keep_handing_back(every_s: float = EVERY_S) -> None:
    """Until it is cancelled; in a thread, as it takes some milliseconds without Python's lock."""
    while True:
        await asyncio.sleep(every_s)
        await asyncio.to_thread(hand_back)
