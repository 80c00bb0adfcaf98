"""Progressively focused training freezes what the paper freezes, bit for bit; only `few_step` and `decoder` touch the decoder."""

import copy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from training import ablation, stages, train_denoiser  # noqa: E402
from training.prepared import Prepared  # noqa: E402

FROZEN = {
    "head_motion": (".expression.", "film_expression", "conditions.groups", ".temporal.", "autoencoder"),
    "expression": (".head_motion.", "film_motion", "conditions.pose", ".temporal.", "autoencoder"),
    "consistency": (".temporal.", "autoencoder"),
    "few_step": (".temporal.", "autoencoder.encoder"),
    "video": (
        ".head_motion.",
        ".expression.",
        ".spatial.",
        ".feed_forward.",
        "trunk",
        "conditions",
        "film",
        "autoencoder",
    ),
    "decoder": ("denoiser", "reference", "autoencoder.encoder"),
}
TRAINED = {
    "head_motion": ".head_motion.to_out", "expression": ".expression.to_out", "few_step": "autoencoder.decoder.out",
    "consistency": "trunk.conv_out", "video": ".temporal.to_out", "decoder": "autoencoder.decoder.out",
}  # fmt: skip


def little_data() -> tuple[Prepared, SimpleNamespace]:
    torch.manual_seed(0)
    frames, portraits = 20, 2
    grid = torch.rand(frames, 2, 64, 64) * 2 - 1
    prepared = Prepared(
        torch.randn(frames, 16, 32, 32), grid, grid, torch.rand(frames, 2, 64, 64), torch.randn(portraits, 16, 32, 32),
        torch.randn(portraits, 16, 64, 64),
    )  # fmt: skip
    return prepared, SimpleNamespace(
        portrait_of=torch.arange(frames) // 10, portraits=torch.zeros(portraits, 3, 256, 256), faces=torch.rand(frames, 120),
        masks=torch.randint(0, 255, (frames, 4, 64, 64), dtype=torch.uint8), clips=torch.arange(frames) // 10,
        images=torch.randint(0, 255, (frames, 256, 256, 3), dtype=torch.uint8),
    )  # fmt: skip


@pytest.mark.parametrize("stage", train_denoiser.STAGES)
def test_one_step_of_a_stage_leaves_frozen_tensors_bitwise_unchanged(stage: str) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    prepared, frames = little_data()
    network = train_denoiser.Portrait()
    optimiser = torch.optim.AdamW(train_denoiser.trainable(network, stage), 1e-2, weight_decay=0.1)
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    generator = torch.Generator().manual_seed(0)
    teacher = copy.deepcopy(network) if stage == "consistency" else None
    loss = train_denoiser.stage_loss(network, prepared, frames, stage, generator, teacher)
    loss.backward()
    optimiser.step()
    changed = {name for name, value in network.named_parameters() if not torch.equal(value, before[name])}
    assert not [name for name in changed if any(part in name for part in FROZEN[stage])]
    assert [name for name in changed if TRAINED[stage] in name]


def test_the_decoder_learns_on_sampled_latents_that_follow_from_the_noise_alone() -> None:
    torch.manual_seed(0)
    prepared, frames = little_data()
    network = train_denoiser.Portrait()
    once, again = (train_denoiser.sampled(network, prepared, frames).latent for _ in range(2))
    assert once.shape == prepared.latent.shape and torch.equal(once, again)
    assert not torch.allclose(once.float(), prepared.latent, atol=0.1)


def test_a_student_that_is_its_teacher_and_knows_the_picture_has_nothing_to_learn() -> None:
    """A network that always jumps to the same latent is consistent with itself, whatever the noise level."""
    prepared, frames = little_data()

    class Certain(torch.nn.Module):
        def denoiser(self, noisy, t, faces, moved, seen, keys, use_expression):  # type: ignore[no-untyped-def]
            level = t[:, None, None, None]
            return (torch.cos(level) * noisy - moved) / torch.sin(level).clamp(min=1e-4), []

        def keys(self, latent):  # type: ignore[no-untyped-def]
            return []

    certain = Certain()
    loss = train_denoiser.consistency_loss(certain, certain, prepared, frames, torch.Generator().manual_seed(0))
    assert float(loss) < 1e-3


@pytest.mark.parametrize("program", [[train_denoiser, "head_motion"], [ablation]], ids=["stages", "ablation"])
def test_shards_without_clips_are_refused_before_anything_is_trained(
    program: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(tmp_path / "person000-01.npz", clip=np.full(14, -1))
    module, *words = program
    monkeypatch.setattr("sys.argv", ["train", *words, "--data", str(tmp_path), "--out", str(tmp_path / "out")])
    with pytest.raises(FileNotFoundError, match="--clips"):
        module.main()


def test_the_epsilon_objective_weighs_a_picture_by_its_noise_level_however_small_the_batch() -> None:
    torch.manual_seed(0)
    clean, weight, levels = torch.randn(1, 4, 8, 8), torch.rand(1, 1, 8, 8) + 0.5, []

    def denoise(noisy, t):  # type: ignore[no-untyped-def]
        levels.append(float(t))
        return torch.zeros_like(noisy), []

    for seed in range(8):
        velocity, epsilon = (
            float(stages.denoising_loss(denoise, clean, weight, torch.Generator().manual_seed(seed), objective))
            for objective in ("velocity", "epsilon")
        )
        assert epsilon == pytest.approx(np.cos(levels[-1]) ** 2 * velocity, rel=1e-4, abs=1e-9)
    assert min(levels) < 0.1 and max(levels) > 1.4
