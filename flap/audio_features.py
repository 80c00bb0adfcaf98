"""Causal log-mel features in plain numpy: 40 bands and log energy every 10 ms."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flap.config import SAMPLE_RATE_HZ, exact_div

HOP_SAMPLES = exact_div(SAMPLE_RATE_HZ, 100)
WINDOW_SAMPLES = 400
FFT_SIZE = 512
MEL_BANDS = 40
FEATURES = MEL_BANDS + 1
Floats = NDArray[np.float32]


def _edges_hz() -> NDArray[np.float64]:
    def mel(hz: float) -> float:
        return float(2595 * np.log10(1 + hz / 700))

    return 700 * (10 ** (np.linspace(mel(80), mel(7600), MEL_BANDS + 2) / 2595) - 1)


def _mel_matrix(edges_hz: NDArray[np.float64]) -> Floats:
    bins_hz = np.arange(FFT_SIZE // 2 + 1) * SAMPLE_RATE_HZ / FFT_SIZE
    rising = (bins_hz[:, None] - edges_hz[:-2]) / np.diff(edges_hz)[:-1]
    falling = (edges_hz[2:] - bins_hz[:, None]) / np.diff(edges_hz)[1:]
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


BAND_CENTRES_HZ = _edges_hz()[1:-1]
MEL_MATRIX = _mel_matrix(_edges_hz())
WINDOW = np.hanning(WINDOW_SAMPLES).astype(np.float32)


@dataclass(frozen=True)
class FeatureState:
    tail: Floats  # [WINDOW_SAMPLES - HOP_SAMPLES] samples already seen


class AudioFeatures:
    """Sound at 16 kHz, -1..1, to features of about unit scale; a feature never sees a later sample."""

    def init_state(self) -> FeatureState:
        return FeatureState(np.zeros(WINDOW_SAMPLES - HOP_SAMPLES, np.float32))

    def step(self, pcm: Floats, state: FeatureState) -> tuple[Floats, FeatureState]:
        """`pcm` `[160 k]` to features `[k, 41]`."""
        seen = np.concatenate([state.tail, pcm])
        windows = np.lib.stride_tricks.sliding_window_view(seen, WINDOW_SAMPLES)[::HOP_SAMPLES]
        power = np.abs(np.fft.rfft(windows * WINDOW, FFT_SIZE)).astype(np.float32) ** 2
        mel = np.log(power @ MEL_MATRIX + 1e-5)
        energy = np.log(np.einsum("ij,ij->i", windows, windows)[:, None] / WINDOW_SAMPLES + 1e-8)
        features = np.concatenate([mel / 4, (energy + 8) / 4], 1).astype(np.float32)
        return features, FeatureState(seen[len(seen) - len(state.tail) :])
