"""The ablation's figures say what they are called, shown on drawings whose faults are known."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from flap import coefficients as co  # noqa: E402
from flap.motion_field import MotionField  # noqa: E402
from training import ablation  # noqa: E402
from training.motions import random_face  # noqa: E402
from training.portrait import Portrait  # noqa: E402

FACES = torch.from_numpy(np.stack([random_face(np.random.default_rng(seed)) for seed in range(16)]))


@pytest.fixture
def sets() -> ablation.Sets:
    """A person with a clip of ten frames, the same for training and for testing."""
    torch.manual_seed(0)
    frames = SimpleNamespace(
        faces=FACES[:10], portrait_of=torch.zeros(10, dtype=torch.long), clips=torch.zeros(10, dtype=torch.long),
        portrait_faces=FACES[:1], masks=torch.full((10, 4, 64, 64), 255, dtype=torch.uint8),
    )  # fmt: skip
    prepared = SimpleNamespace(
        portrait_latent=torch.randn(1, 16, 32, 32), latent=torch.randn(10, 16, 32, 32),
        source=torch.rand(10, 2, 64, 64), unposed=torch.rand(10, 2, 64, 64), seen=torch.rand(10, 2, 64, 64),
    )  # fmt: skip
    motion = MotionField()
    features = motion.encode(torch.randn(1, 3, 256, 256)).detach()
    both = {"train": prepared, "unseen": prepared}
    return ablation.Sets(frames, frames, both, motion, features)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "variant", [v for v in ablation.VARIANTS if v.name == "all stages"], ids=lambda v: v.motion_field
)
def test_every_stage_of_a_variant_trains_its_own_layers(variant: ablation.Variant, sets: ablation.Sets) -> None:
    network = Portrait()
    for stage in variant.stages:
        own = ablation.stage_parameters(network, stage)
        network.zero_grad()
        ablation.stage_loss(network, sets, variant, stage, torch.Generator().manual_seed(0)).backward()
        assert own and any(parameter.grad is not None for parameter in own)
        assert all(p.grad is None for p in network.parameters() if not any(p is mine for mine in own))
    drawn = ablation.draw(network, sets, variant, torch.arange(4), FACES[:4])
    assert drawn.shape == (4, 16, 32, 32) and drawn.isfinite().all()


def test_head_motion_sees_nothing_of_where_the_expression_moves_the_portrait(sets: ablation.Sets) -> None:
    network, variant = Portrait(), ablation.Variant("head motion only", ("head_motion",), motion_field=True)

    def losses() -> list[float]:
        generators = (torch.Generator().manual_seed(0) for _ in range(2))
        with torch.no_grad():
            return [
                float(ablation.stage_loss(network, sets, variant, stage, generator))
                for stage, generator in zip(("head_motion", "expression"), generators, strict=True)
            ]

    before = losses()
    sets.prepared["train"].source.neg_()
    after = losses()
    assert before[0] == after[0] and before[1] != after[1]


def test_a_portrait_that_is_moved_by_the_pose_alone_does_not_follow_the_expression(sets: ablation.Sets) -> None:
    smiling = ablation.swapped(FACES[:4], FACES[4:8])
    for rigid_only in (True, False):
        moved = [
            ablation.guidance(sets, "unseen", torch.arange(4), True, faces, rigid_only)[0]
            for faces in (FACES[:4], smiling)
        ]
        assert torch.equal(*moved) == rigid_only


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


def test_rows_of_other_settings_are_no_part_of_the_table(tmp_path: Path) -> None:
    for place, minutes in ((0, 3), (1, 6), (2, 3)):
        kept = {"setting": {"minutes": minutes}, "row": {"name": str(place)}}
        (tmp_path / f"figures-{place}.json").write_text(json.dumps(kept))
    assert ablation.measured(tmp_path, {"minutes": 3}) == [{"name": "0"}, {"name": "2"}]
