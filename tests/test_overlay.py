"""A text stands in the lower part of the picture, whole, and leaves the label that says AI alone."""

import numpy as np
import pytest

from realtime.media.disclosure import Disclosure
from realtime.media.overlay import MAX_LINES, burn_overlay, lines

GREY = np.full((256, 256, 3), 128, np.uint8)


def changed(text: str, disclosure: Disclosure) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns that a text changes."""
    difference = np.abs(burn_overlay(GREY, text, disclosure).astype(int) - 128).max(-1) > 8
    return np.nonzero(difference.any(1))[0], np.nonzero(difference.any(0))[0]


def test_a_text_stands_in_the_middle_above_a_label_at_the_bottom() -> None:
    label = Disclosure()
    rows, columns = changed("Today only", label)
    assert abs(columns.mean() - 127.5) < 2
    labelled = np.nonzero((label.burn(GREY) != 128).any((1, 2)))[0]
    assert 150 < rows.min() and rows.max() < labelled.min()
    lower, _ = changed("Today only", Disclosure(place="top_left"))
    assert lower.max() > rows.max()


@pytest.mark.parametrize("text", ["word " * 40, "x" * 200, "促" * 200, "a"])
def test_long_texts_stay_within_the_picture(text: str) -> None:
    assert len(lines(text)) <= MAX_LINES
    rows, columns = changed(text, Disclosure())
    assert rows.min() > 100 and 0 <= columns.min() and columns.max() <= 255


def test_the_picture_that_was_given_is_left_alone() -> None:
    picture = GREY.copy()
    burn_overlay(picture, "Hello", Disclosure())
    assert np.array_equal(picture, GREY)


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("🔥 SALE 50 % 🔥🔥", "SALE 50 %"),
        ("I ❤️ it 👍🏽 🇩🇪", "I ♥ it"),
        ("★ new ✓ ©", "★ new ✓ ©"),
        ("₿100", "₿100"),
        ("👩‍🚀", None),
    ],
)
def test_pictographs_that_cannot_be_drawn_are_left_out_and_nothing_else_is(text: str, drawn: str | None) -> None:
    assert lines(text) == ([drawn] if drawn else [])


def test_a_text_without_spaces_uses_every_line() -> None:
    broken = lines("促" * 80)
    assert len(broken) == MAX_LINES and all(len(line) == 15 for line in broken) and broken[-1].endswith("…")
    assert lines("word " * 40)[-1].endswith("…") and lines("Hello") == ["Hello"]
