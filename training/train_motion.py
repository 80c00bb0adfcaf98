"""Trains the motion field on the renderer's exact flow: `python -m training.train_motion --data runs/dataset --out runs/motion`."""

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn

from flap.motion_field import MotionField, warp
from training import data, losses
from training.checkpoint import begin_from
from training.loop import fit

PEAK_RATE = 1.2e-3


def loss_of(network: MotionField, batch: data.Batch) -> tuple[Tensor, dict[str, float]]:
    """Flow, rigid flow and mask losses; mean errors in portrait pixels of face, mouth and eyes for the log."""
    frames_each = len(batch.faces) // len(batch.portraits)
    features = network.encode(batch.portraits).repeat_interleave(frames_each, 0)
    unposed, source, logits = network(features, batch.portrait_faces, batch.faces)
    alpha, seen = batch.masks[:, 1:2], batch.masks[:, 0:1]
    weight = (0.3 + alpha * (0.4 + 1.6 * seen)) * (1 + 6 * batch.masks[:, 2:3] * seen + 8 * batch.masks[:, 3:4] * seen)
    levers = warp(network.turned(features, batch.portrait_faces, batch.faces), batch.unposed)
    turned = losses.flow_loss(batch.unposed + levers, network.grid.expand_as(levers), weight)
    flow = losses.flow_loss(source, batch.source, weight)
    rigid = losses.flow_loss(unposed, batch.unposed, weight)
    mask = losses.mask_logit_loss(logits, torch.cat([seen, alpha], 1))
    error = (source.detach() - batch.source).norm(dim=1, keepdim=True) * 128
    regions = {"face": alpha, "mouth": batch.masks[:, 2:3] > 0.5, "eyes": batch.masks[:, 3:4] > 0.5}
    errors = {
        f"{name}_px": float((error * seen * region).sum() / (seen * region).sum().clamp(min=1))
        for name, region in regions.items()
    }
    errors |= {"turned_px": turned.item(), "rigid_px": rigid.item(), "mask": mask.item()}
    return flow + 0.7 * rigid + 0.5 * turned + 2.0 * mask, errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--begin-from", type=Path, help="folder of an earlier motion field")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    network = MotionField()
    if options.begin_from:
        begin_from(network, options.begin_from)
    train = data.load(options.data, "train")
    held = {split: data.spread(data.load(options.data, split), 32) for split in ("seen", "unseen")}

    def step(generator: torch.Generator) -> Tensor:
        return loss_of(network, data.varied(data.draw(train, 6, 4, generator), generator))[0]

    def report(measured: nn.Module) -> str:
        figures = {split: loss_of(measured, batch)[1] for split, batch in held.items()}
        return " | ".join(
            f"{split} " + " ".join(f"{name} {value:.3f}" for name, value in errors.items())
            for split, errors in figures.items()
        )

    fit(network, network.parameters(), step, report, state=options.out / "motion.pt", minutes=options.minutes,
        peak_rate=PEAK_RATE)  # fmt: skip
    network.save_pretrained(options.out / "final")


if __name__ == "__main__":
    main()
