"""Learning rates."""

import math

WARMUP_STEPS = 200


def cosine_rate(peak: float, step: int, fraction: float) -> float:
    """Linear warm-up, then a half cosine down to 1 % of `peak` as `fraction` of the run goes to 1."""
    return (
        peak * min(1.0, (step + 1) / WARMUP_STEPS) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(fraction, 1.0))))
    )
