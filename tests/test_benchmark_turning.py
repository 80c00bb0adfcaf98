"""The turning benchmark counts from the head at rest and compares drawn with rendered."""

import numpy as np
import pytest

from benchmarks import turning
from benchmarks.face_tracker import Sight


def pictures(*yaws_deg: float) -> list[np.ndarray]:
    """Plain ones that say what is to be read of them."""
    return [np.full((4, 4, 3), 100 + yaw_deg, np.uint8) for yaw_deg in yaws_deg]


def test_a_tracker_that_misreads_both_alike_finds_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def misread(seen: list[np.ndarray]) -> list[Sight | None]:
        return [Sight(0, 0.7 * (float(picture[0, 0, 0]) - 100) + 3, 0, 0, 0, 0) for picture in seen]

    monkeypatch.setattr(turning, "track", misread)
    rendered = pictures(0, -25, -12, 12, 25)
    found = turning.figures({"mei": rendered}, {"mei": rendered})
    assert found["turn_error_deg"] == 0 and found["presenters"]["mei"]["drawn_deg"] == [-17.5, -8.4, 8.4, 17.5]
    short = turning.figures({"mei": rendered}, {"mei": pictures(0, -20, -12, 12, 20)})
    assert short["turn_error_deg"] == pytest.approx(0.7 * 10 / 4, abs=0.01)
    assert short["psnr_db"]["25"] == pytest.approx(10 * np.log10(255**2 / 25), abs=0.01)
