"""Where the head has moved away its background shows, and nowhere else."""

import cv2
import numpy as np
import pytest

from realtime.render.backdrop import backdrop, grow, uncover

SIDE = 256


def disc(x: float, y: float, radius: float) -> np.ndarray:
    """An alpha `[64, 64]` with soft edges: a head at `x`, `y` of the 256 pixels."""
    rows, columns = np.mgrid[0:64, 0:64] * 4 + 2
    return np.clip((radius - np.hypot(columns - x, rows - y)) / 8 + 0.5, 0, 1).astype(np.float32)


@pytest.fixture
def wall() -> np.ndarray:
    """A wall that becomes darker downwards and redder to the right."""
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    return np.stack([60 + columns // 4, 180 - rows // 4, 200 - rows // 4], -1).astype(np.uint8)


def portrait(wall: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = cv2.resize(alpha, (SIDE, SIDE))[..., None]
    return (wall * (1 - share) + 20 * share).astype(np.uint8)


def test_a_wall_goes_on_behind_the_head(wall: np.ndarray) -> None:
    alpha = disc(128, 128, 70)
    behind = backdrop(portrait(wall, alpha), alpha)
    assert np.abs(behind.picture.astype(int) - wall).max() <= 12
    assert np.abs(behind.picture.astype(int) - wall).mean() < 3


def test_a_head_that_keeps_its_place_leaves_every_pixel_as_it_was(wall: np.ndarray) -> None:
    alpha = disc(128, 128, 70)
    picture = portrait(wall, alpha)
    frames = np.stack([picture, picture])
    uncover(frames, np.stack([alpha, np.clip(alpha * 1.1, 0, 1)]), backdrop(picture, alpha))
    assert np.array_equal(frames, np.stack([picture, picture]))


def test_where_the_head_was_the_wall_shows_and_the_head_stays_whole(wall: np.ndarray) -> None:
    before, after = disc(128, 128, 70), disc(150, 128, 70)
    behind = backdrop(portrait(wall, before), before)
    clean = portrait(wall, after)
    haunted = clean.copy()
    ghost = cv2.resize(before * (1 - after), (SIDE, SIDE)) > 0.2
    haunted[ghost] = 230
    frames = haunted[None].copy()
    uncover(frames, after[None], behind)
    wrong, was_wrong = (np.abs(picture.astype(int) - clean)[ghost].mean() for picture in (frames[0], haunted))
    assert wrong < was_wrong / 3
    head = cv2.resize(after, (SIDE, SIDE)) > 0.9
    assert np.array_equal(frames[0][head], clean[head])
    far = np.hypot(*(np.mgrid[0:SIDE, 0:SIDE] - 128)) > 110
    assert np.array_equal(frames[0][far], clean[far])


def test_a_face_that_fills_its_portrait_is_left_to_the_networks(wall: np.ndarray) -> None:
    behind = backdrop(wall, np.ones((64, 64), np.float32))
    frames = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    uncover(frames, np.zeros((1, 64, 64), np.float32), behind)
    assert not frames.any(), "no second head is drawn where the first was"


def test_a_picture_without_any_background_stays_as_it_is() -> None:
    picture = np.full((16, 16, 3), 7.0, np.float32)
    assert np.array_equal(grow(picture, np.zeros((16, 16), np.float32)), picture)
