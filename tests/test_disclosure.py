"""The label is on the picture, readable and where it was asked for; marks leave the media as they were."""

import cv2
import numpy as np
import pytest

from realtime.media.disclosure import DIGITAL_SOURCE, MARK, TEXTS, Disclosure, mark_h264, mark_jpeg, plate

GREY = np.full((256, 256, 3), 120, np.uint8)
QUARTERS = {
    "top_left": (slice(0, 128), slice(0, 128)), "top_right": (slice(0, 128), slice(128, 256)),
    "bottom_left": (slice(128, 256), slice(0, 128)), "bottom_right": (slice(128, 256), slice(128, 256)),
}  # fmt: skip


@pytest.mark.parametrize("place", QUARTERS)
def test_the_label_stands_in_its_corner_and_nowhere_else(place: str) -> None:
    changed = (Disclosure("AI", place).burn(GREY) != GREY).any(-1)  # type: ignore[arg-type]
    inside = changed[QUARTERS[place]].sum()
    assert inside == changed.sum() > 400


@pytest.mark.parametrize("text", TEXTS.values())
def test_every_language_is_drawn_in_letters_of_a_twentieth_of_the_picture(text: str) -> None:
    picture = Disclosure(text).burn(GREY)
    bright = (picture.min(-1) > 200).any(1)
    assert bright.sum() >= 256 / 20
    assert picture.max() == 255 and (picture < 70).any(), "white on dark"


def test_letters_that_a_western_font_lacks_are_drawn_too() -> None:
    """OpenCV draws a question mark for what it has no letter for."""
    assert not np.array_equal(Disclosure("生成").burn(GREY), Disclosure("??").burn(GREY))
    assert not np.array_equal(Disclosure("生成").burn(GREY), Disclosure("成生").burn(GREY))


def test_a_long_text_fits_and_a_label_that_is_switched_off_changes_nothing() -> None:
    picture = Disclosure("m" * 40).burn(GREY)
    assert (picture[:, :6] == GREY[:, :6]).all() and (picture[:, -6:] == GREY[:, -6:]).all()
    assert Disclosure(place="none").burn(GREY) is GREY


def test_the_picture_that_came_is_not_changed() -> None:
    before = GREY.copy()
    Disclosure().burn(GREY)
    assert np.array_equal(GREY, before)


def test_a_marked_jpeg_shows_the_same_picture() -> None:
    jpeg = cv2.imencode(".jpg", GREY)[1].tobytes()
    marked = mark_jpeg(jpeg)
    assert DIGITAL_SOURCE.encode() in marked
    shown = cv2.imdecode(np.frombuffer(marked, np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(shown, cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR))


def test_the_mark_of_h264_stands_before_the_slice_and_what_has_none_stays() -> None:
    unit = b"\x00\x00\x01\x67sps\x00\x00\x01\x65slice"
    marked = mark_h264(unit)
    assert marked.index(b"sps") < marked.index(MARK.encode()) < marked.index(b"slice")
    assert marked.replace(marked[7 : len(marked) - 9], b"") == unit
    assert mark_h264(b"\x00\x00\x01\x41other") == b"\x00\x00\x01\x41other"


def test_half_a_character_is_drawn_as_a_question_mark() -> None:
    """An environment may hold one, and OpenCV dies of it."""
    assert np.array_equal(plate("AI \ud83d", 256)[0], plate("AI ?", 256)[0])
