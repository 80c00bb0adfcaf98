"""How alike pictures are: their peak signal-to-noise ratio, of levels from 0 to 255."""

import numpy as np
from numpy.typing import NDArray

MOST_DB = 60.0  # of the same picture


def psnr_db(a: NDArray[np.uint8], b: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None) -> float:
    """Of pictures `[..., h, w, 3]`, over `mask` `[h, w]` where given; capped at MOST_DB."""
    return min(MOST_DB, decibels(mean_square(a, b, mask)))


def mean_square(a: NDArray[np.uint8], b: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None) -> float:
    squared = (a.astype(np.float64) - b) ** 2
    return float(squared.mean() if mask is None else squared[mask].mean())


def decibels(mean_square: float) -> float:
    return float(10 * np.log10(255**2 / max(mean_square, 1e-9)))
