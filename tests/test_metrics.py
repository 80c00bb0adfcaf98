"""What a session counts and measures of itself."""

import pytest

from realtime.telemetry.metrics import MAX_PENDING_COMMANDS, Histogram, SessionMetrics, percentiles


def test_percentiles_of_nothing_are_zero() -> None:
    assert percentiles([]) == {"p50": 0.0, "p95": 0.0, "p99": 0.0}
    assert percentiles(range(101)) == {"p50": 50.0, "p95": 95.0, "p99": 99.0}


def test_the_frame_rate_counts_new_pictures_of_the_last_seconds() -> None:
    metrics = SessionMetrics()
    assert metrics.frames_per_second(10.0) == 0.0
    for frame in range(250):
        metrics.record_frame(frame / 25, arrived_s=frame / 25 - 0.2)
    assert metrics.frames_per_second(9.99) == 25.0
    assert metrics.frames_per_second(11.99) == 12.5, "the last two seconds brought nothing"
    assert abs(percentiles(metrics.mic_to_frame.recent_ms)["p95"] - 200) < 0.2
    assert sum(metrics.mic_to_frame.histogram.counts) == 250


def test_a_histogram_counts_a_value_at_a_bound_below_it() -> None:
    histogram = Histogram((0.1, 0.2))
    for value in (0.05, 0.1, 0.15, 0.3):
        histogram.observe(value)
    assert histogram.counts == [2, 1, 1]
    assert histogram.sum == pytest.approx(0.6)


def test_a_command_takes_until_the_first_picture_that_it_acts_on() -> None:
    metrics = SessionMetrics()
    metrics.command_came("o1", "c1", 10.0)
    metrics.command_came("o1", "c2", 10.01)
    metrics.command_acts("o1", "c1", frame=100)
    metrics.command_acts("o2", "c2", frame=100)  # somebody else's of the same name
    metrics.record_commands(99, 10.2)
    assert not metrics.command_to_frame.recent_ms
    metrics.record_commands(101, 10.3)  # the picture of frame 100 was never shown
    metrics.record_commands(102, 10.34)
    assert list(metrics.command_to_frame.recent_ms) == [pytest.approx(300)]


def test_commands_that_nobody_sees_are_forgotten_and_none_are_kept_without_bound() -> None:
    metrics = SessionMetrics()
    for number in range(3 * MAX_PENDING_COMMANDS):
        metrics.command_came("o1", str(number), 1.0)
    assert len(metrics._came_s) == MAX_PENDING_COMMANDS
    for number in range(3 * MAX_PENDING_COMMANDS):
        metrics.command_came("o1", str(number), 1.0)
        metrics.command_acts("o1", str(number), 5)
    assert len(metrics._acting) == MAX_PENDING_COMMANDS
    metrics.forget_commands()
    metrics.record_commands(5, 2.0)
    assert not metrics.command_to_frame.recent_ms


def test_a_held_picture_is_that_much_earlier_than_its_sound() -> None:
    metrics = SessionMetrics()
    metrics.record_offset(sound_s=1.002, picture_s=1.0, held_frames=0)
    metrics.record_offset(sound_s=1.0, picture_s=1.0, held_frames=2)
    assert list(metrics.av_offset_ms) == [pytest.approx(2), pytest.approx(-80)]


def test_the_bitrate_is_that_of_the_last_seconds() -> None:
    metrics = SessionMetrics()
    assert metrics.kilobits_per_second == 0
    for second, total in ((0.0, 0), (1.0, 0), (2.0, 50_000), (3.0, 100_000), (4.0, 150_000), (5.0, 200_000)):
        metrics.sent_bytes.append((second, total))
    assert metrics.kilobits_per_second == 400
