"""What stands in for lost sound goes on as the sound went, without a step, and does not go on for long."""

import numpy as np
import pytest

from realtime.sound.concealment import HISTORY_SAMPLES, SILENT_SAMPLES, conceal, cross_fade, pitch_period


def tone(hertz: float, count: int = HISTORY_SAMPLES, first: int = 0) -> np.ndarray:
    places = np.arange(first, first + count) / 48_000
    return (8000 * np.sin(2 * np.pi * hertz * places) + 3000 * np.sin(4 * np.pi * hertz * places)).astype(np.float32)


@pytest.mark.parametrize("hertz", [80, 110, 180, 250])
def test_a_steady_voice_goes_on_at_its_pitch(hertz: float) -> None:
    made_up = conceal(tone(hertz), 960)
    meant = tone(hertz, 960, HISTORY_SAMPLES)
    assert np.corrcoef(made_up, meant)[0, 1] > 0.95
    assert (
        abs(pitch_period(tone(hertz)) % (48_000 / hertz)) < 8
        or pitch_period(tone(hertz)) % (48_000 / hertz) > 48_000 / hertz - 8
    )


def test_there_is_no_step_where_it_begins_or_repeats() -> None:
    past = tone(173.0)
    joined = np.concatenate([past, conceal(past, 2400)])
    assert np.abs(np.diff(joined)).max() < 1.3 * np.abs(np.diff(past)).max()


def test_noise_goes_on_as_loud_as_it_was_and_then_fades() -> None:
    past = np.random.default_rng(0).normal(0, 1000, HISTORY_SAMPLES).astype(np.float32)
    made_up = conceal(past, 6000)
    assert 700 < made_up[:960].std() < 1400
    assert not made_up[SILENT_SAMPLES:].any()


@pytest.mark.parametrize("hertz", [80.0, 173.0])
def test_what_is_made_up_in_pieces_fades_as_what_is_made_up_at_once(hertz: float) -> None:
    past = tone(hertz)
    at_once, pieces = conceal(past, 4800), past
    for made_up in range(0, 4800, 960):
        pieces = np.concatenate([pieces, conceal(pieces, 960, made_up)])
    level = np.abs(pieces[HISTORY_SAMPLES:].reshape(-1, 480)).max(1)
    assert np.abs(level - np.abs(at_once.reshape(-1, 480)).max(1)).max() < 0.1 * level[0]
    assert not pieces[HISTORY_SAMPLES + SILENT_SAMPLES :].any()


@pytest.mark.parametrize("count", [0, 1, 17, 10_000])
def test_any_number_of_samples_after_any_past(count: int) -> None:
    for past in (np.zeros(0, np.float32), np.zeros(HISTORY_SAMPLES, np.float32), tone(200, 100)):
        assert conceal(past, count).shape == (count,)
        assert np.isfinite(conceal(past, count)).all()


def test_a_cross_fade_goes_from_one_to_the_other() -> None:
    mixed = cross_fade(np.full(4, 8, np.float32), np.zeros(6, np.float32))
    assert mixed.tolist() == [8, 6, 4, 2, 0, 0]
