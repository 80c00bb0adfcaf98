"""The server's own measurements in Prometheus' text format (version 0.0.4)."""

from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from typing import TypeVar

from realtime.telemetry.metrics import Histogram, SessionMetrics, percentiles
from realtime.telemetry.vitals import Vitals

T = TypeVar("T")
Labels = Mapping[str, str]
Samples = Iterable[tuple[Labels, float]]
COUNTERS = {
    "frames_sent": "pictures encoded",
    "late_frames": "pictures repeated or skipped",
    "repeated_frames": "pictures shown again because the next one was not ready",
    "skipped_frames": "pictures not shown because the server woke too late",
    "drawn_chunks": "chunks, of one picture each, that were drawn",
    "left_out_chunks": "chunks not drawn because half the frame rate is enough",
    "dropped_chunks": "chunks not drawn because they would have been late",
    "commands_refused": "messages of operators that were refused",
}
GAUGES: dict[str, tuple[str, Callable[[SessionMetrics], float]]] = {
    "quality_level": ("rung of the quality ladder, 0 the best", lambda m: m.rung),
    "quality_steps": ("steps of diffusion", lambda m: m.level.steps),
    "quality_target_frames_per_second": ("pictures a second that are asked for", lambda m: m.level.frames_per_second),
    "standby": ("1 while the standby picture is shown because no picture comes", lambda m: m.standby),
}
WINDOWS: dict[str, tuple[str, Callable[[SessionMetrics], Iterable[float]]]] = {
    "mic_to_frame_ms": ("a sound arrives to its picture leaves", lambda m: m.mic_to_frame.recent_ms),
    "command_to_frame_ms": ("a command arrives to its first picture leaves", lambda m: m.command_to_frame.recent_ms),
    "av_offset_ms": ("how much later a sound leaves than the picture of its moment", lambda m: m.av_offset_ms),
    "render_ms": ("a chunk is drawn", lambda m: m.render_ms),
}
HISTOGRAMS: dict[str, tuple[str, Callable[[SessionMetrics], Histogram]]] = {
    "mic_to_frame_seconds": ("a sound arrives to its picture leaves", lambda m: m.mic_to_frame.histogram),
    "command_to_frame_seconds": (
        "a command arrives to its first picture leaves",
        lambda m: m.command_to_frame.histogram,
    ),
}


def session_text(sessions: Mapping[str, tuple[SessionMetrics, Vitals]]) -> str:
    """Of every session."""
    metrics = {key: measured for key, (measured, _) in sessions.items()}
    vitals = {key: seen for key, (_, seen) in sessions.items()}
    lines = _family("sessions", "gauge", "sessions that run", [({}, len(sessions))])
    for name, meaning in COUNTERS.items():
        counts = [({"session": key}, getattr(measured, name)) for key, measured in metrics.items()]
        lines += _family(f"{name}_total", "counter", meaning, counts)
    for name, (meaning, value) in GAUGES.items():
        lines += _family(name, "gauge", meaning, _each(metrics, value))
    for name, (meaning, values) in WINDOWS.items():
        samples = [
            ({"session": key, "quantile": f"0.{quantile[1:]}"}, value)
            for key, measured in metrics.items()
            for quantile, value in percentiles(values(measured)).items()
        ]
        lines += _family(name, "gauge", f"{meaning}, lately", samples)
    stages = [
        ({"session": key, "stage": stage, "quantile": "0.50"}, percentiles(values)["p50"])
        for key, measured in metrics.items()
        for stage, values in measured.stage_ms.items()
    ]
    lines += _family("stage_ms", "gauge", "what a stage takes, lately", stages)
    for name, (meaning, histogram) in HISTOGRAMS.items():
        lines += _histograms(name, meaning, {key: histogram(measured) for key, measured in metrics.items()})
    lines += _family("viewers", "gauge", "who watches", _each(vitals, lambda v: v.viewers))
    repeated = _each(vitals, lambda v: v.repeated_packets)
    lines += _family("repeated_packets_total", "counter", "packets sent again to viewers who lose some", repeated)
    lines += _family(
        "delay_ms", "gauge", "sound heard to sound shown, as published", _each(vitals, lambda v: v.delay_ms)
    )
    for name, kind, meaning, label, counted in (
        ("queue_depth", "gauge", "what waits now", "queue", {key: v.queued for key, v in vitals.items()}),
        ("queue_dropped_total", "counter", "what was dropped", "queue", {key: v.dropped for key, v in vitals.items()}),
        (
            "sent_bytes_total",
            "counter",
            "sent to all viewers",
            "codec",
            {key: v.sent_bytes for key, v in vitals.items()},
        ),
    ):
        found = [({"session": key, label: of}, n) for key, each in counted.items() for of, n in each.items()]
        lines += _family(name, kind, meaning, found)
    return _text(lines)


def server_text(
    refused: Mapping[str, int],
    ended: Mapping[str, int],
    renderer_up: bool,
    renderer_restarts: int,
    memory_bytes: Mapping[str, int | None],
) -> str:
    """Of the server as a whole: requests `refused` by code, sessions `ended` by reason, `memory_bytes` by process."""
    requests = [({"code": code}, count) for code, count in refused.items()]
    sessions = [({"reason": reason}, count) for reason, count in ended.items()]
    memory = [({"process": name}, count) for name, count in memory_bytes.items() if count is not None]
    return _text(
        _family("requests_refused_total", "counter", "requests that were refused, or failed (internal)", requests)
        + _family("sessions_ended_total", "counter", "sessions that have ended", sessions)
        + _family("renderer_up", "gauge", "1 while the networks are open", [({}, renderer_up)])
        + _family(
            "renderer_restarts_total", "counter", "starts of the renderer after the first", [({}, renderer_restarts)]
        )
        + _family("memory_bytes", "gauge", "memory that a process holds", memory)
    )


def mocap_text(received: Mapping[str, int], refused: Mapping[str, int]) -> str:
    """What has come to the ports of face-tracking apps."""
    lines = []
    for name, counts in (("received", received), ("refused", refused)):
        samples = [({"source": source}, count) for source, count in counts.items()]
        lines += _family(f"mocap_packets_{name}_total", "counter", f"packets of face-tracking apps, {name}", samples)
    return _text(lines)


def _each(values: Mapping[str, T], of: Callable[[T], float]) -> Samples:
    return [({"session": key}, of(value)) for key, value in values.items()]


def _family(name: str, kind: str, meaning: str, samples: Samples) -> list[str]:
    lines = [f"# HELP flap_{name} {meaning}", f"# TYPE flap_{name} {kind}"]
    return lines + [f"flap_{name}{_labels(labels)} {_number(value)}" for labels, value in samples]


def _histograms(name: str, meaning: str, histograms: Mapping[str, Histogram]) -> list[str]:
    lines = [f"# HELP flap_{name} {meaning}", f"# TYPE flap_{name} histogram"]
    for key, histogram in histograms.items():
        bounds = [*map(str, histogram.bounds), "+Inf"]
        for bound, count in zip(bounds, accumulate(histogram.counts), strict=True):
            lines.append(f"flap_{name}_bucket{_labels({'session': key, 'le': bound})} {count}")
        lines.append(f"flap_{name}_sum{_labels({'session': key})} {_number(histogram.sum)}")
        lines.append(f"flap_{name}_count{_labels({'session': key})} {sum(histogram.counts)}")
    return lines


def _labels(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}" if labels else ""


def _number(value: float) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"
