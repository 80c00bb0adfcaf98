"""48 kHz to 16 kHz for what the networks hear: a causal low-pass and every third sample."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flap.config import MEDIA_RATE_HZ, SAMPLE_RATE_HZ, exact_div

FACTOR = exact_div(MEDIA_RATE_HZ, SAMPLE_RATE_HZ)
TAPS = 48  # group delay 23.5 samples, half a millisecond
CUTOFF = 7_200 / MEDIA_RATE_HZ


def _low_pass() -> NDArray[np.float32]:
    n = np.arange(TAPS) - (TAPS - 1) / 2
    taps = np.sinc(2 * CUTOFF * n) * np.hamming(TAPS)
    return (taps / taps.sum()).astype(np.float32)


LOW_PASS = _low_pass()


@dataclass(frozen=True)
class ResamplerState:
    tail: NDArray[np.float32]  # [TAPS - 1] samples already seen


class Resampler:
    """int16 at 48 kHz to float in -1..1 at 16 kHz."""

    def init_state(self) -> ResamplerState:
        return ResamplerState(np.zeros(TAPS - 1, np.float32))

    def step(self, samples: NDArray[np.int16], state: ResamplerState) -> tuple[NDArray[np.float32], ResamplerState]:
        """`samples` `[n]`, n a multiple of 3, to `[n / 3]`."""
        seen = np.concatenate([state.tail, samples.astype(np.float32) / 32_768])
        windows = np.lib.stride_tricks.sliding_window_view(seen, TAPS)[::FACTOR]
        return windows @ LOW_PASS, ResamplerState(seen[len(seen) - (TAPS - 1) :])
