"""What the server says of itself."""

from realtime.metrics import SessionMetrics, percentiles, prometheus


def test_percentiles_of_nothing_are_zero() -> None:
    assert percentiles([]) == {"p50": 0.0, "p95": 0.0}
    assert percentiles(range(101)) == {"p50": 50.0, "p95": 95.0}


def test_the_frame_rate_counts_new_pictures_of_the_last_seconds() -> None:
    metrics = SessionMetrics()
    assert metrics.frames_per_second(10.0) == 0.0
    for frame in range(250):
        metrics.record_frame(frame / 25, arrived_s=frame / 25 - 0.2)
    assert metrics.frames_per_second(9.99) == 25.0
    assert metrics.frames_per_second(11.99) == 12.5, "the last two seconds brought nothing"
    assert abs(percentiles(metrics.mic_to_frame_ms)["p95"] - 200) < 0.2


def test_prometheus_text_names_sessions_stages_and_refusals() -> None:
    metrics = SessionMetrics(frames_sent=7)
    metrics.record_render({"portrait": 50.0, "merge": 1.0})
    text = prometheus({"s1": metrics}, {"s1": 3}, {"not_found": 2})
    for line in (
        "flap_sessions 1",
        'flap_frames_sent_total{session="s1"} 7',
        'flap_render_ms{session="s1",quantile="0.95"} 51.0',
        'flap_stage_ms{session="s1",stage="portrait",quantile="0.50"} 50.0',
        'flap_viewers{session="s1"} 3',
        'flap_requests_refused_total{code="not_found"} 2',
    ):
        assert line in text.splitlines()
