"""Mandarin syllables in pinyin with tone digits, as IPA."""

INITIALS = {
    "zh": "ꭧ", "ch": "ꭧʰ", "sh": "ʂ", "b": "p", "p": "pʰ", "m": "m", "f": "f", "d": "t", "t": "tʰ", "n": "n", "l": "l",
    "g": "k", "k": "kʰ", "h": "x", "j": "ʨ", "q": "ʨʰ", "x": "ɕ", "r": "ɻ", "z": "ʦ", "c": "ʦʰ", "s": "s",
}  # fmt: skip
FINALS = {
    "a": "a", "o": "wo", "e": "ɤ", "ai": "aɪ", "ei": "eɪ", "ao": "aʊ", "ou": "oʊ", "an": "an", "en": "ən", "ang": "aŋ",
    "eng": "əŋ", "er": "ɚ", "i": "i", "ia": "ja", "ie": "je", "iao": "jaʊ", "iu": "joʊ", "ian": "jɛn", "in": "in", "iang": "jaŋ",
    "ing": "iŋ", "iong": "jʊŋ", "u": "u", "ua": "wa", "uo": "wo", "uai": "waɪ", "ui": "weɪ", "uan": "wan", "un": "wən",
    "uang": "waŋ", "ong": "ʊŋ", "v": "y", "ve": "ɥe", "van": "ɥɛn", "vn": "yn",
}  # fmt: skip
WITHOUT_INITIAL = {"yi": "i", "wu": "u", "yu": "v", "yue": "ve", "yuan": "van", "yun": "vn", "yin": "in", "ying": "ing"}
TONES = {"1": "→", "2": "↗", "3": "↓", "4": "↘", "5": ""}
APICAL = frozenset({"zh", "ch", "sh", "r", "z", "c", "s"})  # their i is no [i]


def syllable(pinyin: str) -> tuple[str, str]:
    """Sounds and tone mark of one syllable, `zhong1` say; raises ValueError for what is none."""
    letters, tone = (pinyin[:-1], TONES[pinyin[-1]]) if pinyin[-1:] in TONES else (pinyin, "")
    letters = letters.replace("ü", "v")
    initial = next((i for i in INITIALS if letters.startswith(i)), "")
    final = letters[len(initial) :]
    if not initial:
        final = WITHOUT_INITIAL.get(letters, letters)
        if final[:1] == "y" or final[:1] == "w":
            final = final.replace("y", "i", 1) if final[0] == "y" else final.replace("w", "u", 1)
            final = {"iou": "iu", "uei": "ui", "uen": "un", "iong": "iong", "ueng": "ong"}.get(final, final)
    elif initial in ("j", "q", "x") and final.startswith("u"):
        final = "v" + final[1:]
    if final not in FINALS:
        raise ValueError(f"{pinyin!r} is no pinyin syllable")
    sounds = "ɨ" if final == "i" and initial in APICAL else FINALS[final]
    if initial in ("b", "p", "m", "f") and final == "o":
        sounds = "o"
    return INITIALS.get(initial, "") + sounds, tone
