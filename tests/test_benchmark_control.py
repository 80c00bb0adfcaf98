"""The control benchmark finds the first changed picture, a broken limit, changed lips and a show that is not repeated."""

import asyncio
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks import control, control_live, control_show
from benchmarks.control_live import Pictures, Sent
from flap import coefficients as co
from tests.fakes import FakePortraitStage, fake_pipeline
from tests.live_client import serving
from tests.toy_bundle import write_bundle

FRAME_MS = 40.0
TONE = (np.sin(np.arange(48_000) / 20) * 9000 * (np.arange(48_000) % 9600 < 4800)).astype(np.int16)


def pictures(changes: list[int], count: int = 120) -> np.ndarray:
    """Pictures that tremble a little, and change at some frames."""
    noise = np.random.default_rng(0).integers(100, 103, (count, 64, 64))
    for frame in changes:
        noise[frame:, 10:30] += 40 * (-1) ** changes.index(frame)
    return noise.astype(np.uint8)


def test_a_latency_runs_from_the_command_to_the_first_picture_that_it_changed() -> None:
    shown_ms = np.arange(120) * FRAME_MS
    sent = [Sent(40 * FRAME_MS - 150, 0), Sent(90 * FRAME_MS - 210, 0)]
    assert control_live.latencies_ms(sent, shown_ms, pictures([40, 90])) == [150, 210]
    assert control_live.latencies_ms(sent, shown_ms, pictures([])) == [], "what trembles has not changed"


@pytest.mark.parametrize("late", [0, 3, -2])
def test_a_change_that_is_not_in_the_acknowledged_frame_is_told(late: int) -> None:
    seen = Pictures(list(range(500, 620)), list(pictures([40 + late, 90 + late])))
    assert control_live.frame_errors([Sent(0, 540), Sent(0, 590)], seen) == [late, late]


def test_the_show_keeps_the_limit_leaves_the_lips_and_is_repeated() -> None:
    result = control_show.measure(fake_pipeline(), "ada", TONE, 20.0, 0.4, 4)
    assert 200 < result["max_velocity_deg_per_s"] <= 300.1
    assert result["lipsync_change"]["largest"] == 0
    assert result["replay_identical"] is True
    assert result["show"]["applied"] == result["show"]["commands"] == 4


def test_every_command_of_the_script_is_understood() -> None:
    given = [directive for chunk in control_show.script(300, 60).values() for directive in chunk]
    assert len(given) == 60
    assert {directive.type for directive in given} == {entry["type"] for entry in control_show.SCRIPT}


class Restless(FakePortraitStage):
    """Never draws the same picture twice."""

    rng = np.random.default_rng()

    def step(self, faces: co.Array, state: str, steps: int | None = None) -> tuple[np.ndarray, str]:
        frames, state = super().step(faces, state, steps)
        return frames + self.rng.integers(0, 9, frames.shape, np.uint8), state


def test_a_show_that_differs_is_found_out() -> None:
    result = control_show.measure(fake_pipeline(Restless()), "ada", TONE, 2.0, 0.4, 2)
    assert result["replay_identical"] is False


def test_lips_that_move_less_are_found_out() -> None:
    faces = co.neutral(100)
    faces[:, co.JAW.start] = np.abs(np.sin(np.arange(100) / 3)) * co.MAX_JAW_RAD
    less = faces.copy()
    less[:, co.JAW.start] *= 0.8
    change = control_show.lipsync_change(less, faces, faces[:, co.JAW.start], 2)
    assert change["jaw_velocity"] == pytest.approx(-0.2, abs=1e-3)
    assert change["largest"] >= 0.2


def test_a_flood_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_live, "MOST_ANSWERING_S", 2.0)

    async def run() -> None:
        async with serving(tmp_path) as http:
            session = (await (await http.post("/api/sessions", json={})).json())["id"]
            counts = await control_live.flood(str(http.make_url("/")).rstrip("/"), session, 0.3)
            assert counts["sent"] > 50
            assert 0 < counts["refused"] <= counts["sent"]

    asyncio.run(run())


def test_the_last_line_is_one_json_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    live = {
        "command_to_frame_ms": {"p50": 200.0, "p95": 240.0, "commands": 2, "seen": 2},
        "ack_frame_error_frames": {"largest": 0, "exact": 2, "seen": 2},
        "flood": {"sent": 10, "refused": 8, "frames_per_second": 25.0, "frames_per_second_before": 25.0},
    }
    monkeypatch.setattr(control_live, "measure", lambda *_: live)
    monkeypatch.setattr(control, "chromium_path", lambda: "chromium")
    monkeypatch.setattr(control, "pipeline_of", lambda bundle: fake_pipeline())
    monkeypatch.setattr(control, "QUICK", control.Plan(4.0, 0.4, 2, control_live.Plan(2, 1, 1)))
    bundle = write_bundle(tmp_path / "toy")
    control.main(["--json", "--quick", "--bundle", str(bundle), "--speech", str(tmp_path)])
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result.keys() == {
        "command_to_frame_ms", "ack_frame_error_frames", "max_velocity_deg_per_s", "lipsync_change", "replay_identical",
        "flood", "show", "machine", "commit",
    }  # fmt: skip


def test_a_missing_bundle_or_browser_ends_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="cannot measure: no bundle in"):
        control.main(["--bundle", str(tmp_path)])
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match="Chromium is not installed"):
        control.main(["--bundle", str(write_bundle(tmp_path / "toy"))])
