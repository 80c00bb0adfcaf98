"""Worse sound is as early and as long as before, and worse."""

import numpy as np
import pytest

from benchmarks.worse_sound import KINDS, worse

SECONDS = np.arange(32_000) / 16_000
SOUND = (np.sin(2 * np.pi * 200 * SECONDS) * (np.sin(2 * np.pi * 3 * SECONDS) > 0) * 0.2).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_worse_sound_keeps_its_time(kind: str) -> None:
    made = worse(SOUND, kind)
    assert made.shape == SOUND.shape and not np.allclose(made, SOUND, atol=1e-3)
    likeness = [np.corrcoef(np.roll(made, -lag)[400:-400], SOUND[400:-400])[0, 1] for lag in range(-300, 301)]
    assert abs(int(np.argmax(likeness)) - 300) <= 16, "within a millisecond"


def test_clean_sound_is_as_it_was_and_other_words_are_refused() -> None:
    assert worse(SOUND, "clean") is SOUND
    with pytest.raises(ValueError, match="choose one of"):
        worse(SOUND, "gramophone")
