"""The captioned video has the sound's length, a picture every 40 ms, and lights up words as they are spoken."""

from pathlib import Path

import av
import numpy as np

from benchmarks.sentence_video import LINE_LETTERS, SIDE, STRIP, captions, strip, words_of, write_video

WORDS = [("good", 0.0, 0.3), ("evening", 0.3, 0.9), ("extraordinarily", 1.0, 1.5), ("patient", 1.5, 1.9)]


def test_words_are_read_and_silences_are_not(tmp_path: Path) -> None:
    table = tmp_path / "words.tsv"
    table.write_text("clip\tword\tstart_s\tend_s\na\t<sil>\t0\t0.1\na\tgood\t0.1\t0.3\nb\tbad\t0\t1\n")
    assert words_of(table, "a") == [("good", 0.1, 0.3)]


def test_lines_are_short_and_keep_every_word() -> None:
    lines = captions(WORDS)
    assert sum(lines, []) == WORDS
    assert len(lines) == 2 and all(sum(len(w[0]) + 1 for w in line) <= LINE_LETTERS + 1 for line in lines)


def test_a_word_is_bright_once_it_has_begun() -> None:
    lines = captions(WORDS)
    assert strip(lines, 0.0).sum() < strip(lines, 0.4).sum()


def test_the_video_lasts_as_long_as_the_sound(tmp_path: Path) -> None:
    sound = (np.random.default_rng(0).standard_normal(32_000) * 0.1).astype(np.float32)
    write_video(tmp_path / "v.mp4", [np.zeros((256, 256, 3), np.uint8)] * 50, sound, WORDS)
    with av.open(str(tmp_path / "v.mp4")) as file:
        assert file.streams.video[0].frames == 50
        assert (file.streams.video[0].width, file.streams.video[0].height) == (SIDE, SIDE + STRIP)
        assert float(file.streams.audio[0].duration * file.streams.audio[0].time_base) > 1.9
