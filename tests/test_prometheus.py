"""What Prometheus reads: every family once, with its type, and numbers that are the session's."""

import re

from realtime.render.quality import Level
from realtime.telemetry.metrics import SessionMetrics
from realtime.telemetry.prometheus import mocap_text, server_text, session_text
from realtime.telemetry.vitals import Vitals

LINE = re.compile(r'flap_[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? -?[0-9.e-]+')


def text() -> str:
    metrics = SessionMetrics(
        frames_sent=7, repeated_frames=2, skipped_frames=3, level=Level(1, period=2), rung=1, standby=True
    )
    metrics.record_render({"portrait": 50.0, "merge": 1.0})
    metrics.record_frame(10.0, arrived_s=9.75)
    metrics.record_offset(1.0, 1.0, 1)
    vitals = Vitals(3, 240.0, {"chunks": 2}, {"video_packets": 12}, {"H264": 1000}, 8)
    return (
        session_text({"s1": (metrics, vitals), "s2": (SessionMetrics(), Vitals())})
        + server_text({"not_found": 2}, {"idle": 3}, True, 1, {"media": 1000, "render": None})
        + mocap_text({"webcam": 5}, {})
    )


def test_the_text_names_sessions_stages_queues_and_refusals() -> None:
    lines = text().splitlines()
    for line in (
        "flap_sessions 2",
        'flap_frames_sent_total{session="s1"} 7',
        'flap_late_frames_total{session="s1"} 5',
        'flap_render_ms{session="s1",quantile="0.95"} 51.0',
        'flap_mic_to_frame_ms{session="s1",quantile="0.99"} 250.0',
        'flap_av_offset_ms{session="s1",quantile="0.50"} -40.0',
        'flap_stage_ms{session="s1",stage="portrait",quantile="0.50"} 50.0',
        'flap_quality_level{session="s1"} 1',
        'flap_quality_target_frames_per_second{session="s1"} 12.5',
        'flap_standby{session="s1"} 1',
        'flap_viewers{session="s1"} 3',
        'flap_delay_ms{session="s1"} 240.0',
        'flap_queue_depth{session="s1",queue="chunks"} 2',
        'flap_queue_dropped_total{session="s1",queue="video_packets"} 12',
        'flap_sent_bytes_total{session="s1",codec="H264"} 1000',
        'flap_repeated_packets_total{session="s1"} 8',
        'flap_requests_refused_total{code="not_found"} 2',
        'flap_sessions_ended_total{reason="idle"} 3',
        "flap_renderer_up 1",
        "flap_renderer_restarts_total 1",
        'flap_memory_bytes{process="media"} 1000',
        'flap_mocap_packets_received_total{source="webcam"} 5',
    ):
        assert line in lines
    assert 'process="render"' not in text(), "what is not known is not said"


def test_a_histogram_counts_up_to_each_bound_and_to_all() -> None:
    found = [line for line in text().splitlines() if line.startswith("flap_mic_to_frame_seconds") and '"s1"' in line]
    buckets = [line.split()[-1] for line in found if "_bucket" in line]
    assert buckets == sorted(buckets, key=int) and buckets[0] == "0" and buckets[-1] == "1"
    assert 'flap_mic_to_frame_seconds_bucket{session="s1",le="0.28"} 1' in found
    assert 'flap_mic_to_frame_seconds_bucket{session="s1",le="0.24"} 0' in found
    assert found[-2:] == [
        'flap_mic_to_frame_seconds_sum{session="s1"} 0.25',
        'flap_mic_to_frame_seconds_count{session="s1"} 1',
    ]


def test_every_line_is_in_the_format_and_every_family_is_declared_once() -> None:
    lines = text().splitlines()
    samples = [line for line in lines if not line.startswith("# ")]
    assert [line for line in samples if not LINE.fullmatch(line)] == []
    declared = [line.split()[2] for line in lines if line.startswith("# TYPE ")]
    assert len(declared) == len(set(declared))
    assert len(samples) == len({line.rsplit(" ", 1)[0] for line in samples})
