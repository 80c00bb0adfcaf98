"""Sounds of speech as the mouths that a viewer can tell apart, whichever alphabet names them.

A mark is (mouth, start s, end s). Two sounds that look the same (p, b, m) are one mouth.
"""

from collections.abc import Iterable, Sequence

Mark = tuple[str, float, float]

MOUTHS = (
    "silence", "p", "f", "w", "th", "t", "s", "sh", "l", "r", "k", "j", "a", "ae", "e", "i", "o", "u", "y", "schwa",
)  # fmt: skip
VOWELS = frozenset({"a", "ae", "e", "i", "o", "u", "y", "schwa"})
LONGEST_UNMARKED_PAUSE_S = 0.1
LONGEST_CLOSURE_S = 0.16

_IPA_OF_MOUTH = {
    "p": "pbmɓʙ", "f": "fvɱʋ", "w": "wɥʍβɸᵝ", "th": "θðTç", "t": "tdnɗɳɲȵɖʈ", "s": "szʦʣɕʑʨʥc", "sh": "ʃʒʂʐʧʤꭧɟ", "l": "lɭʎɫɬ",
    "r": "ɹɻɚɝɜ", "k": "kgɡŋxɣqhɦχʔɾrʁʀɴʝħʕ", "j": "jʲ", "a": "aɑɐʌAɒ", "ae": "æI", "e": "ɛe", "i": "iɪɨᵻS",
    "o": "oɔOQW", "u": "uʊɯY", "y": "yøœʏ", "schwa": "əɤɘᵊ",
}  # fmt: skip
_MOUTH_OF_IPA = {symbol: mouth for mouth, symbols in _IPA_OF_MOUTH.items() for symbol in symbols}
_JOINS_WHAT_STANDS_BEFORE = frozenset("ːˑʰʼ̃̈ ̩̯̪͡")  # length, breath and diacritics
_PRECEDES = frozenset("ˈˌ")
_ARPABET = {
    **dict.fromkeys(("P", "B", "M"), "p"), **dict.fromkeys(("F", "V"), "f"), "W": "w", **dict.fromkeys(("TH", "DH"), "th"),
    **dict.fromkeys(("T", "D", "N"), "t"), **dict.fromkeys(("S", "Z"), "s"), **dict.fromkeys(("SH", "ZH", "CH", "JH"), "sh"),
    "L": "l", **dict.fromkeys(("R", "ER"), "r"), **dict.fromkeys(("K", "G", "NG", "HH"), "k"), "Y": "j", "AA": "a", "AH": "a",
    "AE": "ae", "EH": "e", **dict.fromkeys(("IH", "IY"), "i"), "AO": "o", **dict.fromkeys(("UH", "UW"), "u"),
    "SIL": "silence", "AW": "a u", "AY": "a i", "EY": "e i", "OW": "o u", "OY": "o i",
}  # fmt: skip
SECOND_PART_OF_DIPHTHONG = 0.6  # where it begins


def mouths_of_arpabet(phone: str) -> tuple[str, ...]:
    """One mouth, or two for a diphthong; noises and unknown names are silence."""
    return tuple(_ARPABET.get(phone.rstrip("012").upper(), "silence").split())


def marks_of_arpabet(phones: Iterable[tuple[str, float, float]]) -> list[Mark]:
    """(phone, start s, end s) as marks."""
    marks: list[Mark] = []
    for phone, start_s, end_s in phones:
        mouths = mouths_of_arpabet(phone)
        if len(mouths) == 2:
            middle_s = start_s + SECOND_PART_OF_DIPHTHONG * (end_s - start_s)
            marks += [(mouths[0], start_s, middle_s), (mouths[1], middle_s, end_s)]
        else:
            marks.append((mouths[0], start_s, end_s))
    return marks


def marks_of_symbols(symbols: Iterable[tuple[str, float, float]]) -> list[Mark]:
    """(one IPA character, start s, end s) as marks; modifiers lengthen their sound, short gaps between words vanish."""
    marks: list[Mark] = []
    waiting_s = None  # a stress mark's time belongs to the sound after it
    for symbol, start_s, end_s in symbols:
        if symbol in _PRECEDES:
            waiting_s = start_s if waiting_s is None else waiting_s
        elif symbol in _MOUTH_OF_IPA:
            marks.append((_MOUTH_OF_IPA[symbol], start_s if waiting_s is None else waiting_s, end_s))
            waiting_s = None
        elif symbol in _JOINS_WHAT_STANDS_BEFORE and marks and symbol != " ":
            marks[-1] = (*marks[-1][:2], end_s)
        elif end_s - start_s > LONGEST_UNMARKED_PAUSE_S or not marks:
            marks.append(("silence", start_s, end_s))
        else:
            marks[-1] = (*marks[-1][:2], end_s)
    return marks


def marks_of_ipa(sounds: Iterable[tuple[str, float, float]]) -> list[Mark]:
    """(IPA of one or more characters, start s, end s) as marks; the time is shared out evenly."""
    symbols = []
    for text, start_s, end_s in sounds:
        spoken = [c for c in text if c in _MOUTH_OF_IPA] or [" "]
        step_s = (end_s - start_s) / len(spoken)
        symbols += [(c, start_s + i * step_s, start_s + (i + 1) * step_s) for i, c in enumerate(spoken)]
    return marks_of_symbols(symbols)


def without_pauses(marks: Sequence[Mark]) -> list[Mark]:
    """Marks with no more than LONGEST_CLOSURE_S of p b m next to silence: aligners give a stop the pause beside it."""
    cut: list[Mark] = []
    for i, (mouth, start_s, end_s) in enumerate(marks):
        long = mouth == "p" and end_s - start_s > LONGEST_CLOSURE_S
        if long and (i == 0 or marks[i - 1][0] == "silence"):
            cut += [("silence", start_s, end_s - LONGEST_CLOSURE_S), (mouth, end_s - LONGEST_CLOSURE_S, end_s)]
        elif long and (i == len(marks) - 1 or marks[i + 1][0] == "silence"):
            cut += [(mouth, start_s, start_s + LONGEST_CLOSURE_S), ("silence", start_s + LONGEST_CLOSURE_S, end_s)]
        else:
            cut.append((mouth, start_s, end_s))
    return cut
