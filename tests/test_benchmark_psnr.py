"""A known error has its known likeness."""

import numpy as np
import pytest

from benchmarks.psnr import MOST_DB, decibels, mean_square, psnr_db

GREY = np.full((256, 256, 3), 100, np.uint8)


def test_a_known_error_has_its_known_psnr() -> None:
    assert psnr_db(GREY, GREY) == MOST_DB
    assert psnr_db(GREY, GREY + 10) == pytest.approx(20 * np.log10(25.5))
    assert psnr_db(GREY, GREY + 10) == decibels(mean_square(GREY, GREY + 10)) == decibels(100)


def test_only_what_the_mask_shows_counts() -> None:
    half = np.zeros((256, 256), bool)
    half[:128] = True
    wrong_below = GREY.copy()
    wrong_below[128:] += 10
    assert psnr_db(GREY, wrong_below, half) == MOST_DB
    assert mean_square(GREY, wrong_below) == 50
