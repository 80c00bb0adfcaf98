"""The realtime benchmark: its JSON, its latency arithmetic and its sound."""

import json
import re
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import realtime as benchmark
from benchmarks.machine import commit, machine
from benchmarks.speech import speech
from flap.config import CHUNK_FRAMES, MEDIA_RATE_HZ
from tests.toy_bundle import write_bundle

LOOKAHEAD_FRAMES = 2
STEP_S = 0.005
SHORT = benchmark.Plan(free_s=0.8, paced_s=0.8, limit_s=5)


class FakeChain:
    """Takes a fixed time a chunk, with the look-ahead of the real one."""

    def __init__(self) -> None:
        self.stages_ms: dict[str, list[float]] = {}
        self._thread = ThreadPoolExecutor(1)
        self.pipeline = SimpleNamespace(init_state=lambda presenter_id: 0)

    at_once = 2

    def begin(self, chunk: int, state: int) -> tuple[Future[benchmark.Ready], int]:
        return self._thread.submit(self._draw, state), state + 1

    def step(self, chunk: int, state: int) -> tuple[benchmark.Ready, int]:
        ready, state = self.begin(chunk, state)
        return ready.result(), state

    def _draw(self, state: int) -> benchmark.Ready:
        time.sleep(STEP_S)
        self.stages_ms.setdefault("portrait", []).append(STEP_S * 1000)
        return benchmark.Ready(state * CHUNK_FRAMES - LOOKAHEAD_FRAMES, [time.perf_counter()] * CHUNK_FRAMES)

    def forget_times(self) -> None:
        self.stages_ms = {name: [] for name in self.stages_ms}


def test_latency_counts_chunk_look_ahead_and_work() -> None:
    """A frame waits for 40 ms of its own sound and for 80 ms of look-ahead."""
    result = benchmark.measure(FakeChain(), "ada", SHORT)  # type: ignore[arg-type]
    waited_ms = result["mic_to_frame_ms"]
    assert 120 + STEP_S * 1000 <= waited_ms["p50"] <= waited_ms["p95"] < 260
    assert 0 < result["frames_per_second"] <= CHUNK_FRAMES / STEP_S
    assert result["real_time_factor"] == pytest.approx(25 / result["frames_per_second"], rel=0.02)
    assert result["stages"] == {"portrait": {"median_ms": 5.0, "p95_ms": 5.0}}
    assert result["cpu_ms_per_frame"] < 1000 * STEP_S / CHUNK_FRAMES  # sleeping costs no processor


def test_a_slow_machine_ends_at_the_limit() -> None:
    started_s = time.monotonic()
    benchmark.measure(FakeChain(), "ada", benchmark.Plan(free_s=60, paced_s=60, limit_s=0.3))  # type: ignore[arg-type]
    assert time.monotonic() - started_s < 5


def test_the_last_line_is_one_json_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(benchmark, "Chain", lambda bundle, steps, sound, size: FakeChain())
    monkeypatch.setattr(benchmark, "QUICK", SHORT)
    benchmark.main(["--json", "--quick", "--bundle", str(write_bundle(tmp_path / "toy")), "--speech", str(tmp_path)])
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result.keys() == {
        "frames_per_second", "real_time_factor", "cpu_ms_per_frame", "stages", "mic_to_frame_ms", "picture_size", "machine",
        "commit",
    }  # fmt: skip
    assert result["mic_to_frame_ms"].keys() == {"p50", "p95"}


def test_a_missing_bundle_or_presenter_ends_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="cannot measure: no bundle in"):
        benchmark.main(["--bundle", str(tmp_path)])
    with pytest.raises(SystemExit, match="no presenter 'eve': choose one of ada"):
        benchmark.main(["--bundle", str(write_bundle(tmp_path / "toy")), "--presenter", "eve"])


def test_a_timed_engine_notes_each_run_and_changes_nothing() -> None:
    runs_ms: list[float] = []
    engine = SimpleNamespace(
        inputs={}, outputs={}, provider="fake", empty=np.empty, run=lambda inputs, into: {"out": inputs["in"]}
    )
    timed = benchmark.TimedEngine(engine, runs_ms)  # type: ignore[arg-type]
    assert timed.run({"in": np.ones(1)})["out"] == 1 and len(runs_ms) == 1 and timed.provider == "fake"


def test_without_recordings_there_is_still_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    sound, source = speech(tmp_path, 12)
    assert sound.dtype == np.int16 and len(sound) >= 12 * MEDIA_RATE_HZ and 3000 < np.abs(sound).max() < 32_000
    assert source == "a tone that comes and goes"


def test_machine_and_commit_say_what_was_measured() -> None:
    assert machine()["cores"] >= 1 and machine()["onnxruntime"]
    assert re.fullmatch(r"[0-9a-f]{12}(-dirty)?|unknown", commit())
