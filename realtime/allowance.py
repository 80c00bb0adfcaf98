"""How much somebody may send."""

from dataclasses import dataclass, field


@dataclass
class Allowance:
    """So many messages a second, and a burst of as many as `burst`: a token bucket."""

    per_second: float
    burst: float
    left: float = field(init=False)
    last_s: float = float("-inf")

    def __post_init__(self) -> None:
        self.left = self.burst

    def take(self, now_s: float, cost: float = 1.0) -> bool:
        """Whether one more is allowed now, which counts as `cost`."""
        if self.last_s > float("-inf"):
            self.left = min(self.burst, self.left + (now_s - self.last_s) * self.per_second)
        self.last_s = now_s
        if self.left < cost:
            return False
        self.left -= cost
        return True
