"""The sheet of steps has a row for each motion of each person and a column for the portrait, the truth and each number of steps."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import steps_sheet
from benchmarks.quality import Person
from engines.bundle import open_bundle
from flap import coefficients as co

BUNDLE = Path(__file__).parent.parent / "bundles" / "flap-small"


def test_truth_stands_beside_what_was_made_of_the_portrait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps_sheet, "STEPS", (2, 1))
    rng = np.random.default_rng(0)
    portrait, *truth = (rng.integers(0, 255, (256, 256, 3), np.uint8) for _ in range(3))
    person = Person("somebody", portrait, co.neutral(2), truth, np.ones((2, 64, 64, 4), np.float32))
    picture = steps_sheet.sheet(open_bundle(BUNDLE), [person], 2)
    assert picture.shape == (2 * 256, 4 * 256, 3)
    below_label = np.s_[30:256]
    assert np.array_equal(picture[below_label, :256], portrait[below_label])
    assert np.array_equal(picture[below_label, 256:512], truth[0][below_label])
    assert np.array_equal(picture[256:, 256:512], truth[1])
    assert not np.array_equal(picture[256:, 512:768], picture[256:, 768:])
