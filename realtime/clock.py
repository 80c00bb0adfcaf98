"""One media clock a session: frame and sample numbers, and when they are due on the monotonic clock."""

import asyncio
import time
from dataclasses import dataclass

from flap.config import FRAME_RATE_HZ, MEDIA_RATE_HZ, exact_div

BLOCK_SAMPLES = exact_div(MEDIA_RATE_HZ, 50)  # 20 ms of sound, one Opus packet
BLOCKS_PER_FRAME = exact_div(50, FRAME_RATE_HZ)


@dataclass(frozen=True)
class MediaClock:
    """`start_s` is the monotonic second at which sample 0 was heard; what is heard is shown `delay_s` later."""

    start_s: float
    delay_s: float

    def heard_s(self, frame: int) -> float:
        """When the sound of `frame` begins to arrive."""
        return self.start_s + frame / FRAME_RATE_HZ

    def shown_s(self, block: int) -> float:
        """When the 20 ms `block`, and the frame that begins with it, leaves for the viewers."""
        return self.start_s + self.delay_s + block / 50

    def hearing_frame_at(self, now_s: float) -> int:
        """The frame whose sound is being heard at `now_s`."""
        return int((now_s - self.start_s) * FRAME_RATE_HZ // 1)

    def frame_at(self, now_s: float) -> int:
        """The frame that is on show at `now_s`."""
        return int((now_s - self.start_s - self.delay_s) * FRAME_RATE_HZ // 1)


async def sleep_until(due_s: float) -> float:
    """Waits for a monotonic second and returns how late it woke, in seconds."""
    wait_s = due_s - time.monotonic()
    if wait_s > 0:
        await asyncio.sleep(wait_s)
    return time.monotonic() - due_s
