"""Loudness, stress and pitch of a voice, in step with its faces."""

import numpy as np
import pytest

from flap.config import CHUNK_SAMPLES
from realtime.face.prosody import WINDOW_SAMPLES, Prosody, ProsodyStage, pitch_hz

RATE_HZ = 16_000


def voice(seconds: float, hz: float) -> np.ndarray:
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    return 0.05 * sum(np.sin(2 * np.pi * hz * n * t) / n for n in range(1, 15)).astype(np.float32)


def said(sound: np.ndarray, chunk: int = CHUNK_SAMPLES, lookahead: int = 2) -> Prosody:
    stage = ProsodyStage(lookahead)
    state, parts = stage.init_state(), []
    for piece in sound.astype(np.float32).reshape(-1, chunk):
        made, state = stage.step(piece, state)
        parts.append((made.loudness, made.stress, made.pitch))
    return Prosody(*(np.concatenate(part) for part in zip(*parts, strict=True)))


@pytest.mark.parametrize("hz", [80, 120, 210, 330])
def test_the_pitch_of_a_voice_is_found_and_noise_has_none(hz: float) -> None:
    assert pitch_hz(voice(0.1, hz)[:WINDOW_SAMPLES]) == pytest.approx(hz, rel=0.03)
    noise = np.random.default_rng(0).standard_normal(WINDOW_SAMPLES).astype(np.float32)
    assert pitch_hz(noise) == 0
    assert pitch_hz(np.zeros(WINDOW_SAMPLES, np.float32)) == 0


def test_a_voice_that_rises_is_above_its_average() -> None:
    pitch = said(np.concatenate([voice(1.6, 120), voice(0.32, 160)])).pitch
    assert np.abs(pitch[10:38]).max() < 0.5
    assert pitch[44:].max() == pytest.approx(12 * np.log2(160 / 120), abs=1)


@pytest.mark.parametrize(("one_hz", "other_hz"), [(110, 220), (220, 110)])
def test_another_voice_is_got_used_to_within_a_second(one_hz: float, other_hz: float) -> None:
    pitch = said(np.concatenate([voice(3.2, one_hz), voice(3.2, other_hz)])).pitch
    assert np.abs(pitch[80:84]).max() > 6
    assert np.abs(pitch[105:]).max() < 4.5


def test_loud_syllables_are_stressed_once_each_where_they_set_in() -> None:
    frames = np.full(100, 0.15)
    frames[[*range(20, 26), *range(60, 66)]] = 1.0
    frames[[*range(18, 20), *range(58, 60)]] = 0.02
    lookahead = 2
    stress = said(voice(4, 120) * np.repeat(frames, 640), lookahead=lookahead).stress
    found = np.flatnonzero(stress[15:]) + 15 - lookahead
    assert len(found) == 2
    assert np.abs(found - np.array([20, 60])).max() <= 2


def test_silence_is_neither_loud_nor_stressed_nor_pitched() -> None:
    silent = said(np.zeros(10 * CHUNK_SAMPLES))
    assert silent.loudness.max() < 1e-3
    assert not silent.stress.any() and not silent.pitch.any()


def test_any_chunking_gives_what_the_whole_gives() -> None:
    sound = voice(1.6, 140) * np.repeat(np.random.default_rng(0).random(40), 640)
    whole, cut = said(sound, chunk=len(sound)), said(sound, chunk=640)
    for name in ("loudness", "stress", "pitch"):
        assert np.allclose(getattr(whole, name), getattr(cut, name))


def test_a_sound_beyond_the_look_ahead_changes_nothing_earlier() -> None:
    sound = voice(1.6, 140) * np.repeat(np.random.default_rng(0).random(40), 640)
    louder = sound.copy()
    louder[20 * 640 :] *= 3
    before, after = said(sound), said(louder)
    assert np.array_equal(before.stress[:20], after.stress[:20])
    assert not np.allclose(before.loudness[20:], after.loudness[20:])
