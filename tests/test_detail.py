"""Pictures are enlarged with the detail that the portrait has, where what is drawn is the portrait moved, and without it elsewhere."""

import cv2
import numpy as np
import pytest

from realtime.render.detail import ZERO, enlarged, fine_detail, with_detail

GRID = 64


@pytest.fixture
def portrait() -> np.ndarray:
    """Threads of cloth, two pixels wide, under a smooth light."""
    rows, columns = np.mgrid[0:512, 0:512]
    threads = 25 * (((rows // 2) + (columns // 2)) % 2 - 0.5) + 120 + 60 * np.sin(columns / 90)
    return np.repeat(threads[..., None], 3, -1).astype(np.uint8)


@pytest.fixture
def small(portrait: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.resize(portrait, (256, 256), interpolation=cv2.INTER_AREA))


def moved(small: np.ndarray) -> np.ndarray:
    return (small / 127.5 - 1).astype(np.float32)


def apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(int) - other).mean())


def test_a_head_at_rest_is_the_large_portrait_again(portrait: np.ndarray, small: np.ndarray) -> None:
    assert apart(enlarged(small, 512), portrait) > 6
    assert apart(with_detail(small, moved(small), fine_detail(portrait, small), GRID), portrait) < 1


def test_what_the_networks_draw_otherwise_has_none_of_it(portrait: np.ndarray, small: np.ndarray) -> None:
    drawn = small.copy()
    drawn[160:192, 96:160] = (90, 20, 25)  # a mouth that the portrait has shut
    made = with_detail(drawn, moved(small), fine_detail(portrait, small), GRID)
    inside = made[336:368, 208:304]
    assert inside.std((0, 1)).max() < 1 and apart(inside, np.array([90, 20, 25])) < 1
    assert apart(made[:256], portrait[:256]) < 1, "far from it all is as at rest"


def test_what_is_nearly_the_moved_portrait_keeps_most_of_it(portrait: np.ndarray, small: np.ndarray) -> None:
    shares = []
    for levels in (0, 5, 10, 20, 40):
        made = with_detail(small + np.uint8(levels), moved(small), fine_detail(portrait, small), GRID).astype(float)
        shares.append((made - enlarged(small + np.uint8(levels), 512)).std())
    assert shares == sorted(shares, reverse=True)
    assert shares[1] > 0.7 * shares[0] and shares[-1] < 0.05 * shares[0]


def test_a_portrait_that_has_nothing_beyond_the_small_one_adds_nothing(small: np.ndarray) -> None:
    large = enlarged(small, 512)
    assert (fine_detail(large, small) == ZERO).all()
    assert np.array_equal(with_detail(small, moved(small), fine_detail(large, small), GRID), large)
