"""One media clock a session: frame and sample numbers, and when they are due on the monotonic clock."""

import asyncio
import time
from dataclasses import dataclass, replace

from flap.config import FRAME_RATE_HZ, MEDIA_RATE_HZ, exact_div

BLOCK_SAMPLES = exact_div(MEDIA_RATE_HZ, 50)  # 20 ms of sound, one Opus packet
BLOCKS_PER_FRAME = exact_div(50, FRAME_RATE_HZ)
# By how much what is heard may be slower or faster than it was said. It is a change of tempo alone, receivers stretch sound without
# changing its pitch, and listeners notice about 5 % (Quene 2007, Journal of Phonetics 35). Too little delay costs pictures, so
# that is made up for sooner.
SLOWER, FASTER = 0.02, 0.005


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

    def towards(self, delay_s: float) -> "MediaClock":
        """The clock after another block: its delay is nearer to `delay_s`."""
        block_s = BLOCK_SAMPLES / MEDIA_RATE_HZ
        step_s = min(max(delay_s - self.delay_s, -FASTER * block_s), SLOWER * block_s)
        return replace(self, delay_s=self.delay_s + step_s) if step_s else self


async def sleep_until(due_s: float) -> float:
    """Waits for a monotonic second and returns how late it woke, in seconds."""
    wait_s = due_s - time.monotonic()
    if wait_s > 0:
        await asyncio.sleep(wait_s)
    return time.monotonic() - due_s
