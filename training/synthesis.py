"""Synthetic speech whose every sound has a known time: Kokoro (natural voices) and espeak-ng (many languages).

Kokoro-82M is Apache-2.0; its int8 ONNX export, phoneme table and voices come in packages (docs/training.md says how to get
them). Both take the time of each sound from the synthesiser itself, so nothing has to be aligned.
"""

import ctypes
import ctypes.util
import json
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from scipy.signal import resample_poly

from flap.config import SAMPLE_RATE_HZ
from training.phones import Mark, marks_of_ipa, marks_of_symbols
from training.pinyin import syllable

Floats = NDArray[np.float32]
KOKORO_RATE_HZ = 24_000
KOKORO_STEP_S = 600 / KOKORO_RATE_HZ  # unit of its durations
DURATIONS = "/encoder/Clip_output_0"  # inner tensor: how many steps each token lasts
MOST_TOKENS = 500


class SynthesisError(Exception):
    """A synthesiser is missing or refused its text; the message says what to install."""


@dataclass(frozen=True)
class Spoken:
    sound: Floats  # [n] at 16 kHz
    marks: list[Mark]


def ipa_of(text: str, language: str) -> str:
    """What espeak-ng would say, in IPA. Raises SynthesisError."""
    command = ["espeak-ng", "-q", "--ipa", "-v", language, text]
    try:
        return " ".join(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
    except (OSError, subprocess.CalledProcessError) as error:
        raise SynthesisError(f"espeak-ng cannot read {language}: {error}; install espeak-ng") from error


def ipa_of_pinyin(pinyin: str) -> str:
    return " ".join("".join(syllable(part)) for part in pinyin.split())


class Kokoro:
    """A folder with `model.onnx`, `config.json` (its `vocab`) and `voices/*.bin`."""

    def __init__(self, folder: Path, threads: int = 1):
        self._folder = folder
        try:
            self._vocabulary: dict[str, int] = json.loads((folder / "config.json").read_text())["vocab"]
            model = onnx.load(folder / "model.onnx")
        except OSError as error:
            raise SynthesisError(f"no Kokoro in {folder}: {error}") from error
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(DURATIONS))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    @cached_property
    def voices(self) -> list[str]:
        return sorted(path.stem for path in (self._folder / "voices").glob("*.bin"))

    def say(self, ipa: str, voice: str, speed: float = 1.0) -> Spoken:
        symbols = [c for c in ipa if c in self._vocabulary][:MOST_TOKENS]
        tokens = [0, *(self._vocabulary[c] for c in symbols), 0]
        styles = np.fromfile(self._folder / "voices" / f"{voice}.bin", np.float32).reshape(-1, 1, 256)
        inputs = {
            "tokens": np.array([tokens], np.int64),
            "style": styles[min(len(symbols), len(styles) - 1)],
            "speed": np.array([speed], np.float32),
        }
        sound, durations = self._session.run(["audio", DURATIONS], inputs)
        ends_s = np.cumsum(np.ravel(durations).astype(np.float64)) * KOKORO_STEP_S
        starts_s = np.concatenate([[0.0], ends_s[:-1]])
        named = zip([" ", *symbols, " "], starts_s, ends_s, strict=True)
        at_16k = resample_poly(np.ravel(sound), 2, 3).astype(np.float32)
        return Spoken(at_16k, marks_of_symbols([(s, float(a), float(b)) for s, a, b in named]))


class _Event(ctypes.Structure):
    """`espeak_EVENT` of speak_lib.h."""

    class _Id(ctypes.Union):
        _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]

    _fields_ = [
        ("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint), ("text_position", ctypes.c_int), ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int), ("sample", ctypes.c_int), ("user_data", ctypes.c_void_p), ("id", _Id),
    ]  # fmt: skip


class Espeak:
    """libespeak-ng with its phoneme events; one at a time, as the library itself has one voice."""

    LIST_END, PHONEME = 0, 7
    SYNCHRONOUS, PHONEME_EVENTS_IN_IPA = 2, 1 | 2
    RATE, PITCH = 1, 3  # espeak_PARAMETER

    def __init__(self) -> None:
        name = ctypes.util.find_library("espeak-ng")
        if not name:
            raise SynthesisError("libespeak-ng is missing: install espeak-ng")
        self._library = ctypes.CDLL(name)
        self._rate_hz = self._library.espeak_Initialize(self.SYNCHRONOUS, 0, None, self.PHONEME_EVENTS_IN_IPA)
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
        self._callback = kind(self._heard)  # kept: the library calls it as long as it lives
        self._library.espeak_SetSynthCallback(self._callback)
        self._sound: list[NDArray[np.int16]] = []
        self._phonemes: list[tuple[str, float]] = []

    def _heard(self, samples, count, events):  # type: ignore[no-untyped-def]
        if samples and count:
            self._sound.append(np.ctypeslib.as_array(samples, (count,)).copy())
        i = 0
        while events[i].type != self.LIST_END:
            if events[i].type == self.PHONEME:
                phoneme = events[i].id.string.decode("utf-8", "ignore")
                self._phonemes.append((phoneme, events[i].audio_position / 1000))
            i += 1
        return 0

    def say(self, text: str, voice: str, words_per_minute: int = 160, pitch: int = 50) -> Spoken:
        """`voice` is a language, with a variant after a plus sign: `de+f2`. Raises SynthesisError."""
        self._sound, self._phonemes = [], []
        if self._library.espeak_SetVoiceByName(voice.encode()):
            raise SynthesisError(f"espeak-ng has no voice {voice}")
        self._library.espeak_SetParameter(self.RATE, words_per_minute, 0)
        self._library.espeak_SetParameter(self.PITCH, pitch, 0)
        data = text.encode()
        self._library.espeak_Synth(data, len(data) + 1, 0, 0, 0, 1, None, None)  # 1: the text is UTF-8
        self._library.espeak_Synchronize()
        if not self._sound:
            raise SynthesisError(f"espeak-ng said nothing in {voice}")
        sound = np.concatenate(self._sound).astype(np.float32) / 32_768
        starts_s = [start_s for _, start_s in self._phonemes]
        ends_s = [*starts_s[1:], len(sound) / self._rate_hz]
        sounds = [(p, a, b) for (p, _), a, b in zip(self._phonemes, starts_s, ends_s, strict=True)]
        return Spoken(resample_poly(sound, SAMPLE_RATE_HZ, self._rate_hz).astype(np.float32), marks_of_ipa(sounds))
