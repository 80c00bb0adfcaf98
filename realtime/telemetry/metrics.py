"""What the server measures of itself."""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from flap.config import FRAME_RATE_HZ
from realtime.render.quality import Level

WINDOW_FRAMES = 250
LATENCY_BOUNDS_S = (0.08, 0.12, 0.16, 0.2, 0.24, 0.28, 0.32, 0.36, 0.4, 0.5, 0.7, 1.0, 2.0)
MAX_PENDING_COMMANDS = 64
PERCENTILES = (50, 95, 99)


def percentiles(values: Iterable[float]) -> dict[str, float]:
    """p50, p95 and p99; zeros when nothing was measured yet."""
    measured = list(values)
    found = np.percentile(measured, PERCENTILES) if measured else np.zeros(len(PERCENTILES))
    return {f"p{share}": round(float(value), 1) for share, value in zip(PERCENTILES, found, strict=True)}


@dataclass
class Histogram:
    """Counts since the start of values up to each bound, and beyond the last."""

    bounds: tuple[float, ...] = LATENCY_BOUNDS_S
    counts: list[int] = field(init=False)
    sum: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


def window() -> "deque[float]":
    return deque(maxlen=WINDOW_FRAMES)


@dataclass
class Latency:
    """Of pictures or commands: a window over the last ones, in milliseconds, and a histogram since the start, in seconds."""

    recent_ms: deque[float] = field(default_factory=window)
    histogram: Histogram = field(default_factory=Histogram)

    def observe(self, seconds: float) -> None:
        self.recent_ms.append(1000 * seconds)
        self.histogram.observe(seconds)


@dataclass
class SessionMetrics:
    """Counters since the start and windows over the last ten seconds; owned by one session."""

    frames_sent: int = 0
    repeated_frames: int = 0  # shown again because the next one was not ready
    skipped_frames: int = 0  # not shown because the server woke too late
    standby: bool = False  # the standby picture is shown because no picture comes
    drawn_chunks: int = 0
    left_out_chunks: int = 0  # not drawn because half the frame rate is enough
    level: Level = Level(1)  # of the quality ladder
    rung: int = 0  # which one that is, 0 the best
    dropped_chunks: int = 0  # not rendered because they would have been late
    commands_refused: int = 0
    mic_to_frame: Latency = field(default_factory=Latency)  # a sound arrives -> its picture leaves
    # a command arrives -> the first picture that it acts on leaves
    command_to_frame: Latency = field(default_factory=Latency)
    # how much later a sound leaves than the picture of its moment
    av_offset_ms: deque[float] = field(default_factory=window)
    render_ms: deque[float] = field(default_factory=window)
    stage_ms: dict[str, deque[float]] = field(default_factory=dict)
    fresh_frames_s: deque[float] = field(default_factory=window)
    # (second, total by then), one a second
    sent_bytes: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=5))
    _came_s: dict[tuple[str, str], float] = field(default_factory=dict)  # (operator, command) -> when
    _acting: list[tuple[int, float]] = field(default_factory=list)  # (frame from which a command acts, when it came)

    @property
    def late_frames(self) -> int:
        return self.repeated_frames + self.skipped_frames

    def frames_per_second(self, now_s: float, window_s: float = 4.0) -> float:
        """New pictures a second over the last seconds, held ones not counted."""
        recent = sum(second > now_s - window_s for second in self.fresh_frames_s)
        return round(recent / min(window_s, now_s - self.fresh_frames_s[0]), 1) if recent > 1 else 0.0

    @property
    def kilobits_per_second(self) -> float:
        """Sent to everybody over the last seconds."""
        if len(self.sent_bytes) < 2:
            return 0.0
        (first_s, first), (last_s, last) = self.sent_bytes[0], self.sent_bytes[-1]
        return round((last - first) * 8 / 1000 / (last_s - first_s), 1)

    def record_stages(self, stage_ms: dict[str, float]) -> None:
        for name, value in stage_ms.items():
            self.stage_ms.setdefault(name, window()).append(value)

    def record_render(self, stage_ms: dict[str, float]) -> None:
        self.drawn_chunks += 1
        self.record_stages(stage_ms)
        self.render_ms.append(sum(stage_ms.values()))

    def record_frame(self, now_s: float, arrived_s: float | None) -> None:
        """A new picture leaves now; `arrived_s` is when its sound came, if it came."""
        self.fresh_frames_s.append(now_s)
        if arrived_s is not None:
            self.mic_to_frame.observe(now_s - arrived_s)

    def record_offset(self, sound_s: float, picture_s: float, held_frames: int) -> None:
        """A sound left at `sound_s`; at `picture_s` left a picture whose moment was `held_frames` earlier."""
        self.av_offset_ms.append(1000 * (sound_s - picture_s) - 1000 * held_frames / FRAME_RATE_HZ)

    def command_came(self, operator: str, command: str, now_s: float) -> None:
        if len(self._came_s) >= MAX_PENDING_COMMANDS:  # of some nothing is heard: they act at once, or never
            self._came_s.pop(next(iter(self._came_s)))
        self._came_s[operator, command] = now_s

    def command_acts(self, operator: str, command: str, frame: int) -> None:
        """From `frame` on, which is not shown yet."""
        came_s = self._came_s.pop((operator, command), None)
        if came_s is not None and len(self._acting) < MAX_PENDING_COMMANDS:
            self._acting.append((frame, came_s))

    def record_commands(self, shown_frame: int, now_s: float) -> None:
        """The picture of `shown_frame` leaves now."""
        for frame, came_s in self._acting:
            if frame <= shown_frame:
                self.command_to_frame.observe(now_s - came_s)
        self._acting = [pending for pending in self._acting if pending[0] > shown_frame]

    def forget_commands(self) -> None:
        """Nobody watches: what they do is not seen."""
        self._acting.clear()
