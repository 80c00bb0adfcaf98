"""Sound read at any rate and place between its samples, so that a clock that drifts is followed without a seam."""

import numpy as np
from numpy.typing import NDArray

TAPS = 16  # samples of the windowed sinc
REACH = TAPS // 2  # how many samples on either side of a place are looked at
PHASES = 1024
KAISER_BETA = 7.0  # flat to 18 kHz, images 70 dB down


def _table() -> NDArray[np.float32]:
    offsets = np.arange(TAPS) - (REACH - 1) - np.arange(PHASES + 1)[:, None] / PHASES
    window = np.i0(KAISER_BETA * np.sqrt(np.maximum(0, 1 - (offsets / REACH) ** 2))) / np.i0(KAISER_BETA)
    taps = np.sinc(offsets) * window
    return (taps / taps.sum(1, keepdims=True)).astype(np.float32)  # a constant stays what it is


TABLE = _table()


def read_between(sound: NDArray[np.float32], places: NDArray[np.float64]) -> NDArray[np.float32]:
    """The values of `sound` at `places`, each at least REACH - 1 from its beginning and REACH + 1 from its end."""
    whole = np.floor(places).astype(np.int64)
    phase = np.rint((places - whole) * PHASES).astype(np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(sound, TAPS)[whole - (REACH - 1)]
    return np.einsum("nt,nt->n", windows, TABLE[phase])
