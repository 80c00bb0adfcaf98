"""Speech as a worse line, a louder room or a more distant microphone gives it: what `benchmarks.lipsync --sound` does."""

import io

import av
import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve, resample_poly

from flap.config import MEDIA_RATE_HZ, SAMPLE_RATE_HZ

Floats = NDArray[np.float32]
KINDS = ("clean", "opus", "noise", "room")
OPUS_BITS_A_SECOND = 16_000  # half of what browsers send at least
NOISE_DB = 10.0  # of speech above noise
REVERBERATION_S, REVERBERATION_DB = 0.4, -6.0


def worse(sound: Floats, kind: str) -> Floats:
    """`sound` `[n]` at 16 kHz, as long and as early as before. Raises ValueError for an unknown kind."""
    if kind == "clean":
        return sound
    if kind == "opus":
        return _opus(sound)
    rng = np.random.default_rng(len(sound))
    if kind == "noise":
        hiss = np.convolve(rng.standard_normal(len(sound)), [0.5, 0.3, 0.2], "same")
        level = np.sqrt((sound**2).mean() / (hiss**2).mean()) * 10 ** (-NOISE_DB / 20)
        return (sound + level * hiss).astype(np.float32)
    if kind == "room":
        seconds = np.arange(int(REVERBERATION_S * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
        response = rng.standard_normal(len(seconds)) * np.exp(-6.9 * seconds / REVERBERATION_S)
        response *= 10 ** (REVERBERATION_DB / 20) / np.sqrt((response**2).sum())
        response[0] = 1
        return np.asarray(fftconvolve(sound, response)[: len(sound)], np.float32)
    raise ValueError(f"no sound {kind!r}: choose one of {', '.join(KINDS)}")


def _opus(sound: Floats) -> Floats:
    """Through an encoder and a decoder."""
    media = np.clip(resample_poly(sound, 3, 1) * 32_767, -32_768, 32_767).astype(np.int16)
    file = io.BytesIO()
    with av.open(file, "w", format="ogg") as out:
        stream = out.add_stream("libopus", rate=MEDIA_RATE_HZ, layout="mono")
        stream.bit_rate = OPUS_BITS_A_SECOND
        frame = av.AudioFrame.from_ndarray(media[None], format="s16", layout="mono")
        frame.sample_rate = MEDIA_RATE_HZ
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)
    file.seek(0)
    resampler = av.AudioResampler("s16", "mono", MEDIA_RATE_HZ)
    with av.open(file) as back:
        pieces = [p.to_ndarray()[0] for frame in back.decode(audio=0) for p in resampler.resample(frame)]
    heard = np.concatenate(pieces)[: len(media)]
    heard = np.pad(heard, (0, len(media) - len(heard)))
    return np.asarray(resample_poly(heard.astype(np.float32) / 32_768, 1, 3)[: len(sound)], np.float32)
