"""When each sound of a known text is spoken: forced alignment with pocketsphinx.

Its acoustic model is English. Other languages are aligned with the nearest English sounds, which is good enough to say when
lips meet.
"""

import re
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pocketsphinx
from numpy.typing import NDArray

from flap.config import SAMPLE_RATE_HZ
from training.phones import Mark, marks_of_arpabet, marks_of_symbols
from training.pinyin import syllable
from training.synthesis import ipa_of

Floats = NDArray[np.float32]
PAD_S = 0.25  # faint noise around clips that were cut tightly
NOISE = 1e-4
FRAME_S = 0.01
SMALLEST_SHARE_OF_SPEECH = 0.4  # less of a clip within words means that the alignment collapsed

# nearest English sound of each IPA symbol, for words that the dictionary lacks and for other languages
ARPABET_OF_IPA = {
    "p": "P", "b": "B", "m": "M", "f": "F", "v": "V", "w": "W", "θ": "TH", "ð": "DH", "t": "T", "d": "D", "n": "N", "s": "S",
    "z": "Z", "ʃ": "SH", "ʒ": "ZH", "ʧ": "CH", "ʤ": "JH", "l": "L", "ɹ": "R", "ɾ": "D", "k": "K", "ɡ": "G", "g": "G", "ŋ": "NG",
    "h": "HH", "x": "HH", "j": "Y", "ɑ": "AA", "a": "AA", "ɐ": "AH", "ʌ": "AH", "ə": "AH", "ɚ": "ER", "ɜ": "ER", "æ": "AE",
    "ɛ": "EH", "e": "EH", "ɪ": "IH", "i": "IY", "ɨ": "IH", "ᵻ": "IH", "ɔ": "AO", "o": "AO", "ʊ": "UH", "u": "UW", "y": "UW",
    "ɤ": "AH", "ɥ": "Y", "ꭧ": "JH", "ʂ": "SH", "ɻ": "R", "ʦ": "Z", "ʨ": "JH", "ɕ": "SH", "ʁ": "R", "r": "R", "ʀ": "R", "ø": "ER",
    "œ": "ER", "ɵ": "ER", "ʏ": "UW", "ɯ": "UH", "ɒ": "AO", "ɘ": "AH", "ɲ": "N", "ɳ": "N", "ɱ": "M", "ʎ": "L", "ɭ": "L", "ɫ": "L",
    "β": "V", "ʋ": "V", "ɣ": "G", "q": "K", "χ": "HH", "ħ": "HH", "ɦ": "HH", "ç": "SH", "ʐ": "ZH", "ʑ": "ZH", "ʥ": "JH", "ɟ": "JH",
    "c": "CH", "ɖ": "D", "ʈ": "T",
}  # fmt: skip
AFFRICATES = {"tʃ": "ʧ", "dʒ": "ʤ", "tɕ": "ʨ", "dʑ": "ʥ", "ts": "ʦ"}  # one sound for the aligner
SPOKEN = frozenset(ARPABET_OF_IPA.values())


class AlignmentError(Exception):
    """A clip and its text do not fit together."""


class Aligner:
    """Words to the times of their phones."""

    def __init__(self) -> None:
        self._decoder = pocketsphinx.Decoder(bestpath=False, loglevel="FATAL")
        self._noise = np.random.default_rng(0).standard_normal(int(PAD_S * SAMPLE_RATE_HZ)).astype(np.float32) * NOISE

    def add(self, word: str, phones: list[str]) -> None:
        if self._decoder.lookup_word(word) is None:
            self._decoder.add_word(word, " ".join(phones), False)  # what is aligned next looks it up anyway

    def knows(self, word: str) -> bool:
        return self._decoder.lookup_word(word) is not None

    def align(self, sound: Floats, words: list[str]) -> list[tuple[str, float, float]]:
        """(phone, start s, end s) in order, `SIL` between words. Raises AlignmentError."""
        padded = np.concatenate([self._noise, sound, self._noise])
        data = (np.clip(padded, -1, 1) * 32_767).astype(np.int16).tobytes()
        try:
            self._decoder.set_align_text(" ".join(words))
            self._hear(data)
            self._decoder.set_alignment()
            self._hear(data)
            alignment = self._decoder.get_alignment()
        except RuntimeError as error:
            raise AlignmentError(f"no alignment for {' '.join(words)!r}: {error}") from error
        if alignment is None:
            raise AlignmentError(f"no alignment for {' '.join(words)!r}")
        length_s, phones = len(sound) / SAMPLE_RATE_HZ, []
        for phone in alignment.phones():
            start_s = min(max(phone.start * FRAME_S - PAD_S, 0.0), length_s)
            end_s = min(max((phone.start + phone.duration) * FRAME_S - PAD_S, 0.0), length_s)
            if end_s > start_s:
                phones.append((phone.name, start_s, end_s))
        spoken_s = sum(end_s - start_s for name, start_s, end_s in phones if name != "SIL")
        if spoken_s < SMALLEST_SHARE_OF_SPEECH * length_s:
            raise AlignmentError(f"only {spoken_s:.1f} of {length_s:.1f} s were found to be {' '.join(words)!r}")
        return phones

    def _hear(self, data: bytes) -> None:
        self._decoder.start_utt()
        self._decoder.process_raw(data, full_utt=True)
        self._decoder.end_utt()


class EnglishAligner:
    @cached_property
    def _aligner(self) -> Aligner:
        return Aligner()

    def align(self, sound: Floats, text: str) -> list[Mark]:
        """Marks of a clip that says `text`. Raises AlignmentError."""
        words = re.findall(r"[a-z']+", text.lower().replace("’", "'"))
        for word in words:
            if not self._aligner.knows(word):
                phones = [ARPABET_OF_IPA[c] for c in ipa_of(word, "en-us") if c in ARPABET_OF_IPA]
                self._aligner.add(word, phones or ["AH"])
        return marks_of_arpabet(self._aligner.align(sound, words))


class SoundAligner:
    """Words of any language, given by their sounds."""

    @cached_property
    def _aligner(self) -> Aligner:
        return Aligner()

    def align_sounds(self, sound: Floats, words: Sequence[Sequence[str]]) -> list[Mark]:
        """Marks of a clip in which `words` are spoken, each as its IPA symbols, all in ARPABET_OF_IPA. Raises AlignmentError."""
        names, symbols = [], [symbol for word in words for symbol in word]
        for word in words:
            english = [ARPABET_OF_IPA[symbol] for symbol in word]
            names.append("sounds" + "".join(english).lower())
            self._aligner.add(names[-1], english)
        phones = self._aligner.align(sound, names)
        spoken = [phone for phone in phones if phone[0] in SPOKEN]
        if len(spoken) != len(symbols):
            raise AlignmentError(f"{len(symbols)} sounds of {''.join(symbols)!r} were found as {len(spoken)}")
        sounds = iter(symbols)
        named = [(next(sounds) if name in SPOKEN else " ", start_s, end_s) for name, start_s, end_s in phones]
        return marks_of_symbols(named)


class MandarinAligner(SoundAligner):
    def align(self, sound: Floats, pinyin: str) -> list[Mark]:
        """Marks of a clip that says `pinyin`. Raises AlignmentError, or ValueError for what is no pinyin."""
        parts = [part for part in pinyin.split() if part.strip("()")]
        return self.align_sounds(sound, [[c for c in syllable(part)[0] if c in ARPABET_OF_IPA] for part in parts])


class ReadAligner(SoundAligner):
    """A language whose letters espeak-ng reads."""

    def __init__(self, language: str):
        self._language = language

    def align(self, sound: Floats, text: str) -> list[Mark]:
        """Marks of a clip that says `text`. Raises AlignmentError, also where a foreign word is read as another language's;
        SynthesisError without espeak-ng."""
        ipa = ipa_of(text, self._language)
        if "(" in ipa:
            raise AlignmentError(f"not all of {text!r} is {self._language}")
        if self._language == "ru":
            ipa = ipa.replace("y", "ɨ")  # its name for ы
        for two, one in AFFRICATES.items():
            ipa = ipa.replace(two, one)
        words = [[c for c in word if c in ARPABET_OF_IPA] for word in ipa.split()]
        return self.align_sounds(sound, [word for word in words if word])
