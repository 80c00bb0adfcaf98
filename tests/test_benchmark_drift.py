"""The drift benchmark finds a stream that fades and is content with one that only trembles."""

import numpy as np
import pytest

from benchmarks import drift
from flap.config import CHUNK_FRAMES

PICTURE = np.random.default_rng(0).integers(60, 200, (256, 256, 3)).astype(np.uint8)


class Painter:
    """A portrait stage whose pictures grow darker by `fade` levels a frame and tremble by one."""

    def __init__(self, fade: float):
        self.fade = fade

    def init_state(self, presenter: str) -> int:
        return 0

    def step(self, faces: np.ndarray, frame: int) -> tuple[np.ndarray, int]:
        trembling = PICTURE + float(frame // CHUNK_FRAMES % 2) - self.fade * frame
        return np.stack([trembling.clip(0, 255).astype(np.uint8)] * len(faces)), frame + len(faces)


def test_a_steady_stream_has_no_trend() -> None:
    result = drift.run(Painter(0.0), "ada", 4, 6.0)  # type: ignore[arg-type]
    assert result["trend"] == []
    assert result["frames"] > 4 * 100


def test_a_fading_stream_is_found_out() -> None:
    result = drift.run(Painter(0.02), "ada", 5, 6.0)  # type: ignore[arg-type]
    assert {"red", "green", "blue"} <= set(result["trend"])
    assert result["drift"]["red"]["slope_per_hour"] < -100


def test_the_probe_moves_no_faster_than_a_face_does() -> None:
    faces = drift.probe_faces()
    assert len(faces) % CHUNK_FRAMES == 0
    assert np.degrees(np.abs(np.diff(faces[:, :3], axis=0))).max() < 12


def test_sharpness_is_a_share_and_likeness_is_capped() -> None:
    first = drift.look(np.stack([PICTURE] * 2))
    assert drift.difference(first, first) == pytest.approx(
        {"red": 0, "green": 0, "blue": 0, "sharpness": 0, "likeness_db": 60}
    )
