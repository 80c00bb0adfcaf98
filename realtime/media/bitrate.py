"""How many bits a second pictures may take, from what receivers report as lost (RTCP, RFC 3550, 6.4.1).

There is one encode for all: the rate goes down when more than half of those who watch lose much, and a slow one never slows the
others. It goes up again after a while without losses; a step up that does not last doubles the while that the next one needs.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from flap.config import FINE_SIZE, IMAGE_SIZE

# bits a second, the best first; finer pictures are smoother, and the way of somebody far away is no wider for them
RATES = {IMAGE_SIZE: (700_000, 450_000, 300_000), FINE_SIZE: (1_400_000, 700_000, 300_000)}
MUCH, LITTLE = 0.1, 0.02  # of the packets; what lies between is what sending twice is for (`repair.py`)
DOWN_S, UP_S, LONGEST_UP_S = 3.0, 10.0, 160.0
LASTED_S = 30.0  # a step up that lasted so long was right


@dataclass(frozen=True)
class Bitrate:
    """A value; `step` makes the next one."""

    level: int = 0  # in `rates`
    since_s: float = 0.0  # when what is reported became much, or little
    reported: int = 0  # 1 much, -1 little, 0 neither
    up_s: float = UP_S  # how long little has to last
    went_up_s: float = float("-inf")
    rates: tuple[int, ...] = RATES[IMAGE_SIZE]

    @property
    def bits_per_second(self) -> int:
        return self.rates[self.level]


def step(bitrate: Bitrate, lost: Iterable[float], now_s: float) -> Bitrate:
    """At second `now_s`, with the shares that everybody who watches loses (0 for one who says nothing)."""
    shares = sorted(lost)
    middle = shares[(len(shares) - 1) // 2] if shares else 0.0
    reported = 1 if middle > MUCH else -1 if middle < LITTLE else 0
    if reported != bitrate.reported:
        return replace(bitrate, reported=reported, since_s=now_s)
    lasted_s = now_s - bitrate.since_s
    if reported > 0 and lasted_s >= DOWN_S and bitrate.level < len(bitrate.rates) - 1:
        hasty = now_s - bitrate.went_up_s < LASTED_S
        up_s = min(2 * bitrate.up_s, LONGEST_UP_S) if hasty else UP_S
        return replace(bitrate, level=bitrate.level + 1, since_s=now_s, reported=reported, up_s=up_s)
    if reported < 0 and lasted_s >= bitrate.up_s and bitrate.level > 0:
        return replace(bitrate, level=bitrate.level - 1, since_s=now_s, went_up_s=now_s)
    return bitrate
