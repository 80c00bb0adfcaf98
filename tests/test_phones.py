"""Sounds of any alphabet become mouths with their times."""

import pytest

from training.phones import LONGEST_CLOSURE_S, Mark, marks_of_arpabet, marks_of_ipa, marks_of_symbols, without_pauses
from training.pinyin import syllable


def test_a_diphthong_is_two_mouths() -> None:
    assert [mouth for mouth, _, _ in marks_of_arpabet([("P", 0, 0.1), ("AY1", 0.1, 0.3)])] == ["p", "a", "i"]


def test_stress_length_and_short_gaps_belong_to_the_sounds_beside_them() -> None:
    symbols = [("ˈ", 0.0, 0.1), ("m", 0.1, 0.2), ("a", 0.2, 0.3), ("ː", 0.3, 0.4), (" ", 0.4, 0.45), ("f", 0.45, 0.6)]
    assert marks_of_symbols(symbols) == [("p", 0.0, 0.2), ("a", 0.2, 0.45), ("f", 0.45, 0.6)]


def test_a_long_gap_is_silence() -> None:
    marks = marks_of_ipa([("b", 0, 0.1), ("", 0.1, 0.4), ("oʊ", 0.4, 0.6)])
    assert [mouth for mouth, _, _ in marks] == ["p", "silence", "o", "u"]


def test_lips_are_not_pressed_together_for_the_pause_beside_them() -> None:
    begins: list[Mark] = [("p", 0.0, 0.8), ("i", 0.8, 0.9)]
    ends: list[Mark] = [("i", 0.0, 0.1), ("p", 0.1, 0.6), ("silence", 0.6, 1.0)]
    assert without_pauses(begins)[:2] == [
        ("silence", 0.0, 0.8 - LONGEST_CLOSURE_S),
        ("p", 0.8 - LONGEST_CLOSURE_S, 0.8),
    ]
    assert without_pauses(ends)[1] == ("p", 0.1, 0.1 + LONGEST_CLOSURE_S)
    assert without_pauses(ends)[2:] == [("silence", 0.1 + LONGEST_CLOSURE_S, 0.6), ("silence", 0.6, 1.0)]


def test_a_long_closure_within_speech_and_a_short_one_beside_a_pause_stay() -> None:
    marks: list[Mark] = [("silence", 0.0, 0.3), ("p", 0.3, 0.4), ("a", 0.4, 0.5), ("p", 0.5, 0.8), ("a", 0.8, 0.9)]
    assert without_pauses(marks) == marks


@pytest.mark.parametrize(
    ("pinyin", "sounds"),
    [("zhong1", "ꭧʊŋ"), ("you3", "joʊ"), ("shi4", "ʂɨ"), ("bo1", "po"), ("yue4", "ɥe"), ("nv3", "ny")],
)
def test_pinyin_is_read_as_it_sounds(pinyin: str, sounds: str) -> None:
    assert syllable(pinyin)[0] == sounds


def test_what_is_no_syllable_is_refused() -> None:
    with pytest.raises(ValueError, match="no pinyin"):
        syllable("apple")
