"""Makes the speech that audio-to-FLAME learns from and is tested with: sounds with the time of every mouth.

    python -m training.speech_corpus --speech ../shared/data/speech --out runs/speech [--kokoro FOLDER] [--librispeech-more FOLDER]
        [--librispeech-part FOLDER] [--common-voice FOLDER]

Recorded speech is aligned by force, synthetic speech comes with its times, measured faces come with their weights. Synthetic
speech that stands in `out` already is left alone; recordings are aligned again. Without `--kokoro` the natural synthetic
voices are left out, without the other three most of the speakers (docs/audio.md says where all of them come from).
"""

import argparse
import csv
import itertools
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import resample_poly

from flap.config import SAMPLE_RATE_HZ
from flap.speech import OUTPUTS
from training.alignment import AlignmentError, EnglishAligner, MandarinAligner, ReadAligner
from training.phones import Mark, marks_of_arpabet, without_pauses
from training.pinyin import syllable
from training.synthesis import Espeak, Kokoro, SynthesisError, ipa_of, ipa_of_pinyin

TEXTS = Path(__file__).parent / "texts"
KOKORO_LANGUAGES = {"a": "en-us", "b": "en-gb", "e": "es", "f": "fr-fr", "p": "pt-br", "i": "it", "z": "zh"}
ESPEAK_LANGUAGES = ("de", "ru", "tr", "en", "es")
TEST_LANGUAGE = "it"
TEST_VOICES = frozenset({"am_puck", "bf_emma", "af_nova", "zm_yunyang"})
MORE_LINES_OF_A_VOICE = 12
# where sounds are heard against their marks, measured by correlating marks of hisses and vowels with their spectra
ALIGNED = ("ljspeech", "librivox", "librispeech", "librispeech_part", "common_voice", "aishell", "grid")
LATE_S = {**dict.fromkeys(ALIGNED, 0.015), "kokoro": -0.055}
EVERY_WHICH_LIBRISPEECH_SPEAKER_TESTS = 7
EVERY_WHICH_COMMON_VOICE_SPEAKER_TESTS = 10
# Common Voice's folders whose letters espeak-ng reads, by its name for the language; en and zh-* have aligners of their own
READ_LANGUAGES = {
    **{name: name for name in "ca cs cy de el eo es et eu fi fr hi hu id it ka lt lv nl pl pt ro ru sl tr".split()},
    "sv-SE": "sv",
}


@dataclass(frozen=True)
class Clip:
    """Sound with what the mouth does in it: marks, or `weights` of `measured` shapes, or both."""

    name: str
    source: str
    speaker: str
    language: str
    test: bool  # its speaker, or at least its recording, is never trained on
    sound: NDArray[np.float32]  # [n] at 16 kHz
    marks: list[Mark]
    weights: NDArray[np.float32] | None = None  # [frames, outputs] measured; NaN where a shape was not


def save(folder: Path, clip: Clip) -> None:
    mouths, starts, ends = zip(*clip.marks, strict=True) if clip.marks else ((), (), ())
    unfinished = folder / f"{clip.name}.partial"
    with unfinished.open("wb") as file:
        np.savez(
            file,
            about=np.array([clip.source, clip.speaker, clip.language, "test" if clip.test else "train"]),
            sound=(np.clip(clip.sound, -1, 1) * 32_767).astype(np.int16),
            mouths=np.array(mouths, dtype=str),
            times_s=np.array([starts, ends], np.float32),
            weights=np.zeros((0, len(OUTPUTS)), np.float32) if clip.weights is None else clip.weights,
        )
    unfinished.rename(folder / f"{clip.name}.npz")


def load(path: Path) -> Clip:
    with np.load(path, allow_pickle=False) as stored:
        source, speaker, language, part = (str(text) for text in stored["about"])
        starts, ends = stored["times_s"].tolist()
        late_s = LATE_S.get(source, 0.0)
        marks = [(str(m), a + late_s, b + late_s) for m, a, b in zip(stored["mouths"], starts, ends, strict=True)]
        sound = stored["sound"].astype(np.float32) / 32_767
        weights = stored["weights"] if len(stored["weights"]) else None
    return Clip(path.stem, source, speaker, language, part == "test", sound, without_pauses(marks), weights)


def load_all(folder: Path) -> list[Clip]:
    """Every clip of a corpus folder in the order of names."""
    return [load(path) for path in sorted(folder.glob("*.npz"))]


# --- recorded


def librispeech(folder: Path) -> Iterator[Clip]:
    """First utterances of many speakers, some kept for testing."""
    return _librispeech(folder, "librispeech", EVERY_WHICH_LIBRISPEECH_SPEAKER_TESTS)


def librispeech_more(folder: Path) -> Iterator[Clip]:
    """Those of further speakers, all to learn from."""
    return _librispeech(folder, "librispeech_more", None)


def _librispeech(folder: Path, texts: str, every_which_tests: int | None) -> Iterator[Clip]:
    """The transcripts in texts/ were made with Whisper and skimmed, not checked word by word."""
    aligner = EnglishAligner()
    rows = list(csv.reader((TEXTS / f"{texts}.tsv").open(), delimiter="\t"))
    for number, (name, text) in enumerate(rows):
        sound = _read(folder / f"{name}.flac")
        speaker = name.split("-")[0]
        test = every_which_tests is not None and number % every_which_tests == 0
        try:
            yield Clip(f"librispeech-{name}", "librispeech", speaker, "en", test, sound, aligner.align(sound, text))
        except AlignmentError as error:
            print(f"left out: {error}", file=sys.stderr)


def librispeech_part(folder: Path) -> Iterator[Clip]:
    """A part of LibriSpeech as it is published, dev-clean for example, all to learn from."""
    aligner = EnglishAligner()
    for transcripts in sorted(folder.rglob("*.trans.txt")):
        for line in transcripts.read_text().splitlines():
            name, text = line.split(" ", 1)
            found = next(transcripts.parent.glob(f"{name}.*"), None)
            if found is None:
                raise FileNotFoundError(f"{transcripts} names {name}, and there is no such sound beside it")
            sound = _read(found)
            try:
                marks = aligner.align(sound, text)
            except AlignmentError as error:
                print(f"left out: {error}", file=sys.stderr)
                continue
            yield Clip(f"librispeech_part-{name}", "librispeech_part", name.split("-")[0], "en", False, sound, marks)


def common_voice(folder: Path) -> Iterator[Clip]:
    """Many people on their own microphones in many languages; one in ten and all who speak TEST_LANGUAGE are kept for testing."""
    pinyin = dict(csv.reader((TEXTS / "common_voice_zh.tsv").open(), delimiter="\t"))
    testing = {row["client_id"] for row in _common_voice_rows(folder / TEST_LANGUAGE)}
    for language in sorted(path.name for path in folder.iterdir()):
        aligner: EnglishAligner | MandarinAligner | ReadAligner
        if language == "en":
            aligner = EnglishAligner()
        elif language in ("zh-CN", "zh-TW"):
            aligner = MandarinAligner()
        elif language in READ_LANGUAGES:
            aligner = ReadAligner(READ_LANGUAGES[language])
        else:
            continue
        for row in _common_voice_rows(folder / language):
            name, speaker = Path(row["path"]).stem, row["client_id"][:16]
            text = pinyin.get(name, "") if isinstance(aligner, MandarinAligner) else row["sentence"]
            test = row["client_id"] in testing or int(speaker, 16) % EVERY_WHICH_COMMON_VOICE_SPEAKER_TESTS == 0
            sound = _read(folder / language / "clips" / row["path"])
            try:
                marks = aligner.align(sound, text)
            except (AlignmentError, ValueError) as error:
                print(f"left out: {name}: {error}", file=sys.stderr)
                continue
            yield Clip(name, "common_voice", speaker, language[:2], test, sound, marks)


def _common_voice_rows(folder: Path) -> list[dict[str, str]]:
    """None where a language is not there."""
    if not folder.is_dir():
        return []
    with (folder / "validated.tsv").open() as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def ljspeech(folder: Path) -> Iterator[Clip]:
    """The alignments of the corpus folder; the LibriVox reader is kept for testing."""
    phones: dict[str, list[tuple[str, float, float]]] = {}
    with (folder / "phones.tsv").open() as file:
        for row in csv.DictReader(file, delimiter="\t"):
            phones.setdefault(row["clip"], []).append((row["phone"], float(row["start_s"]), float(row["end_s"])))
    for name, sounds in phones.items():
        librivox = not name.startswith("LJ")
        speaker = "librivox" if librivox else "lj"
        yield Clip(
            f"ljspeech-{name}", "librivox" if librivox else "ljspeech", speaker, "en", librivox,
            _read(folder / f"{name}.flac"), marks_of_arpabet(sounds),
        )  # fmt: skip


def aishell(folder: Path) -> Iterator[Clip]:
    aligner = MandarinAligner()
    for row in _rows(folder):
        sound = _read(folder / row["file"])
        try:
            marks = aligner.align(sound, row["pinyin"])
        except (AlignmentError, ValueError) as error:
            print(f"left out: {row['file']}: {error}", file=sys.stderr)
            continue
        yield Clip(f"aishell-{Path(row['file']).stem}", "aishell", row["speaker"], "zh", False, sound, marks)


def grid(folder: Path) -> Iterator[Clip]:
    """A speaker kept for testing: tracked on video, so that lips can be compared with measured ones."""
    aligner = EnglishAligner()
    with np.load(folder / "face_coefficients.npz", allow_pickle=False) as data:
        columns = [[str(n) for n in data["blendshape_names"]].index(name) for name in OUTPUTS]
        measured = dict(
            zip((Path(str(n)).stem for n in data["clips"]), data["blendshapes"][:, :, columns], strict=True)
        )
    for row in _rows(folder):
        name = Path(row["file"]).stem
        sound = _read(folder / row["file"])
        try:
            marks = aligner.align(sound, row["text"])
        except AlignmentError:
            continue
        yield Clip(f"grid-{name}", "grid", "grid-s1", "en", True, sound, marks, measured[name].astype(np.float32))


def facegood(folder: Path) -> Iterator[Clip]:
    """Tracked weights of a Maya rig at 30 frames a second; only the jaw has the same meaning here. No text."""
    for path in sorted(folder.glob("*.npz")):
        with np.load(path, allow_pickle=False) as data:
            jaw = data["values"][:, [str(n) for n in data["names"]].index("mouth_stretch_c")]
        sound = _read(path.with_suffix(".flac"))
        centres_s = (np.arange(len(sound) // 640) + 0.5) / 25
        weights = np.full((len(centres_s), len(OUTPUTS)), np.nan, np.float32)
        weights[:, OUTPUTS.index("jawOpen")] = np.interp(centres_s, (np.arange(len(jaw)) + 0.5) / 30, jaw)
        test = path.stem == "1114_3_15"
        yield Clip(f"facegood-{path.stem}", "facegood", "facegood", "zh", test, sound, [], weights)


# --- synthetic


def kokoro(folder: Path, done: set[str]) -> Iterator[Clip]:
    """Natural voices; every voice says a part of its language's sentences at its own speed."""
    synthesiser = Kokoro(folder)
    rng = np.random.default_rng(7)
    sentences = {language: _sentences(language[:2]) for language in KOKORO_LANGUAGES.values() if language != "zh"}
    sentences["zh"] = _mandarin_lines()
    for place, voice in enumerate(v for v in synthesiser.voices if v[0] in KOKORO_LANGUAGES):
        language = KOKORO_LANGUAGES[voice[0]]
        texts = sentences[language]
        count = {"en": 8, "zh": 10}.get(language[:2], len(texts))
        for i in range(count):
            speed = float(rng.uniform(0.85, 1.2))
            name = f"kokoro-{voice}-{i:02d}"
            if name in done:
                continue
            text = texts[(place * 5 + i) % len(texts)]
            spoken = synthesiser.say(ipa_of_pinyin(text) if language == "zh" else ipa_of(text, language), voice, speed)
            test = voice in TEST_VOICES or language == TEST_LANGUAGE
            yield Clip(name, "kokoro", voice, language[:2], test, spoken.sound, spoken.marks)


def kokoro_more(folder: Path, done: set[str]) -> Iterator[Clip]:
    """Voices that are trained on, none that test, say what hosts say, letters and numbers too, some of them in a hurry."""
    synthesiser = Kokoro(folder)
    rng = np.random.default_rng(9)
    voices = [v for v in synthesiser.voices if v[0] in KOKORO_LANGUAGES and v not in TEST_VOICES]
    for place, voice in enumerate(voices):
        language = KOKORO_LANGUAGES[voice[0]]
        if language == TEST_LANGUAGE:
            continue
        texts = _mandarin_lines("zh_pinyin_more") if language == "zh" else _sentences(f"{language[:2]}_more")
        for i in range(MORE_LINES_OF_A_VOICE):
            speed = float(rng.uniform(0.9, 1.4))
            name = f"kokoro-{voice}-more{i:02d}"
            if name in done:
                continue
            text = texts[(place * 5 + i) % len(texts)]
            spoken = synthesiser.say(ipa_of_pinyin(text) if language == "zh" else ipa_of(text, language), voice, speed)
            yield Clip(name, "kokoro", voice, language[:2], False, spoken.sound, spoken.marks)


def espeak(done: set[str]) -> Iterator[Clip]:
    synthesiser = Espeak()
    rng = np.random.default_rng(8)
    for language in ESPEAK_LANGUAGES:
        for i, (text, variant) in enumerate(
            zip(_sentences(language), itertools.cycle(("m1", "f2", "m3", "f4", "m7", "f5")), strict=False)
        ):
            rate, pitch = int(rng.integers(120, 210)), int(rng.integers(25, 75))
            name = f"espeak-{language}-{i:02d}"
            if name not in done:
                spoken = synthesiser.say(text, f"{language}+{variant}", rate, pitch)
                yield Clip(name, "espeak", f"espeak-{variant}", language, False, spoken.sound, spoken.marks)


def _mandarin_lines(name: str = "zh_pinyin") -> list[str]:
    """Sentences in pinyin, every syllable checked."""
    lines = _sentences(name)
    for line in lines:
        for part in line.split():
            syllable(part)
    return lines


def _sentences(name: str) -> list[str]:
    return (TEXTS / f"{name}.txt").read_text().splitlines()


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "index.tsv").open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def _read(path: Path) -> NDArray[np.float32]:
    """One voice at 16 kHz, whatever the file has."""
    sound, rate_hz = soundfile.read(path, dtype="float32")
    mono = sound if sound.ndim == 1 else sound.mean(1)
    if rate_hz != SAMPLE_RATE_HZ:
        mono = resample_poly(mono, SAMPLE_RATE_HZ, rate_hz)
    return np.asarray(mono, np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--kokoro", type=Path, help="folder with model.onnx, config.json and voices/")
    parser.add_argument(
        "--librispeech-more", type=Path, help="folder with recordings of the further LibriSpeech readers"
    )
    parser.add_argument("--librispeech-part", type=Path, help="folder of a part of LibriSpeech, as dev-clean")
    parser.add_argument("--common-voice", type=Path, help="folder with Common Voice's languages, a folder each")
    parser.add_argument("--only", help="sources to make, separated by commas")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    done = {path.stem for path in options.out.glob("*.npz")}
    speech = options.speech
    sources = {
        "ljspeech": lambda: ljspeech(speech / "ljspeech_librivox"),
        "librispeech": lambda: librispeech(speech / "librispeech_train_clean_100"),
        "aishell": lambda: aishell(speech / "aishell1_sample"),
        "grid": lambda: grid(speech / "grid_s1"),
        "facegood": lambda: facegood(speech / "facegood_pairs"),
        "espeak": lambda: espeak(done),
    }
    if options.librispeech_more:
        sources["librispeech_more"] = lambda: librispeech_more(options.librispeech_more)
    if options.librispeech_part:
        sources["librispeech_part"] = lambda: librispeech_part(options.librispeech_part)
    if options.common_voice:
        sources["common_voice"] = lambda: common_voice(options.common_voice)
    if options.kokoro:
        sources["kokoro"] = lambda: kokoro(options.kokoro, done)
        sources["kokoro_more"] = lambda: kokoro_more(options.kokoro, done)
    wanted = re.split(r"\s*,\s*", options.only) if options.only else list(sources)
    if unknown := sorted(set(wanted) - set(sources)):
        parser.error(
            f"--only {', '.join(unknown)}: the sources are {', '.join(sources)} (kokoro and kokoro_more need --kokoro, "
            "librispeech_more, librispeech_part and common_voice the options of their names)"
        )
    for source in wanted:
        seconds, count = 0.0, 0
        try:
            for clip in sources[source]():
                save(options.out, clip)
                seconds, count = seconds + len(clip.sound) / 16_000, count + 1
        except (OSError, SynthesisError, soundfile.LibsndfileError) as error:
            sys.exit(f"cannot make {source}: {error}")
        print(f"{source}: {count} clips, {seconds / 60:.1f} minutes", flush=True)
    (options.out / "index.txt").write_text("".join(f"{path.stem}\n" for path in sorted(options.out.glob("*.npz"))))


if __name__ == "__main__":
    main()
