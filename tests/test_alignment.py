"""Recordings whose text is known are given the times of their sounds, in languages that the aligner has never heard too."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("pocketsphinx")

from flap.config import SAMPLE_RATE_HZ  # noqa: E402
from training.alignment import AlignmentError, ReadAligner  # noqa: E402
from training.phones import Mark  # noqa: E402
from training.speech_corpus import Clip, common_voice, librispeech_part  # noqa: E402
from training.synthesis import Espeak, Spoken  # noqa: E402

SPANISH = "mi mama come una manzana"


@pytest.fixture(scope="module")
def spanish() -> Spoken:
    return Espeak().say(SPANISH, "es", 120, 50)


def middles_s(marks: list[Mark], mouth: str) -> list[float]:
    return [(start_s + end_s) / 2 for name, start_s, end_s in marks if name == mouth]


def test_lips_meet_when_a_spanish_speaker_shuts_them(spanish: Spoken) -> None:
    found, true = (middles_s(m, "p") for m in (ReadAligner("es").align(spanish.sound, SPANISH), spanish.marks))
    assert len(found) == len(true) == 5
    assert np.abs(np.subtract(found, true)).max() < 0.05


def test_a_text_with_words_of_another_language_is_refused(spanish: Spoken) -> None:
    with pytest.raises(AlignmentError, match="not all of"):
        ReadAligner("el").align(spanish.sound, "καλημέρα hello")


def test_a_text_that_is_not_spoken_is_refused(spanish: Spoken) -> None:
    with pytest.raises(AlignmentError):
        ReadAligner("es").align(spanish.sound[:4000], SPANISH * 3)


def test_a_part_of_librispeech_is_read_as_it_is_published(tmp_path: Path) -> None:
    chapter = tmp_path / "dev-clean" / "84" / "121"
    chapter.mkdir(parents=True)
    spoken = Espeak().say("my baby", "en", 140, 50)
    soundfile.write(chapter / "84-121-0000.flac", spoken.sound, SAMPLE_RATE_HZ)
    (chapter / "84-121.trans.txt").write_text("84-121-0000 MY BABY\n")
    (clip,) = librispeech_part(tmp_path)
    assert (clip.source, clip.speaker, clip.language, clip.test) == ("librispeech_part", "84", "en", False)
    assert len(middles_s(clip.marks, "p")) == 3


def test_a_sound_that_a_transcript_names_and_nobody_has_is_named(tmp_path: Path) -> None:
    (tmp_path / "84-121.trans.txt").write_text("84-121-0000 MY BABY\n")
    with pytest.raises(FileNotFoundError, match="names 84-121-0000"):
        list(librispeech_part(tmp_path))


def common_voice_of(folder: Path, spoken: Spoken, language: str, speakers: list[str]) -> list[Clip]:
    (folder / language / "clips").mkdir(parents=True)
    at_48k = np.repeat(spoken.sound, 3)
    rows = [[speaker * 8, f"common_voice_{language}_{i}.flac", SPANISH] for i, speaker in enumerate(speakers)]
    for _, path, _ in rows:
        soundfile.write(folder / language / "clips" / path, at_48k, 3 * SAMPLE_RATE_HZ)
    with (folder / language / "validated.tsv").open("w") as file:
        csv.writer(file, delimiter="\t").writerows([["client_id", "path", "sentence"], *rows])
    return [clip for clip in common_voice(folder) if clip.language == language]


def test_one_in_ten_speakers_of_common_voice_is_kept_for_testing(tmp_path: Path, spanish: Spoken) -> None:
    trained, tested, trained_too = common_voice_of(tmp_path, spanish, "es", ["0001", "000a", "0003"])
    assert (trained.test, tested.test, trained_too.test) == (False, True, False)
    assert len(trained.sound) == pytest.approx(len(spanish.sound), abs=1), "at 16 kHz"
    assert trained.source == "common_voice" and len(middles_s(trained.marks, "p")) == 5


def test_nobody_who_speaks_italian_is_learnt_from(tmp_path: Path, spanish: Spoken) -> None:
    assert all(clip.test for clip in common_voice_of(tmp_path, spanish, "it", ["0001", "0002"]))
    of_two = common_voice_of(tmp_path, spanish, "es", ["0002", "0003"])
    assert [clip.test for clip in of_two] == [True, False], "nor what they say in other languages"


def test_a_language_that_nobody_can_align_is_passed_over(tmp_path: Path, spanish: Spoken) -> None:
    assert common_voice_of(tmp_path, spanish, "dv", ["0001"]) == []
