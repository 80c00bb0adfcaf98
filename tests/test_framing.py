"""The picture moves and zooms as asked, and is the same to the last bit when nothing is asked."""

import numpy as np
import pytest

from realtime.media.framing import framed


def spot(picture: np.ndarray) -> tuple[float, float, int]:
    """Where the bright spot is from left and top, and how many pixels it has."""
    rows, columns = np.nonzero(picture[:, :, 0] > 127)
    return float(columns.mean()), float(rows.mean()), len(rows)


@pytest.fixture
def frames() -> np.ndarray:
    pictures = np.zeros((2, 256, 256, 3), np.uint8)
    pictures[:, 118:138, 118:138] = 255
    return pictures


def test_nothing_asked_nothing_changed(frames: np.ndarray) -> None:
    assert framed(frames, np.zeros((2, 3))) is frames


def test_x_and_y_are_shares_of_the_picture_to_the_right_and_down(frames: np.ndarray) -> None:
    left, moved = framed(frames, np.array([[-0.1, 0, 0], [0.1, 0.2, 0]]))
    assert spot(left)[:2] == pytest.approx((127.5 - 25.6, 127.5), abs=0.6)
    assert spot(moved)[:2] == pytest.approx((127.5 + 25.6, 127.5 + 51.2), abs=0.6)


def test_zoom_is_about_the_middle(frames: np.ndarray) -> None:
    bigger, smaller = framed(frames, np.array([[0, 0, np.log(2)], [0, 0, np.log(0.5)]]))
    assert spot(bigger)[2] == pytest.approx(40 * 40, rel=0.05)
    assert spot(smaller)[2] == pytest.approx(10 * 10, rel=0.3)
    assert spot(bigger)[:2] == pytest.approx((127.5, 127.5), abs=0.6)
