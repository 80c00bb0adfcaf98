"""The tracking benchmark measures what it says, shown on readings whose errors are known."""

import numpy as np
import pytest

from benchmarks import tracking
from flap import coefficients as co


def faces(count: int = 9) -> co.Array:
    yaws = np.linspace(-30, 30, count)
    jaws = np.linspace(0, 0.6, count)
    return np.stack(
        [
            co.from_arkit({"jawOpen": jaw, "mouthPucker": 0.5 - jaw / 2}, co.rotation_from_degrees(yaw_deg=yaw))
            for yaw, jaw in zip(yaws, jaws, strict=True)
        ]
    )


@pytest.mark.filterwarnings("ignore:invalid value")  # shapes that never move have no correlation
def test_known_errors_are_reported() -> None:
    true = faces()
    pitched, short = true.copy(), true.copy()
    pitched[:, co.PITCH] += np.deg2rad(3)
    short[:, co.YAW] *= 0.8
    samples = [tuple(row) for row in zip(true, pitched, true, short, strict=True)]
    found = tracking.figures(samples, 12)  # type: ignore[arg-type]
    assert found["pose_error_deg"] == {"pitch": pytest.approx(3, abs=0.01), "yaw": 0, "roll": 0}
    assert found["pose_error_own_rest_deg"]["pitch"] == 0
    assert found["yaw_slope"] == 1 and found["uncorrected_yaw_slope"] == 0.8
    assert found["expression_error"]["jaw_open"] == 0 and found["expression_correlation"]["jaw_open"] == 1
    assert found["found"] == 0.75


def test_looking_in_counts_against_looking_out() -> None:
    inward = co.from_arkit({"eyeLookInLeft": 0.4})
    assert tracking.weight(inward[None], tracking.SHAPES["gaze_sideways"])[0] == pytest.approx(-0.2, abs=1e-4)


def test_a_shape_counts_as_much_as_it_weighs() -> None:
    face = co.from_arkit({"jawOpen": 0.4, "mouthSmileLeft": 0.2, "mouthSmileRight": 0.4})[None]
    assert tracking.weight(face, tracking.SHAPES["jaw_open"])[0] == pytest.approx(0.4, abs=1e-4)
    assert tracking.weight(face, tracking.SHAPES["smile"])[0] == pytest.approx(0.3, abs=1e-4)
