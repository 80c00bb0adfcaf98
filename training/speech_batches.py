"""Pieces of speech as a microphone might hear them, with what the mouth does: other rooms, noises, tones, levels, speeds, throats."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from flap.audio_features import BAND_CENTRES_HZ, MEL_BANDS, AudioFeatures
from flap.config import FRAME_SAMPLES, SAMPLE_RATE_HZ
from flap.speech import HOPS_PER_FRAME, LOOKAHEAD_FRAMES, OUTPUTS
from training import visemes
from training.phones import MOUTHS, Mark
from training.speech_corpus import Clip

Floats = NDArray[np.float32]
PIECE_FRAMES = 100
FRAMES = PIECE_FRAMES + LOOKAHEAD_FRAMES
LENGTH = FRAMES * FRAME_SAMPLES
SPEECH_LEVEL = 0.1  # root mean square before the microphone's gain
UNKNOWN_MOUTH = -1
NO_VOICE = 0.2  # of the pieces


@dataclass(frozen=True)
class Piece:
    """Arrays of a frame belong to the sound LOOKAHEAD_FRAMES earlier, as the network's output does."""

    features: Floats  # [4 frames, 41]
    weights: Floats  # [frames, outputs]; NaN where not known
    shut: Floats  # [frames, 2]; NaN where not known
    mouth: NDArray[np.int64]  # [frames] index into MOUTHS, UNKNOWN_MOUTH without marks


def features_of(sound: Floats) -> Floats:
    extractor = AudioFeatures()
    return extractor.step(np.asarray(sound, np.float32), extractor.init_state())[0]


def truth(clip: Clip, marks: Sequence[Mark], sound: Floats, frames: int) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Weights, closures and mouths of a stretch of sound that `marks` describe."""
    if not marks:
        return (
            np.full((frames, len(OUTPUTS)), np.nan, np.float32),
            np.full((frames, 2), np.nan, np.float32),
            np.full(frames, UNKNOWN_MOUTH, np.int64),
        )
    mouth = np.zeros(frames, np.int64)
    for name, start_s, end_s in marks:
        inside = (visemes.centres_s(frames) >= start_s) & (visemes.centres_s(frames) < end_s)
        mouth[inside] = MOUTHS.index(name)
    weights = visemes.targets(marks, frames, visemes.relative_loudness(sound, frames))
    return weights, visemes.closures(marks, frames), mouth


def piece(clip: Clip, rng: np.random.Generator) -> Piece:
    """A random piece of a clip, disturbed; one in five is silence or noise, in which the mouth rests."""
    weights = np.zeros((FRAMES, len(OUTPUTS)), np.float32)
    shut, mouth = np.zeros((FRAMES, 2), np.float32), np.zeros(FRAMES, np.int64)
    sound = np.zeros(LENGTH, np.float32)
    if rng.random() > NO_VOICE:
        speed = float(rng.uniform(0.86, 1.18)) if clip.weights is None else 1.0
        needed = int(LENGTH * speed)
        start = int(rng.integers(0, max(1, len(clip.sound) - needed // 2))) // FRAME_SAMPLES * FRAME_SAMPLES
        part = clip.sound[start : start + needed]
        heard = np.interp(np.arange(int(len(part) / speed)) * speed, np.arange(len(part)), part)[:LENGTH]
        sound[: len(heard)] = heard * SPEECH_LEVEL / (np.sqrt((clip.sound**2).mean()) + 1e-4)
        start_s, end_s = start / SAMPLE_RATE_HZ, (start + len(part)) / SAMPLE_RATE_HZ
        marks = [
            (name, (a - start_s) / speed, (b - start_s) / speed)
            for name, a, b in clip.marks
            if b > start_s - 0.2 and a < end_s + 0.2
        ]
        weights, shut, mouth = truth(clip, marks, sound, FRAMES)
        if clip.weights is not None:
            first = start // FRAME_SAMPLES
            measured = clip.weights[first : first + FRAMES]
            weights[: len(measured)] = np.where(np.isnan(measured), weights[: len(measured)], measured)
        sound = _room(sound, rng)
        noise_db = rng.uniform(-45, -8)
    else:
        sound = _rattle(rng)
        noise_db = rng.uniform(-45, 0)
    sound = sound + _noise(rng) * SPEECH_LEVEL * 10 ** (noise_db / 20)
    sound = _tone(sound, rng) * 10 ** rng.uniform(-0.75, 0.35)
    delay = LOOKAHEAD_FRAMES
    pad = ((delay, 0), (0, 0))
    features = features_of(np.clip(sound, -1, 1))[: PIECE_FRAMES * HOPS_PER_FRAME]
    return Piece(
        masked(of_another_throat(features, rng), rng),
        np.pad(weights, pad)[:PIECE_FRAMES],
        np.pad(shut, pad)[:PIECE_FRAMES],
        np.pad(mouth, (delay, 0))[:PIECE_FRAMES],
    )


def _noise(rng: np.random.Generator) -> Floats:
    """Hiss, hum or babble-like rumble of root mean square 1, between white and 1/f."""
    spectrum = fft.rfft(rng.standard_normal(LENGTH, np.float32))
    hz = fft.rfftfreq(LENGTH, 1 / SAMPLE_RATE_HZ) + 20
    noise = fft.irfft(spectrum * (hz ** -rng.uniform(0, 1.1)).astype(np.float32), LENGTH)
    if rng.random() < 0.3:  # it swells and fades
        noise = noise * (1 + 0.9 * np.sin(np.arange(LENGTH) / SAMPLE_RATE_HZ * 2 * np.pi * rng.uniform(0.3, 5)))
    return (noise / (np.sqrt((noise**2).mean()) + 1e-9)).astype(np.float32)


def _rattle(rng: np.random.Generator) -> Floats:
    """No voice: nothing, strokes of keys, or chords."""
    kind = rng.choice(3, p=(0.2, 0.3, 0.5))  # music is most like a voice
    sound = np.zeros(LENGTH, np.float32)
    seconds = np.arange(LENGTH) / SAMPLE_RATE_HZ
    if kind == 1:
        for at in rng.integers(0, LENGTH - 900, rng.integers(4, 40)):
            click = rng.standard_normal(800) * np.exp(-np.arange(800) / rng.uniform(30, 250))
            sound[at : at + 800] += (click * rng.uniform(0.05, 0.5)).astype(np.float32)
    if kind == 2:
        for _ in range(rng.integers(3, 9)):
            hz, swell = rng.uniform(80, 1500), rng.uniform(0.2, 4)
            beat = np.clip(np.sin(2 * np.pi * swell * seconds + rng.uniform(0, 6)), 0, 1) ** 0.3
            sound += (0.05 * beat * np.sin(2 * np.pi * hz * seconds)).astype(np.float32)
    return sound


def _room(sound: Floats, rng: np.random.Generator) -> Floats:
    """Half of all speech is heard in a room of 0.1 to 0.6 s of reverberation."""
    if rng.random() < 0.5:
        return sound
    decay_s = rng.uniform(0.1, 0.6)
    seconds = np.arange(int(decay_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    response = rng.standard_normal(len(seconds)) * np.exp(-6.9 * seconds / decay_s)
    response *= 10 ** (rng.uniform(-22, -4) / 20) / np.sqrt((response**2).sum())
    response[0] = 1
    size = fft.next_fast_len(LENGTH + len(response), real=True)
    return fft.irfft(fft.rfft(sound, size) * fft.rfft(response.astype(np.float32), size), size)[:LENGTH].astype(
        np.float32
    )


def _tone(sound: Floats, rng: np.random.Generator) -> Floats:
    """A microphone's curve of up to 9 dB, and sometimes a line that ends at 3.4 to 7 kHz."""
    hz = fft.rfftfreq(LENGTH, 1 / SAMPLE_RATE_HZ)
    knots = np.geomspace(80, 8000, 7)
    curve_db = np.interp(np.log(hz + 40), np.log(knots), rng.uniform(-9, 9, 7) * rng.random())
    if rng.random() < 0.3:
        curve_db = curve_db - 60 / (1 + np.exp(-(hz - rng.uniform(3400, 7000)) / 100))
    return fft.irfft(fft.rfft(sound) * (10 ** (curve_db / 20)).astype(np.float32), LENGTH).astype(np.float32)


def of_another_throat(features: Floats, rng: np.random.Generator) -> Floats:
    """Half of all pieces have their resonances up to 12 % higher or lower, as a shorter or longer vocal tract has them."""
    if rng.random() < 0.5:
        return features
    heard_hz = BAND_CENTRES_HZ * rng.uniform(0.89, 1.12)
    place = np.interp(heard_hz, BAND_CENTRES_HZ, np.arange(MEL_BANDS))
    below = np.minimum(place.astype(int), MEL_BANDS - 2)
    part = (place - below).astype(np.float32)
    warped = features.copy()
    warped[:, :MEL_BANDS] = features[:, below] * (1 - part) + features[:, below + 1] * part
    return warped


def masked(features: Floats, rng: np.random.Generator) -> Floats:
    """Four pieces in ten say nothing in up to six neighbouring bands (SpecAugment's frequency mask)."""
    if rng.random() < 0.6:
        return features
    width = int(rng.integers(1, 7))
    first = int(rng.integers(0, MEL_BANDS - width))
    masked = features.copy()
    masked[:, first : first + width] = features[:, first : first + width].mean(0)
    return masked
