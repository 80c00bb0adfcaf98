"""The comparison of large pictures finds what is finer and what is nearer to the truth, shown on pictures whose detail is known."""

import numpy as np
import pytest

from benchmarks.fine_pictures import Compared, figures, sharpness, sheet
from realtime.render.detail import enlarged

TRUTH = np.random.default_rng(0).integers(90, 130, (512, 512, 3), dtype=np.uint8)
SMOOTH = enlarged(TRUTH[::2, ::2], 512)


def compared(kind: str, fine: np.ndarray, presenter: str = "mei") -> Compared:
    return Compared(presenter, kind, SMOOTH, fine, TRUTH)


def test_what_a_picture_of_half_the_size_can_hold_is_not_sharp() -> None:
    assert sharpness(TRUTH) > 5 * sharpness(enlarged(np.full((256, 256, 3), 90, np.uint8), 512))
    assert sharpness(SMOOTH) < 0.5 * sharpness(TRUTH)


def test_each_kind_has_its_own_figures() -> None:
    found = figures([compared("rest", TRUTH), compared("any", SMOOTH), compared("any", SMOOTH)])
    assert found["rest"]["fine_db"] == 60 and found["rest"]["fine_sharpness"] == pytest.approx(1)
    assert found["any"]["fine_db"] == found["any"]["smooth_db"] < 40
    assert (found["rest"]["frames"], found["any"]["frames"]) == (1, 2)


def test_the_sheet_has_a_row_for_each_of_its_presenters() -> None:
    made = sheet([compared("speaking", TRUTH, name) for name in ("mei", "samuel", "nora", "erik")])
    assert made.shape == (4 * 512, 3 * 512, 3)
    assert np.array_equal(made[100:512, 512:1024], TRUTH[100:])
