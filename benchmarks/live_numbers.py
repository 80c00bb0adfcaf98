"""From what arrived, and when, to the numbers of `benchmarks.live`. Pure functions; seconds unless a name says otherwise."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from benchmarks.live_peer import BLOCK_S, LEVELS_A_BLOCK, Arrivals, Clock, SpokenSound
from flap.config import MEDIA_RATE_HZ

LEVEL_S = BLOCK_S / LEVELS_A_BLOCK  # one level a millisecond
WINDOW_S = 4.0  # of sound that is looked for in what was spoken
LONGEST_DELAY_S = 2.0
SMOOTHED = 10  # levels; the server reads a microphone up to 0.5 % faster or slower, 20 ms in a window, most of all after losses
LEAST_CORRELATION = 0.8  # below it the sound is not found: silence, or too much of it lost
LEAST_KNOWN = 0.5  # of a window, to be looked for
LIPS_S = 0.5  # how far lips are looked for before and after their sound
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Window:
    """A stretch of the returned sound that was found again in what was spoken."""

    stream_s: float  # when it begins, on the sound's stream
    spoken_s: float  # the monotonic second at which its first sample was spoken
    mic_to_ear_s: float  # until its first packet came back

    def spoken(self, stream_s: float) -> float:
        return self.spoken_s + stream_s - self.stream_s


def heard_windows(arrivals: Arrivals, microphone: SpokenSound) -> list[Window]:
    """Where the returned sound was spoken, a window every `WINDOW_S`."""
    blocks = arrivals.levels
    if not blocks:
        return []
    first_s = blocks[0][0]
    heard = np.full(round((blocks[-1][0] - first_s) / LEVEL_S) + LEVELS_A_BLOCK, np.nan)
    for second, _, levels in blocks:
        start = round((second - first_s) / LEVEL_S)
        heard[start : start + LEVELS_A_BLOCK] = levels
    heard = _smooth(heard)
    windows, wanted_s = [], first_s
    for second, arrival_s, _ in blocks:
        start = round((second - first_s) / LEVEL_S)
        piece = heard[start : start + round(WINDOW_S / LEVEL_S)]
        if second < wanted_s or len(piece) < WINDOW_S / LEVEL_S:
            continue
        wanted_s += WINDOW_S
        delay_s = _find(piece, microphone, arrival_s)
        if delay_s is not None:
            windows.append(Window(second, arrival_s - delay_s, delay_s))
    return windows


def _find(piece: Array, microphone: SpokenSound, arrival_s: float) -> float | None:
    """How long before `arrival_s` the first of `piece` was spoken."""
    earliest = round((arrival_s - LONGEST_DELAY_S - microphone.start_s) * MEDIA_RATE_HZ)
    if earliest < 0:
        return None
    count = round((LONGEST_DELAY_S + WINDOW_S) * MEDIA_RATE_HZ)
    samples = np.abs(microphone.spoken(earliest, count).astype(np.float64))
    spoken = samples.reshape(-1, round(LEVEL_S * MEDIA_RATE_HZ)).mean(1)
    correlations = _correlations(_smooth(spoken), piece)
    best = int(correlations.argmax())
    return None if correlations[best] < LEAST_CORRELATION else LONGEST_DELAY_S - best * LEVEL_S


def _smooth(levels: Array) -> Array:
    """Means around each level of those that came; NaN stays for those that did not."""
    came, window = ~np.isnan(levels), np.ones(SMOOTHED)
    sums, counts = (np.convolve(values, window, "same") for values in (np.where(came, levels, 0.0), came.astype(float)))
    return np.where(came, sums / np.maximum(counts, 1), np.nan)


def _correlations(long: Array, short: Array) -> Array:
    """Of what is known of `short` with every stretch of `long` that is as long; -1 when too little is known."""
    known = ~np.isnan(short)
    stretches = np.lib.stride_tricks.sliding_window_view(long, len(short))
    if known.mean() < LEAST_KNOWN:
        return np.full(len(stretches), -1.0)
    stretches, short = stretches[:, known], short[known]
    deviations = short - short.mean()
    spreads = stretches.std(1) * np.sqrt(len(short))
    scale = spreads * np.sqrt((deviations**2).sum())
    return np.asarray(stretches @ deviations / np.maximum(scale, 1e-9))


def wall_offset(clock: Clock) -> float | None:
    """Seconds from a stream's own time to its sender's wall clock. Reports are late at times, never early: the least counts."""
    return min((wall_s - second for second, wall_s in clock.reports), default=None)


def picture_to_sound(arrivals: Arrivals) -> float | None:
    """Seconds to add to a picture's stream second to have the same moment on the sound's stream."""
    pictures, sound = wall_offset(arrivals.picture_clock), wall_offset(arrivals.sound_clock)
    return None if pictures is None or sound is None else pictures - sound


def mic_to_glass_ms(arrivals: Arrivals, microphone: SpokenSound) -> list[float]:
    """From the first sample of a picture's 40 ms of sound being spoken to the picture decoded; pictures shown again do not count."""
    shift_s, windows = picture_to_sound(arrivals), heard_windows(arrivals, microphone)
    if shift_s is None or not windows:
        return []
    starts = [window.stream_s for window in windows]
    delays_ms = []
    for second, arrival_s, is_new in arrivals.pictures:
        place = int(np.searchsorted(starts, second + shift_s, side="right")) - 1
        if is_new and place >= 0 and second + shift_s < starts[place] + WINDOW_S:
            delays_ms.append(1000 * (arrival_s - windows[place].spoken(second + shift_s)))
    return delays_ms


def av_offsets_ms(arrivals: Arrivals) -> list[tuple[float, float]]:
    """(when a new picture came, how much later the sound of the same moment came; below 0: earlier)."""
    shift_s = picture_to_sound(arrivals)
    if shift_s is None or len(arrivals.levels) < 2:
        return []
    seconds, came_s = np.array([(second, arrival_s) for second, arrival_s, _ in arrivals.levels]).T
    offsets_ms = []
    for second, arrival_s, is_new in arrivals.pictures:
        place = int(np.searchsorted(seconds, second + shift_s + BLOCK_S / 2)) - 1
        if is_new and 0 <= place and abs(seconds[place] - second - shift_s) < BLOCK_S / 2:
            offsets_ms.append((arrival_s, 1000 * float(came_s[place] - arrival_s)))
    return offsets_ms


def window_medians(points: Sequence[tuple[float, float]], window_s: float) -> list[tuple[float, float]]:
    """(when a window begins, median of the values in it) for windows that are at least half covered."""
    medians: list[tuple[float, float]] = []
    window: list[tuple[float, float]] = []
    for point in [*points, (float("inf"), 0.0)]:
        if window and point[0] - window[0][0] > window_s:
            if window[-1][0] - window[0][0] > window_s / 2:
                medians.append((window[0][0], float(np.median([value for _, value in window]))))
            window = []
        window.append(point)
    return medians


def lips_lag_ms(arrivals: Arrivals) -> tuple[float, float] | None:
    """(how much later than its sound the mouth darkens, the correlation at that lag), both as they arrive."""
    if len(arrivals.mouths) < 50 or len(arrivals.levels) < 100:
        return None
    shown_s = [arrival_s for _, arrival_s, _ in arrivals.pictures]
    heard_s = [arrival_s for _, arrival_s, _ in arrivals.levels]
    times = np.arange(max(shown_s[0], heard_s[0]) + LIPS_S, min(shown_s[-1], heard_s[-1]) - LIPS_S, 0.01)
    smooth = np.ones(12) / 12  # a tenth of a second, which is what a jaw follows
    mouth = np.interp(times, shown_s, arrivals.mouths)
    level = np.convolve(
        np.interp(times, heard_s, [float(levels.mean()) for _, _, levels in arrivals.levels]), smooth, "same"
    )
    reach = round(LIPS_S / 0.01)
    inner = slice(reach, len(times) - reach)
    if len(times) < 4 * reach or not level[inner].std() or not mouth.std():
        return None
    found = [
        (float(np.corrcoef(mouth[reach + lag : len(mouth) - reach + lag], level[inner])[0, 1]), lag * 10.0)
        for lag in range(-reach, reach)
    ]
    correlation, lag_ms = max(found)
    return lag_ms, correlation


def frames_per_second(arrivals: Arrivals, seconds: float) -> float:
    """New pictures a second."""
    return sum(is_new for _, _, is_new in arrivals.pictures) / seconds


def longest_gap_ms(moments_s: Sequence[float]) -> float:
    return max((1000 * (later - earlier) for earlier, later in pairwise(moments_s)), default=0.0)


def percentiles(values: Sequence[float]) -> dict[str, float | None]:
    """None where nothing was measured."""
    if not values:
        return {"p50": None, "p95": None}
    p50, p95 = np.percentile(values, [50, 95])
    return {"p50": round(float(p50), 1), "p95": round(float(p95), 1)}


def course(seconds: Sequence[float], values: Sequence[float], every_s: float) -> list[float]:
    """Medians of `every_s` each, to a tenth; what is left at the end is left out."""
    if not seconds:
        return []
    parts = ((np.array(seconds) - seconds[0]) // every_s).astype(int)
    return [round(float(np.median(np.array(values)[parts == part])), 1) for part in range(parts[-1])]


def slope_per_hour(moments_s: Sequence[float], values: Sequence[float]) -> float | None:
    """Of the straight line through the points; None when there are fewer than three."""
    if len(values) < 3:
        return None
    hours = (np.array(moments_s) - moments_s[0]) / 3600
    return round(float(np.polyfit(hours, values, 1)[0]), 2)
