"""Noise schedule and few-step sampler: v-prediction on a variance-preserving path that ends in pure noise.

x_t = cos(t) x0 + sin(t) noise for t in [0, pi/2]; v = cos(t) noise - sin(t) x0, so x0 = cos(t) x_t - sin(t) v.
Equation 4 of the paper (noise prediction) is the same objective weighted by cos(t)^2: |noise error| = cos(t) |v error|.
Every function works on numpy arrays and torch tensors alike.
"""

import math
from collections.abc import Callable
from functools import cache
from itertools import accumulate
from operator import mul
from typing import TypeVar

T = TypeVar("T")

PURE_NOISE = math.pi / 2
MIDPOINT = 1.1  # rad; where the second of two steps starts
OBJECTIVES = ("velocity", "epsilon")
TIMESTEPS = {1: (PURE_NOISE,), 2: (PURE_NOISE, MIDPOINT), 4: (PURE_NOISE, 1.25, 0.9, 0.5)}


def timesteps(steps: int, last_level: float = PURE_NOISE) -> tuple[float, ...]:
    """Start of each step, descending, radians; raises ValueError for fewer than one step.

    A network that knows no level above `last_level` is started there.
    """
    if steps < 1:
        raise ValueError("a sampler takes at least one step")
    times = TIMESTEPS.get(steps) or tuple(last_level * (1 - i / steps) for i in range(steps))
    return tuple(min(t, last_level) for t in times)


@cache
def stable_diffusion_levels(zero_terminal_snr: bool) -> tuple[float, ...]:
    """The level in radians of each of Stable Diffusion's 1000 timesteps, ascending; the last is 1.50 (SNR 0.0047).

    With `zero_terminal_snr` signal rates are shifted and scaled so that the last is pure noise (arXiv 2305.08891, 3.2).
    """
    first, last = math.sqrt(0.00085), math.sqrt(0.012)
    kept = accumulate((1 - (first + (last - first) * i / 999) ** 2 for i in range(1000)), mul)
    signal = [math.sqrt(value) for value in kept]
    if zero_terminal_snr:
        signal = [(value - signal[-1]) * signal[0] / (signal[0] - signal[-1]) for value in signal]
    return tuple(math.acos(value) for value in signal)


def add_noise(clean: T, noise: T, t: T | float, cos: Callable = math.cos, sin: Callable = math.sin) -> T:
    """x_t from the clean latent and noise."""
    return cos(t) * clean + sin(t) * noise  # type: ignore[operator, no-any-return]


def velocity(clean: T, noise: T, t: T | float, cos: Callable = math.cos, sin: Callable = math.sin) -> T:
    """The target v of a v-predicting network."""
    return cos(t) * noise - sin(t) * clean  # type: ignore[operator, no-any-return]


def clean_from_velocity(noisy: T, v: T, t: T | float, cos: Callable = math.cos, sin: Callable = math.sin) -> T:
    """x0 from x_t and v."""
    return cos(t) * noisy - sin(t) * v  # type: ignore[operator, no-any-return]


def noise_from_velocity(noisy: T, v: T, t: T | float, cos: Callable = math.cos, sin: Callable = math.sin) -> T:
    """The noise in x_t from x_t and v."""
    return sin(t) * noisy + cos(t) * v  # type: ignore[operator, no-any-return]


def velocity_from_noise(noisy: T, noise: T, t: T | float, cos: Callable = math.cos, sin: Callable = math.sin) -> T:
    """v from x_t and the noise in it; at pure noise there is no answer."""
    return (noise - sin(t) * noisy) / cos(t)  # type: ignore[operator, no-any-return]


def loss_weight(t: T | float, objective: str, cos: Callable = math.cos) -> T | float:
    """What the squared error of v is weighted by: 1, or cos(t)^2, which makes it the squared error of the noise (Eq. 4)."""
    if objective not in OBJECTIVES:
        raise ValueError(f"unknown objective {objective!r}: choose one of {', '.join(OBJECTIVES)}")
    return cos(t) ** 2 if objective == "epsilon" else 1.0  # type: ignore[no-any-return]


def sample(predict_velocity: Callable[[T, float], T], noise: T, steps: int, last_level: float = PURE_NOISE) -> T:
    """Denoises from pure noise, adding the same `noise` back between steps so that a still face stays still."""
    noisy, clean = noise, noise
    times = (*timesteps(steps, last_level), 0.0)
    for now, after in zip(times[:-1], times[1:], strict=True):
        clean = clean_from_velocity(noisy, predict_velocity(noisy, now), now)
        noisy = add_noise(clean, noise, after)
    return clean
