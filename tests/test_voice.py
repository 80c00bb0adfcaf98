"""The voice gate lets speech through and fades noise and silence out without steps."""

import numpy as np

from flap.config import CHUNK_SAMPLES
from realtime.face.voice import VoiceGate


def gated(sound: np.ndarray) -> np.ndarray:
    gate = VoiceGate()
    state, out = gate.init_state(), []
    for chunk in sound.astype(np.float32).reshape(-1, CHUNK_SAMPLES):
        made, state = gate.step(chunk, state)
        out.append(made)
    return np.concatenate(out)


def vowel(seconds: float) -> np.ndarray:
    """Harmonics of 120 Hz under two formants: what a voice detector takes for speech."""
    t = np.arange(int(seconds * 16_000)) / 16_000
    harmonics = (np.sin(2 * np.pi * 120 * n * t) / (1 + abs(n - 6)) for n in range(1, 25))
    return 0.1 * sum(harmonics) * (1 + 0.5 * np.sin(2 * np.pi * 4 * t))  # type: ignore[return-value]


def test_silence_and_faint_noise_stay_shut() -> None:
    noise = np.random.default_rng(0).standard_normal(16_000) * 0.001
    assert not gated(np.zeros(16_000)[: 24 * CHUNK_SAMPLES]).any()
    assert not gated(noise[: 24 * CHUNK_SAMPLES]).any()


def test_speech_passes_unchanged_once_the_gate_is_open() -> None:
    sound = vowel(1.28)
    out = gated(sound)
    assert np.allclose(out[4800:], sound[4800:].astype(np.float32), atol=1e-6)


def test_the_gate_fades_instead_of_switching() -> None:
    sound = np.concatenate([vowel(0.64), np.zeros(16 * CHUNK_SAMPLES)])
    steady = np.where(np.abs(sound) > 1e-3, sound, 1e-3)
    gain = gated(sound)[: len(vowel(0.64))] / steady[: len(vowel(0.64))]
    assert gain.max() <= 1.01
    rising = gain[np.abs(sound[: len(gain)]) > 0.05]
    assert np.abs(np.diff(rising)).max() < 0.2


def test_what_one_stream_hears_changes_nothing_in_another() -> None:
    """The detector gets used to noise; a session is played again to the last bit whatever ran before it."""
    rng, gate = np.random.default_rng(1), VoiceGate()
    other = gate.init_state()
    for _ in range(200):
        _, other = gate.step((rng.standard_normal(CHUNK_SAMPLES) * 0.2).astype(np.float32), other)
    faint = (vowel(1.28) * 0.3 + rng.standard_normal(int(1.28 * 16_000)) * 0.01).astype(np.float32)
    state, after = gate.init_state(), []
    for chunk in faint.reshape(-1, CHUNK_SAMPLES):
        made, state = gate.step(chunk, state)
        after.append(made)
    assert np.array_equal(np.concatenate(after), gated(faint))
