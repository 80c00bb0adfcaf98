"""How close graphs come to the bundle's own: signal over difference of tensors, PSNR of frames and mouths, and the floors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.engine import Array

CAP_DB = 120.0  # what equal tensors count as; every bit of a float32 is about 140


@dataclass(frozen=True)
class Floor:
    """The least that a precision must reach in dB."""

    graph: float  # of each graph on the same inputs, its worst output
    frames: float  # of whole streams, each with its own past
    mouth: float


FLOORS = {
    "torch": Floor(graph=60, frames=50, mouth=50),
    "fp16": Floor(graph=45, frames=42, mouth=40),
    "int8": Floor(graph=20, frames=36, mouth=34),
    "tensorrt": Floor(graph=40, frames=40, mouth=38),
}


@dataclass(frozen=True)
class Likeness:
    """PSNR of frames and of mouth crops in dB, of the number of steps at which it is lowest."""

    frames_db: float
    mouth_db: float

    def shortfalls(self, floor: Floor) -> list[str]:
        """What lies below `floor`, in words."""
        measured = (("frames", self.frames_db, floor.frames), ("mouth crops", self.mouth_db, floor.mouth))
        return [f"{what} {db:.1f} dB, below {least:g} dB" for what, db, least in measured if not db >= least]


def decibels(signal: float, difference: float) -> float:
    """Power of a signal over power of a difference; CAP_DB when there is none, NaN when there is no number."""
    if difference == 0:
        return CAP_DB
    db = float(10 * np.log10(max(signal, 1e-30) / difference))
    return CAP_DB if db > CAP_DB else db


def signal_to_difference_db(made: Sequence[Mapping[str, Array]], wanted: Sequence[Mapping[str, Array]]) -> float:
    """Over all runs of a graph, the output that fares worst."""
    worst = CAP_DB
    for name in wanted[0]:
        ours, theirs = (np.stack([run[name] for run in runs]).astype(np.float64) for runs in (made, wanted))
        worst = min(worst, decibels(float((theirs**2).mean()), float(((ours - theirs) ** 2).mean())), key=_nan_first)
    return worst


def _nan_first(db: float) -> float:
    return -np.inf if np.isnan(db) else db


class SquaredError:
    """Collects frames against frames."""

    def __init__(self) -> None:
        self._sums: dict[int, list[float]] = {}

    def add(self, steps: int, ours: NDArray[np.uint8], theirs: NDArray[np.uint8], mouth: NDArray[np.bool_]) -> None:
        squared = (ours.astype(np.float32) - theirs) ** 2
        sums = self._sums.setdefault(steps, [0.0] * 4)
        for i, values in enumerate((squared, squared[mouth])):
            sums[2 * i] += float(values.sum(dtype=np.float64))
            sums[2 * i + 1] += values.size

    def likeness(self) -> Likeness:
        worst = [
            min(decibels(255.0**2, sums[2 * i] / max(1, sums[2 * i + 1])) for sums in self._sums.values())
            for i in range(2)
        ]
        return Likeness(*worst)
