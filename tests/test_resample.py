"""48 kHz to 16 kHz: the voice stays, what 16 kHz cannot carry goes, and chunks leave no seam."""

import numpy as np
import pytest

from realtime.face.resample import Resampler


def tone(hertz: float, samples: int = 9_600) -> np.ndarray:
    return (np.sin(2 * np.pi * hertz * np.arange(samples) / 48_000) * 20_000).astype(np.int16)


@pytest.mark.parametrize(
    ("hertz", "low", "high"), [(300, 0.95, 1.05), (3000, 0.95, 1.05), (10_000, 0, 0.02), (15_700, 0, 0.02)]
)
def test_levels(hertz: float, low: float, high: float) -> None:
    resampler = Resampler()
    out, _ = resampler.step(tone(hertz), resampler.init_state())
    assert out.shape == (3200,)
    assert low <= np.abs(out[100:]).max() / (20_000 / 32_768) <= high


def test_any_chunking_gives_the_same_samples() -> None:
    resampler = Resampler()
    sound = tone(700)
    whole, _ = resampler.step(sound, resampler.init_state())
    state, parts = resampler.init_state(), []
    for part in np.split(sound, [3, 960, 4800]):
        out, state = resampler.step(part, state)
        parts.append(out)
    assert np.allclose(np.concatenate(parts), whole, atol=1e-6)
