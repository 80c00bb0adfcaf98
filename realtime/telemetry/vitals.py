"""How a session is, beside what it counts itself: who watches, what waits, what was dropped and sent."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from realtime.protocol.events import Stats
from realtime.telemetry.metrics import SessionMetrics, percentiles

LOCAL_CODECS = ("RGB", "PCM")  # what never leaves the machine


@dataclass(frozen=True)
class Vitals:
    """At one moment."""

    viewers: int = 0
    delay_ms: float = 0.0
    # queue -> items that wait, of several of a kind the longest
    queued: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)  # queue -> items since the start
    sent_bytes: Mapping[str, int] = field(default_factory=dict)  # codec -> to all viewers, since the start
    repeated_packets: int = 0  # sent again to viewers who lose some, since the start

    @property
    def network_bytes(self) -> int:
        return sum(count for codec, count in self.sent_bytes.items() if codec not in LOCAL_CODECS)


def stats(metrics: SessionMetrics, vitals: Vitals, now_s: float, memory_bytes: int | None) -> Stats:
    """What operators are told every second."""
    return Stats(
        frames_per_second=metrics.frames_per_second(now_s),
        mic_to_frame_ms=percentiles(metrics.mic_to_frame.recent_ms),
        delay_ms=vitals.delay_ms,
        late_frames=metrics.late_frames,
        dropped_chunks=metrics.dropped_chunks,
        render_ms=percentiles(metrics.render_ms)["p50"],
        viewers=vitals.viewers,
        steps=metrics.level.steps,
        target_frames_per_second=metrics.level.frames_per_second,
        quality_level=metrics.rung,
        standby=metrics.standby,
        command_to_frame_ms=percentiles(metrics.command_to_frame.recent_ms),
        av_offset_ms=percentiles(metrics.av_offset_ms)["p50"],
        kilobits_per_second=metrics.kilobits_per_second,
        memory_mb=None if memory_bytes is None else round(memory_bytes / 2**20, 1),
    )


def resident_bytes(process_ids: Iterable[int | None]) -> int | None:
    """Memory that processes hold together; None where the system does not say (Linux does)."""
    total, page_bytes = 0, os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
    for process_id in filter(None, process_ids):
        try:
            total += int(Path(f"/proc/{process_id}/statm").read_text().split()[1]) * page_bytes
        except (OSError, IndexError, ValueError):  # no such system, or the process has just ended
            continue
    return total or None
