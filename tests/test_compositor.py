"""What viewers see in place of the avatar, and that one picture leads over to the other."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.media.compositor import FADE_FRAMES, Compositor, Dressing, read_still
from realtime.media.disclosure import Disclosure

DARK, BRIGHT = np.full((256, 256, 3), 40, np.uint8), np.full((256, 256, 3), 200, np.uint8)
NO_LABEL = Disclosure(place="none")


def write_still(path: Path, height: int, width: int) -> Path:
    """Red to the left of the middle, blue to the right of it."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, : width // 2, 2], picture[:, width // 2 :, 0] = 255, 255
    cv2.imwrite(str(path), picture)
    return path


@pytest.mark.parametrize(("height", "width"), [(256, 256), (300, 900), (90, 60)])
def test_a_still_is_the_middle_of_a_picture_file(tmp_path: Path, height: int, width: int) -> None:
    still = read_still(write_still(tmp_path / "still.png", height, width))
    assert still is not None and still.shape == (256, 256, 3)
    assert tuple(still[128, 20]) == (255, 0, 0) and tuple(still[128, 235]) == (0, 0, 255)


def test_a_file_that_is_no_picture_leaves_the_avatar_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "no.png").write_text("no picture")
    for path in (tmp_path / "no.png", tmp_path / "nothing.png"):
        shown = Compositor(NO_LABEL).compose(BRIGHT, Dressing(still=path), 0)
        assert np.array_equal(shown, BRIGHT)
    assert Compositor(NO_LABEL).compose(None, Dressing(), 0) is None


def test_after_a_cut_pictures_lead_over_step_by_step() -> None:
    compositor = Compositor(NO_LABEL)
    compositor.compose(DARK, Dressing(), 0)
    shown = [compositor.compose(BRIGHT, Dressing(), frame, cut=frame == 1) for frame in range(1, FADE_FRAMES + 2)]
    levels = [float(picture.mean()) for picture in shown if picture is not None]
    assert levels[-2:] == [200, 200]
    assert np.diff([40, *levels]).max() == pytest.approx(160 / FADE_FRAMES, abs=1)
    assert np.array_equal(compositor.compose(DARK, Dressing(), 20), DARK), "without a cut nothing fades"


def test_what_says_that_it_is_made_by_ai_stands_on_stills_too(tmp_path: Path) -> None:
    path = write_still(tmp_path / "still.png", 256, 256)
    labelled = Compositor(Disclosure()).compose(None, Dressing("Soon", path), 0)
    still, plain = read_still(path), Compositor(NO_LABEL).compose(None, Dressing("Soon", path), 0)
    assert labelled is not None and plain is not None and still is not None
    assert not np.array_equal(labelled[-20:, :60], still[-20:, :60]), "the label"
    assert not np.array_equal(plain, still), "the text"


def test_after_it_has_forgotten_nothing_of_before_leads_over() -> None:
    compositor = Compositor(NO_LABEL)
    compositor.compose(DARK, Dressing(), 0)
    compositor.forget()
    assert np.array_equal(compositor.compose(BRIGHT, Dressing(), 1, cut=True), BRIGHT)
