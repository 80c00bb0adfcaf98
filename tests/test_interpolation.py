"""Sound read between its samples is what was there."""

import numpy as np

from realtime.sound.interpolation import REACH, read_between


def test_at_whole_places_sound_is_what_it_was() -> None:
    sound = np.random.default_rng(0).normal(0, 1000, 500).astype(np.float32)
    places = np.arange(REACH, 400.0)
    assert np.allclose(read_between(sound, places), sound[REACH:400], atol=0.01)


def test_a_tone_between_samples_is_60_db_above_the_error() -> None:
    for hertz in (300, 3000, 12_000):
        places = 20 + 1.0003 * np.arange(4000)
        read = read_between(np.sin(2 * np.pi * hertz * np.arange(5000) / 48_000).astype(np.float32), places)
        error = read - np.sin(2 * np.pi * hertz * places / 48_000)
        assert 20 * np.log10(np.sqrt(0.5) / error.std()) > 60


def test_a_constant_stays_constant() -> None:
    assert np.allclose(read_between(np.full(100, 5, np.float32), np.arange(20, 60) + 0.37), 5)
