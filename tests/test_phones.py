"""Sounds of any alphabet become mouths with their times."""

import pytest

from training.phones import marks_of_arpabet, marks_of_ipa, marks_of_symbols
from training.pinyin import syllable


def test_a_diphthong_is_two_mouths() -> None:
    assert [mouth for mouth, _, _ in marks_of_arpabet([("P", 0, 0.1), ("AY1", 0.1, 0.3)])] == ["p", "a", "i"]


def test_stress_length_and_short_gaps_belong_to_the_sounds_beside_them() -> None:
    symbols = [("ˈ", 0.0, 0.1), ("m", 0.1, 0.2), ("a", 0.2, 0.3), ("ː", 0.3, 0.4), (" ", 0.4, 0.45), ("f", 0.45, 0.6)]
    assert marks_of_symbols(symbols) == [("p", 0.0, 0.2), ("a", 0.2, 0.45), ("f", 0.45, 0.6)]


def test_a_long_gap_is_silence() -> None:
    marks = marks_of_ipa([("b", 0, 0.1), ("", 0.1, 0.4), ("oʊ", 0.4, 0.6)])
    assert [mouth for mouth, _, _ in marks] == ["p", "silence", "o", "u"]


@pytest.mark.parametrize(
    ("pinyin", "sounds"),
    [("zhong1", "ꭧʊŋ"), ("you3", "joʊ"), ("shi4", "ʂɨ"), ("bo1", "po"), ("yue4", "ɥe"), ("nv3", "ny")],
)
def test_pinyin_is_read_as_it_sounds(pinyin: str, sounds: str) -> None:
    assert syllable(pinyin)[0] == sounds


def test_what_is_no_syllable_is_refused() -> None:
    with pytest.raises(ValueError, match="no pinyin"):
        syllable("apple")
