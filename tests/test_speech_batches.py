"""Pieces of training speech keep sound and mouth together and rest where nobody speaks."""

from collections.abc import Callable

import numpy as np
import pytest

from flap.audio_features import BAND_CENTRES_HZ, MEL_BANDS
from flap.speech import OUTPUTS
from training.speech_batches import PIECE_FRAMES, masked, of_another_throat, piece
from training.speech_corpus import Clip, load, save

Augmentation = Callable[[np.ndarray, np.random.Generator], np.ndarray]


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


def test_another_throat_moves_resonances_and_nothing_else() -> None:
    """A resonance at one frequency is found within 12 % of it; the level and the silence between stay as they are."""
    features = np.zeros((1, MEL_BANDS + 1), np.float32)
    features[0, 20], features[0, -1] = 1.0, 0.3
    found = [of_another_throat(features, np.random.default_rng(seed))[0] for seed in range(40)]
    at_hz = [BAND_CENTRES_HZ[int(made[:MEL_BANDS].argmax())] for made in found]
    width_hz = BAND_CENTRES_HZ[21] - BAND_CENTRES_HZ[20]
    assert max(at_hz) > BAND_CENTRES_HZ[20] > min(at_hz)
    assert all(abs(hz - BAND_CENTRES_HZ[20]) < 0.14 * BAND_CENTRES_HZ[20] + width_hz for hz in at_hz)
    assert all(made[-1] == features[0, -1] for made in found)


def test_a_mask_says_nothing_in_neighbouring_bands_and_leaves_the_level() -> None:
    features = np.random.default_rng(1).standard_normal((50, MEL_BANDS + 1)).astype(np.float32)
    dead = [(masked(features, np.random.default_rng(seed)).std(0) < 1e-6) for seed in range(40)]
    assert 8 < sum(some.any() for some in dead) < 24
    for some in (bands for bands in dead if bands.any()):
        where = np.flatnonzero(some)
        assert where[-1] - where[0] + 1 == len(where) <= 6 and not some[-1]


@pytest.mark.parametrize("augmentation", [of_another_throat, masked])
def test_a_pool_of_pieces_is_not_written_into(augmentation: Augmentation) -> None:
    features = np.random.default_rng(2).standard_normal((20, MEL_BANDS + 1)).astype(np.float32)
    before = features.copy()
    for seed in range(5):
        augmentation(features, np.random.default_rng(seed))
    assert np.array_equal(features, before)
