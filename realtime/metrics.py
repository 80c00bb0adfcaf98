"""What the server measures of itself."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from realtime.quality import Level

WINDOW_FRAMES = 250


def percentiles(values: Iterable[float]) -> dict[str, float]:
    """p50 and p95; zeros when nothing was measured yet."""
    measured = list(values)
    if not measured:
        return {"p50": 0.0, "p95": 0.0}
    p50, p95 = np.percentile(measured, [50, 95])
    return {"p50": round(float(p50), 1), "p95": round(float(p95), 1)}


@dataclass
class SessionMetrics:
    """Counters since the start and windows over the last ten seconds; owned by one session."""

    frames_sent: int = 0
    late_frames: int = 0  # shown again because the next one was not ready
    standby: bool = False  # the standby picture is shown because no picture comes
    drawn_chunks: int = 0
    left_out_chunks: int = 0  # not drawn because half the frame rate is enough
    level: Level = Level(1)  # of the quality ladder
    dropped_chunks: int = 0  # not rendered because they would have been late
    commands_refused: int = 0
    mic_to_frame_ms: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW_FRAMES))
    render_ms: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW_FRAMES))
    stage_ms: dict[str, deque[float]] = field(default_factory=dict)
    fresh_frames_s: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW_FRAMES))

    def frames_per_second(self, now_s: float, window_s: float = 4.0) -> float:
        """New pictures a second over the last seconds, held ones not counted."""
        recent = sum(second > now_s - window_s for second in self.fresh_frames_s)
        return round(recent / min(window_s, now_s - self.fresh_frames_s[0]), 1) if recent > 1 else 0.0

    def record_stages(self, stage_ms: dict[str, float]) -> None:
        for name, value in stage_ms.items():
            self.stage_ms.setdefault(name, deque(maxlen=WINDOW_FRAMES)).append(value)

    def record_render(self, stage_ms: dict[str, float]) -> None:
        self.drawn_chunks += 1
        self.record_stages(stage_ms)
        self.render_ms.append(sum(stage_ms.values()))

    def record_frame(self, now_s: float, arrived_s: float | None) -> None:
        """A new picture leaves now; `arrived_s` is when its sound came, if it came."""
        self.fresh_frames_s.append(now_s)
        if arrived_s is not None:
            self.mic_to_frame_ms.append((now_s - arrived_s) * 1000)


def prometheus(sessions: dict[str, SessionMetrics], viewers: dict[str, int], refused: dict[str, int]) -> str:
    """The Prometheus text format (version 0.0.4)."""
    lines = ["# TYPE flap_sessions gauge", f"flap_sessions {len(sessions)}"]
    counters = ("frames_sent", "late_frames", "drawn_chunks", "left_out_chunks", "dropped_chunks", "commands_refused")
    for name in counters:
        lines.append(f"# TYPE flap_{name}_total counter")
        lines += [f'flap_{name}_total{{session="{key}"}} {getattr(m, name)}' for key, m in sessions.items()]
    for name in ("mic_to_frame_ms", "render_ms"):
        lines.append(f"# TYPE flap_{name} gauge")
        for key, metrics in sessions.items():
            for quantile, value in percentiles(getattr(metrics, name)).items():
                lines.append(f'flap_{name}{{session="{key}",quantile="0.{quantile[1:]}"}} {value}')
    lines.append("# TYPE flap_stage_ms gauge")
    for key, metrics in sessions.items():
        for stage, values in metrics.stage_ms.items():
            lines.append(
                f'flap_stage_ms{{session="{key}",stage="{stage}",quantile="0.50"}} {percentiles(values)["p50"]}'
            )
    for name, value_of in (
        ("steps", lambda level: level.steps),
        ("target_frames_per_second", lambda level: level.frames_per_second),
    ):
        lines.append(f"# TYPE flap_quality_{name} gauge")
        lines += [f'flap_quality_{name}{{session="{key}"}} {value_of(m.level)}' for key, m in sessions.items()]
    lines.append("# TYPE flap_viewers gauge")
    lines += [f'flap_viewers{{session="{key}"}} {count}' for key, count in viewers.items()]
    lines.append("# TYPE flap_requests_refused_total counter")
    lines += [f'flap_requests_refused_total{{code="{code}"}} {count}' for code, count in refused.items()]
    return "\n".join(lines) + "\n"


def mocap_prometheus(received: Mapping[str, int], refused: Mapping[str, int]) -> str:
    """What has come to the ports of face-tracking apps."""
    lines = []
    for name, counts in (("received", received), ("refused", refused)):
        lines.append(f"# TYPE flap_mocap_packets_{name}_total counter")
        lines += [f'flap_mocap_packets_{name}_total{{source="{source}"}} {count}' for source, count in counts.items()]
    return "\n".join(lines) + "\n"
