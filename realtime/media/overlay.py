"""An operator's text over the picture, burned in where it does not cover the label that says AI."""

import textwrap
import unicodedata
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from realtime.media.disclosure import Disclosure, blend, plate

COLUMNS = 30  # letters of a line; a Chinese character is as wide as two
MAX_LINES = 4
CHANGES_PICTOGRAPHS = "\ufe0e\ufe0f\u200d\u20e3"


def burn_overlay(picture: NDArray[np.uint8], text: str, disclosure: Disclosure) -> NDArray[np.uint8]:
    """A copy of the RGB picture `[h, w, 3]` with the text in its lower part, line by line in the middle."""
    height, width = picture.shape[:2]
    side = min(height, width)
    margin = side // 40
    bottom = height - margin
    if disclosure.place.startswith("bottom"):
        bottom -= plate(disclosure.text, side)[0].shape[0] + margin
    out = picture.copy()
    for line in reversed(lines(text)):
        drawn, kept = plate(line, side)
        top, left = bottom - drawn.shape[0], (width - drawn.shape[1]) // 2
        blend(out, drawn, kept, top, left)
        bottom = top - 1
    return out


def lines(text: str) -> list[str]:
    """Text broken at words where there are any; what does not fit on `MAX_LINES` ends in an ellipsis. Pictographs that no font
    here has are left out; a letter that no font has stays, as a question mark, since without it a word or a price would change."""
    text = "".join(letter for letter in text.replace("❤", "♥") if _stays(letter)).strip()
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    columns = COLUMNS // 2 if wide > len(text) / 2 else COLUMNS
    broken = textwrap.wrap(text, columns)
    if len(broken) > MAX_LINES:
        broken[MAX_LINES - 1] = broken[MAX_LINES - 1][: columns - 1].rstrip() + "…"
    return broken[:MAX_LINES]


def _stays(letter: str) -> bool:
    if letter in CHANGES_PICTOGRAPHS:
        return False
    return unicodedata.category(letter) not in ("So", "Sk") or _can_be_drawn(letter)


@lru_cache(maxsize=1024)
def _can_be_drawn(letter: str) -> bool:
    """OpenCV draws a question mark in the place of what its fonts lack."""
    return not np.array_equal(plate.__wrapped__(letter, 64)[0], plate.__wrapped__("?", 64)[0])
