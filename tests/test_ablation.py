"""The ablation's figures say what they are called, shown on drawings whose faults are known."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from flap import coefficients as co  # noqa: E402
from training import ablation  # noqa: E402
from training.motions import random_face  # noqa: E402

FACES = torch.from_numpy(np.stack([random_face(np.random.default_rng(seed)) for seed in range(16)]))


class Reads:
    """Reads what was drawn without a fault: here a drawing is what it shows."""

    def __call__(self, drawn: torch.Tensor) -> torch.Tensor:
        return drawn


def test_a_perfect_drawing_has_no_error() -> None:
    figures = ablation.measure(Reads(), ablation.wanted, FACES)  # type: ignore[arg-type]
    assert figures == dict.fromkeys(figures, 0)


def test_a_drawing_whose_pose_follows_the_expression_leaks() -> None:
    def leaking(faces: torch.Tensor) -> torch.Tensor:
        drawn = ablation.wanted(faces)
        drawn[:, 0] += 0.2 * drawn[:, 3]
        return drawn

    figures = ablation.measure(Reads(), leaking, FACES)  # type: ignore[arg-type]
    assert figures["pose_change_deg"] > 0.3
    assert figures["pose_error_idle_deg"] == 0  # a face at rest has nothing to leak
    assert figures["expression_error"] == 0


def test_a_drawing_whose_expression_follows_the_pose_is_found_out() -> None:
    def leaking(faces: torch.Tensor) -> torch.Tensor:
        drawn = ablation.wanted(faces)
        drawn[:, 3] += drawn[:, 0].abs()
        return drawn

    assert ablation.measure(Reads(), leaking, FACES)["expression_error"] > 0.01  # type: ignore[arg-type]


def test_a_swap_keeps_the_pose_and_takes_everything_else() -> None:
    both = ablation.swapped(FACES, FACES.flip(0))
    assert torch.equal(both[:, co.ROTATION], FACES[:, co.ROTATION])
    assert torch.equal(both[:, 3:], FACES.flip(0)[:, 3:])


def test_traced_labels_carry_the_pose_in_the_expression_and_leave_the_pose_alone() -> None:
    traced = ablation.with_trace(FACES)
    moved = traced[:, co.EXPRESSION_INDEX["mouthLeft"]] - FACES[:, co.EXPRESSION_INDEX["mouthLeft"]]
    assert torch.allclose(moved, ablation.TRACE * FACES[:, co.YAW])
    assert torch.equal(traced[:, co.ROTATION], FACES[:, co.ROTATION])
