"""The live benchmark finds the delays, offsets and freezes that were put into what arrives."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import live, live_peer
from benchmarks import live_numbers as numbers
from benchmarks.live_peer import Arrivals, Clock, PictureBuffer, SpokenSound, differs, levels, mouth_of
from benchmarks.live_server import Sample

RATE = 48_000
DELAY_S, PICTURE_LATER_S = 0.3, 0.015


def arrivals(
    seconds: float = 14.0, repeated: int = 0, slower: float = 0.0, loss: float = 0.0
) -> tuple[Arrivals, SpokenSound]:
    """Speech-like noise that comes back after DELAY_S, its pictures PICTURE_LATER_S after it; `repeated` of three are old.

    It is read by the share `slower`, so that its delay grows, and packets are lost.
    """
    rng = np.random.default_rng(2)
    loudness = np.repeat(rng.uniform(0, 8000, 400), RATE // 20)
    spoken = (loudness * rng.standard_normal(len(loudness))).clip(-32_000, 32_000).astype(np.int16)
    microphone = SpokenSound(spoken)
    microphone.start_s = 1000.0
    came, first_s = Arrivals(), 2.0  # the first sample that comes back is the one spoken two seconds after the start
    for block in range(round(seconds * 50)):
        if rng.random() < loss:
            continue
        samples = microphone.spoken(round((first_s + block * 0.02 * (1 - slower)) * RATE), 960)
        came.levels.append((block * 0.02, 1000 + first_s + block * 0.02 + DELAY_S, levels(samples)))
    for frame in range(round(seconds * 25)):
        arrival_s = 1000 + first_s + frame * 0.04 + DELAY_S + PICTURE_LATER_S
        came.pictures.append((5.0 + frame * 0.04, arrival_s, frame % 3 >= repeated))
    came.sound_clock.reports = [(1.0, 501.004), (2.0, 502.0), (3.0, 503.002)]
    came.picture_clock.reports = [(6.0, 501.0), (7.0, 502.003)]
    return came, microphone


def test_the_delay_from_the_microphone_to_the_glass_is_found() -> None:
    came, microphone = arrivals()
    delays_ms = numbers.mic_to_glass_ms(came, microphone)
    assert len(delays_ms) >= 300
    assert numbers.percentiles(delays_ms) == pytest.approx({"p50": 315, "p95": 315}, abs=1.5)
    assert [window.mic_to_ear_s for window in numbers.heard_windows(came, microphone)] == pytest.approx(
        [0.3] * 3, abs=0.0015
    )


def test_the_delay_is_found_where_packets_are_lost_and_the_microphone_is_read_more_slowly_for_it() -> None:
    delays_ms = numbers.mic_to_glass_ms(*arrivals(slower=0.005, loss=0.1))
    assert len(delays_ms) >= 290
    assert numbers.percentiles(delays_ms[:50])["p50"] == pytest.approx(315 + 5 * 1, abs=12)
    assert numbers.percentiles(delays_ms[-50:])["p50"] == pytest.approx(315 + 5 * 11, abs=12)


def test_pictures_shown_again_count_neither_as_new_nor_as_on_time() -> None:
    came, microphone = arrivals(repeated=1)
    assert numbers.frames_per_second(came, 14.0) == pytest.approx(25 * 2 / 3, abs=0.1)
    assert len(numbers.mic_to_glass_ms(came, microphone)) <= 200
    assert len(numbers.av_offsets_ms(came)) <= 350 * 2 / 3


def test_sound_that_was_never_spoken_has_no_delay() -> None:
    came, _ = arrivals()
    other = SpokenSound((np.random.default_rng(9).standard_normal(RATE * 8) * 3000).astype(np.int16))
    other.start_s = 1000.0
    assert numbers.mic_to_glass_ms(came, other) == []
    assert numbers.percentiles([]) == {"p50": None, "p95": None}


def test_the_offset_of_sound_and_picture_is_found_and_late_reports_do_not_move_it() -> None:
    came, _ = arrivals()
    offsets_ms = [offset for _, offset in numbers.av_offsets_ms(came)]
    assert np.median(offsets_ms) == pytest.approx(-15, abs=0.1)
    medians = numbers.window_medians(numbers.av_offsets_ms(came), 4.0)
    assert len(medians) == 3
    assert numbers.slope_per_hour([0.0, 1800.0, 3600.0], [1.0, 2.0, 3.0]) == 2.0
    assert numbers.slope_per_hour([0.0, 1.0], [1.0, 2.0]) is None


def test_a_course_is_the_medians_of_whole_parts() -> None:
    assert numbers.course([10.0, 11.0, 12.0, 13.0, 14.0], [1.0, 3.0, 5.0, 7.0, 9.0], 2.0) == [2.0, 6.0]
    assert numbers.course([], [], 2.0) == []


def test_the_memory_of_a_soak_does_not_count_what_came_before_it() -> None:
    run = live.Run(None, None, None)  # type: ignore[arg-type]
    run.samples = [Sample(float(second), 0.0, 0.0, 300.0 if second < 200 else 400.0) for second in range(0, 1000, 10)]
    run.soak_begins = 20
    assert run.memory_slope() == pytest.approx(0) and run.memory_course() == [400.0, 400.0]
    run.soak_begins = 0
    assert run.memory_slope() > 100


def test_lips_that_move_later_than_their_sound_are_found() -> None:
    came, _ = arrivals()
    loud = [float(level.mean()) for _, _, level in came.levels]
    heard_s = [arrival_s for _, arrival_s, _ in came.levels]
    came.mouths = list(np.interp([arrival_s - 0.12 for _, arrival_s, _ in came.pictures], heard_s, loud))
    lag_ms, correlation = numbers.lips_lag_ms(came) or (0.0, 0.0)
    assert lag_ms == pytest.approx(120, abs=20)
    assert correlation > 0.8


WELL = {
    "exceptions": 0,
    "fuzz": {"crashes": 0, "http_500": 0},
    "mic_to_glass_ms": {"p50": 200.0, "p95": 210.0},
    "frames_per_second": 24.9,
}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"exceptions": 2}, "exceptions in the server's log: 2"),
        ({"fuzz": {"crashes": 1, "http_500": 0}}, "malformed inputs that ended a connection or the server: 1"),
        ({"fuzz": {"crashes": 0, "http_500": 3}}, "answers of 500 to malformed inputs: 3"),
        ({"mic_to_glass_ms": {"p50": None, "p95": None}}, "the delay could not be measured"),
        ({"frames_per_second": 0.0}, "no new pictures"),
    ],
)
def test_a_run_that_no_machine_excuses_fails(change: dict, told: str) -> None:
    assert live.failures(WELL, live.FULL) == []
    (line,) = live.failures(WELL | change, live.FULL)
    assert line.startswith(told)


def test_timestamps_wrap_and_come_late() -> None:
    clock = Clock(90_000)
    seconds = [clock.second((2**32 - 7200 + step) % 2**32) for step in (0, 3600, 7200, 3600, 10_800)]
    assert seconds == pytest.approx([0, 0.04, 0.08, 0.04, 0.12])


def packet(number: int, marker: bool = True) -> SimpleNamespace:
    return SimpleNamespace(sequence_number=number % 65_536, timestamp=number, marker=marker, _data=b"%d," % number)


def test_pictures_are_handed_on_whole_in_order_and_a_gap_ends_in_a_wish_for_a_key_frame(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(live_peer.time, "monotonic", lambda: now[0])
    taken: list[bytes] = []
    buffer = PictureBuffer(lambda timestamp, data, arrival_s: taken.append(data))
    for number, marker in ((65_534, False), (65_536, True), (65_535, False)):
        assert buffer.add(packet(number, marker)) == (False, None)
    assert taken == [b"65534,65535,65536,"]
    buffer.add(packet(65_538))
    assert len(taken) == 1, "65537 may still come"
    now[0] = 1.0
    assert buffer.add(packet(65_539))[0] is True
    assert taken[1:] == [b"65538,", b"65539,"]


def test_a_refined_picture_is_no_new_one() -> None:
    grey = np.full((256, 256), 100, np.uint8)
    refined, moved = grey + np.uint8(6), grey.copy()
    moved[100:104, 100:104] = 160
    assert not differs(refined, grey)
    assert differs(moved, grey) and differs(grey, None)


@pytest.mark.slow
def test_the_whole_benchmark_runs_within_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    live.main(["--quick", "--json"])
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(result["mic_to_glass_ms"]) == {"p50", "p95"}
    assert set(result["av_offset_ms"]) == {"min", "median", "max", "slope_per_hour"}
    assert result["fuzz"]["crashes"] == result["fuzz"]["http_500"] == result["exceptions"] == 0
    assert {"frames_per_second", "longest_freeze_ms", "viewer_core_share", "renderer_recovery_s"} <= set(result)
    assert {"memory_slope_mb_per_hour", "machine", "commit"} <= set(result)


def test_the_mouth_is_looked_for_where_it_is_in_pictures_of_either_size() -> None:
    small = np.zeros((256, 256), np.uint8)
    small[150:215, 88:168] = 200
    for picture in (small, small.repeat(2, 0).repeat(2, 1)):
        assert (mouth_of(picture) == 200).all()
        assert mouth_of(picture).sum() == picture.sum(), "all of it"
