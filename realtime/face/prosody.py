"""How speech is said: loudness, stressed syllables and pitch of every frame, which head and brows follow."""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flap.config import FRAME_SAMPLES, SAMPLE_RATE_HZ

Floats = NDArray[np.float32]
LOUDEST = 0.15  # root mean square of a frame that counts as loudness 1
SPEECH_DB = -50.0  # what is quieter than this is no speech
STRESS_RISE_DB = 8.0  # within PAST_FRAMES a stressed syllable gets louder by this at least,
STRESS_ABOVE_DB = 1.0  # and louder than speech has been on average
FULL_STRESS_DB = 8.0  # above the average: a stress of 1
STRESS_GAP_FRAMES = 8  # stresses are this far apart at least
AVERAGE_RATE = 0.02  # share of the way to the present level or pitch that the average goes each spoken frame
FAR_SEMITONES, FAR_RATE = 6.0, 0.1  # further from the average is another voice, which is got used to faster
PAST_FRAMES = 3
LOWEST_HZ, HIGHEST_HZ = 70, 400
WINDOW_SAMPLES = 1024  # 64 ms: more than four periods of the lowest pitch
FFT_SIZE = 2 * WINDOW_SAMPLES
PERIODIC = 0.45  # of the energy repeats after a period: a voice
MOST_SEMITONES = 12.0
_WINDOW = np.hanning(WINDOW_SAMPLES).astype(np.float32)
_WINDOW_REPEATS = np.fft.irfft(np.abs(np.fft.rfft(_WINDOW, FFT_SIZE)) ** 2)
_LAGS = np.arange(SAMPLE_RATE_HZ // HIGHEST_HZ, SAMPLE_RATE_HZ // LOWEST_HZ + 1)


@dataclass(frozen=True)
class Prosody:
    """Of the frames of a chunk."""

    loudness: Floats  # [n] 0..1
    stress: Floats  # [n] 0..1, above 0 only in the frame in which a stressed syllable sets in
    pitch: Floats  # [n] semitones above the speaker's own average, 0 without voice


def silence(frames: int) -> Prosody:
    return Prosody(*(np.zeros(frames, np.float32) for _ in range(3)))


@dataclass(frozen=True)
class ProsodyState:
    tail: Floats = field(default_factory=lambda: np.zeros(WINDOW_SAMPLES - FRAME_SAMPLES, np.float32))
    level_db: tuple[float, ...] = ()  # of frames that are still needed: the past ones and those heard ahead
    pitch_hz: tuple[float, ...] = ()  # of frames heard ahead, 0 without voice
    average_db: float | None = None
    average_pitch: float | None = None  # semitones above 1 Hz
    since_stress: int = STRESS_GAP_FRAMES


class ProsodyStage:
    """Comes out `lookahead_frames` after the sound went in, as faces do, and knows that much of what follows."""

    def __init__(self, lookahead_frames: int):
        self._ahead = lookahead_frames

    def init_state(self) -> ProsodyState:
        return ProsodyState(level_db=(-100.0,) * (PAST_FRAMES + self._ahead), pitch_hz=(0.0,) * self._ahead)

    def step(self, pcm: Floats, state: ProsodyState) -> tuple[Prosody, ProsodyState]:
        """`pcm` `[640 n]` at 16 kHz in -1..1."""
        out: list[tuple[float, float, float]] = []
        for frame in pcm.reshape(-1, FRAME_SAMPLES):
            heard = np.concatenate([state.tail, frame])
            levels = (*state.level_db, 10 * math.log10(float(frame @ frame) / FRAME_SAMPLES + 1e-10))
            pitches = (*state.pitch_hz, pitch_hz(heard) if levels[-1] > SPEECH_DB else 0.0)
            made, state = self._frame(levels, pitches, state, heard[FRAME_SAMPLES:])
            out.append(made)
        loudness, stress, pitch = np.array(out, np.float32).reshape(-1, 3).T
        return Prosody(loudness, stress, pitch), state

    def _frame(
        self, levels: tuple[float, ...], pitches: tuple[float, ...], state: ProsodyState, tail: Floats
    ) -> tuple[tuple[float, float, float], ProsodyState]:
        level_db, voice_hz = levels[PAST_FRAMES], pitches[0]
        average_db, average_pitch = state.average_db, state.average_pitch
        if level_db > SPEECH_DB:
            average_db = level_db if average_db is None else average_db + AVERAGE_RATE * (level_db - average_db)
        pitch = 0.0
        if voice_hz:
            semitones = 12 * float(np.log2(voice_hz))
            off = 0.0 if average_pitch is None else semitones - average_pitch
            average_pitch = semitones - off + (AVERAGE_RATE if abs(off) < FAR_SEMITONES else FAR_RATE) * off
            pitch = float(np.clip(semitones - average_pitch, -MOST_SEMITONES, MOST_SEMITONES))
        stress = 0.0
        if average_db is not None and state.since_stress >= STRESS_GAP_FRAMES:
            stress = _stress(levels, average_db)
        loudness = min(10 ** (level_db / 20) / LOUDEST, 1.0)
        since = 0 if stress else min(state.since_stress + 1, STRESS_GAP_FRAMES)
        following = ProsodyState(tail, levels[1:], pitches[1:], average_db, average_pitch, since)
        return (loudness, stress, pitch), following


def _stress(levels: tuple[float, ...], average_db: float) -> float:
    """How much a stressed syllable sets in at the frame PAST_FRAMES: it, or what follows, is louder than what was."""
    reached = max(levels[PAST_FRAMES:])
    if reached - min(levels[: PAST_FRAMES + 1]) < STRESS_RISE_DB or levels[PAST_FRAMES] <= levels[PAST_FRAMES - 1]:
        return 0.0
    return float(np.clip((reached - average_db - STRESS_ABOVE_DB) / (FULL_STRESS_DB - STRESS_ABOVE_DB), 0, 1))


def pitch_hz(sound: Floats) -> float:
    """The voice's pitch in `[1024]` samples by their autocorrelation, 0 when nothing repeats."""
    spectrum = np.fft.rfft(sound * _WINDOW, FFT_SIZE)
    repeats = np.fft.irfft(np.abs(spectrum) ** 2)
    if repeats[0] <= 1e-9:
        return 0.0
    found = (repeats / repeats[0] / (_WINDOW_REPEATS / _WINDOW_REPEATS[0]))[_LAGS]
    best = int(found.argmax())
    if found[best] < PERIODIC or best in (0, len(_LAGS) - 1):
        return 0.0
    # of lags that fit about as well the shortest is the period, the others are its multiples
    first = next(
        i for i in range(1, best + 1) if found[i] > 0.9 * found[best] and found[i] >= found[i - 1 : i + 2].max()
    )
    return SAMPLE_RATE_HZ / float(_LAGS[first])
