"""Speech to measure with: recorded when a folder of it is there, else synthesised, else a voice-like tone."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import REPOSITORY
from flap.config import MEDIA_RATE_HZ

RECORDED = REPOSITORY.parent / "shared" / "data" / "speech" / "ljspeech_librivox"
SENTENCE = (
    "Printing, in the only sense with which we are at present concerned, differs from most if not from all the arts "
    "and crafts represented in the exhibition, in being comparatively modern."
)

Sound = NDArray[np.int16]


def speech(folder: Path, seconds: float) -> tuple[Sound, str]:
    """Mono sound at 48 kHz of at least `seconds`, repeated if need be, and where it comes from."""
    files = sorted(path for path in folder.glob("*") if path.suffix in (".flac", ".wav", ".ogg"))
    parts: list[Sound] = []
    for path in files:
        if sum(map(len, parts)) >= seconds * MEDIA_RATE_HZ:
            break
        parts.append(read_sound(path))
    source = f"recorded speech, {len(parts)} files of {folder.name}"
    if not parts:
        parts, source = [_synthesised()], "espeak-ng"
    if not len(parts[0]):
        parts, source = [_tone()], "a tone that comes and goes"
    sound = np.concatenate(parts)
    repeats = int(np.ceil(seconds * MEDIA_RATE_HZ / len(sound)))
    return np.tile(sound, max(repeats, 1)), source


def read_sound(path: Path) -> Sound:
    """Any sound file as mono 16-bit samples at 48 kHz."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=MEDIA_RATE_HZ)
    with av.open(str(path)) as container:
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])


def _synthesised() -> Sound:
    if not shutil.which("espeak-ng"):
        return np.zeros(0, np.int16)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        subprocess.run(["espeak-ng", "-w", str(path), SENTENCE], check=True)
        return read_sound(path)


def _tone() -> Sound:
    seconds = np.arange(10 * MEDIA_RATE_HZ) / MEDIA_RATE_HZ
    syllables = np.clip(np.sin(2 * np.pi * 4 * seconds), 0, None)
    voice = sum(np.sin(2 * np.pi * 120 * harmonic * seconds) / harmonic for harmonic in range(1, 20))
    return (6000 * syllables * voice).astype(np.int16)
