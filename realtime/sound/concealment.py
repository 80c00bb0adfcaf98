"""What stands in for sound that was lost: the last pitch period goes on and fades, as in Appendix I of ITU-T G.711."""

import numpy as np
from numpy.typing import NDArray

from flap.config import MEDIA_RATE_HZ

Sound = NDArray[np.float32]
HISTORY_SAMPLES = 2880  # 60 ms of the past are looked at
FADE_SAMPLES = 240  # 5 ms in which what was made up gives way to what came
SHORTEST_PERIOD, LONGEST_PERIOD = MEDIA_RATE_HZ // 400, MEDIA_RATE_HZ // 66
TEMPLATE_SAMPLES = 720  # 15 ms that are compared
STRIDE = 4  # of the search; pitch lies far below 6 kHz
FULL_SAMPLES, SILENT_SAMPLES = 960, 3840  # full for 20 ms, silent from 80 ms on: longer it would sound like a machine


def conceal(past: Sound, count: int, made_up: int = 0) -> Sound:
    """`count` samples at 48 kHz that go on from `past` (the last `HISTORY_SAMPLES` of it are enough) without a step.

    The last `made_up` samples of `past` were made up before: what fades goes on fading.
    """
    levels = _levels(np.arange(made_up, made_up + count))
    if made_up >= SILENT_SAMPLES:
        return levels
    if len(past) < HISTORY_SAMPLES:
        past = np.concatenate([np.zeros(HISTORY_SAMPLES - len(past), np.float32), past])
    # as loud all along as before anything was made up
    past = past[-HISTORY_SAMPLES:] / _levels(np.arange(made_up - HISTORY_SAMPLES, made_up))
    period = pitch_period(past)
    cycle, before = past[-period:].copy(), past[-2 * period : -period]
    seam = period // 4
    weight = np.linspace(0, 1, seam, dtype=np.float32)
    cycle[-seam:] = cycle[-seam:] * (1 - weight) + before[-seam:] * weight  # its end leads back to its beginning
    going_on = np.resize(cycle, count)
    step = past[-1] - past[-period - 1]
    length = min(count, FADE_SAMPLES)
    going_on[:length] += step * np.linspace(1, 0, length, dtype=np.float32)
    return going_on * levels


def _levels(places: NDArray[np.int64]) -> Sound:
    """What is left of the loudness at a place after the beginning of what is made up; all of it before."""
    return np.interp(places, (FULL_SAMPLES, SILENT_SAMPLES), (1, 0)).astype(np.float32)


def pitch_period(past: Sound) -> int:
    """Samples after which the end of `past` resembles itself most."""
    coarse = past[::STRIDE]
    template = coarse[-TEMPLATE_SAMPLES // STRIDE :]
    lags = np.arange(SHORTEST_PERIOD // STRIDE, LONGEST_PERIOD // STRIDE)
    starts = len(coarse) - len(template) - lags
    candidates = np.lib.stride_tricks.sliding_window_view(coarse, len(template))[starts]
    likeness = candidates @ template / np.sqrt((candidates**2).sum(1) + 1)
    return int(lags[int(likeness.argmax())]) * STRIDE


def cross_fade(leaving: Sound, coming: Sound) -> Sound:
    """`coming`, at whose beginning `leaving` (no longer than it) fades out."""
    mixed = coming.copy()
    weight = np.linspace(0, 1, len(leaving), endpoint=False, dtype=np.float32)
    mixed[: len(leaving)] = leaving * (1 - weight) + coming[: len(leaving)] * weight
    return mixed
