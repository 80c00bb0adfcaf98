"""Pieces of training speech keep sound and mouth together and rest where nobody speaks."""

import numpy as np

from flap.speech import OUTPUTS
from training.speech_batches import PIECE_FRAMES, piece
from training.speech_corpus import Clip, load, save


def clip(marks: list[tuple[str, float, float]], seconds: float = 6.0) -> Clip:
    sound = (np.random.default_rng(0).standard_normal(int(16_000 * seconds)) * 0.1).astype(np.float32)
    return Clip("toy", "kokoro", "ada", "en", False, sound, marks)


def test_a_piece_has_features_and_truth_of_the_same_time() -> None:
    made = piece(clip([("a", 0.0, 6.0)]), np.random.default_rng(4))
    assert made.features.shape == (4 * PIECE_FRAMES, 41)
    assert made.weights.shape == (PIECE_FRAMES, len(OUTPUTS))
    assert np.isfinite(made.features).all()


def test_about_one_piece_in_eight_asks_for_rest() -> None:
    rng = np.random.default_rng(0)
    resting = [not piece(clip([("a", 0.0, 6.0)]), rng).weights.any() for _ in range(120)]
    assert 0.04 < np.mean(resting) < 0.24


def test_a_stored_clip_comes_back(tmp_path) -> None:  # type: ignore[no-untyped-def]
    stored = clip([("p", 0.5, 0.6)])
    save(tmp_path, stored)
    back = load(tmp_path / "toy.npz")
    assert (back.speaker, back.language, back.test, back.marks[0][0]) == ("ada", "en", False, "p")
    assert np.allclose(back.sound, stored.sound, atol=1e-4)
