"""Trains the motion field on the renderer's exact flow: `python -m training.train_motion --data runs/dataset --out runs/motion`."""

import argparse
import time
from pathlib import Path

import torch
from torch import Tensor

from flap.motion_field import MotionField
from training import checkpoint, data, losses
from training.schedule import cosine_rate


def loss_of(network: MotionField, batch: data.Batch, portraits: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Flow, rigid flow and mask losses; errors in portrait pixels for the log."""
    frames_each = len(batch.faces) // len(portraits)
    features = network.encode(portraits).repeat_interleave(frames_each, 0)
    unposed, source, logits = network(features, batch.portrait_faces, batch.faces)
    alpha, seen = batch.masks[:, 1:2], batch.masks[:, 0:1]
    weight = (0.3 + alpha * (0.4 + 1.6 * seen)) * (1 + 4 * batch.masks[:, 2:3] * seen + 4 * batch.masks[:, 3:4])
    flow = losses.flow_loss(source, batch.source, weight)
    rigid = losses.flow_loss(unposed, batch.unposed, weight)
    mask = losses.mask_logit_loss(logits, torch.cat([seen, alpha], 1))
    face = alpha * seen
    error = ((source - batch.source).norm(dim=1, keepdim=True) * 128 * face).sum() / face.sum()
    mouth = face * (batch.masks[:, 2:3] > 0.5)
    mouth_error = ((source - batch.source).norm(dim=1, keepdim=True) * 128 * mouth).sum() / mouth.sum().clamp(min=1)
    return flow + 0.7 * rigid + 2.0 * mask, {
        "face_px": error.item(),
        "mouth_px": mouth_error.item(),
        "mask": mask.item(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    network = MotionField()
    optimiser = torch.optim.AdamW(network.parameters(), 2e-3, betas=(0.9, 0.99), weight_decay=0.01)
    average = checkpoint.Average(network)
    state = options.out / "state.pt"
    parts = {"network": network, "optimiser": optimiser, "average": average}
    progress = checkpoint.resume(state, parts)
    train, generator = data.load(options.data, "train"), torch.Generator().manual_seed(progress.step)
    started = time.monotonic() - progress.elapsed_s
    while (elapsed := time.monotonic() - started) < options.minutes * 60:
        rate = cosine_rate(2e-3, progress.step, elapsed / (options.minutes * 60))
        for group in optimiser.param_groups:
            group["lr"] = rate
        batch = data.draw(train, 4, 6, generator)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss, figures = loss_of(network, batch, data.recolour(batch.portraits, generator))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        progress.step += 1
        average.update(network, progress.step)
        if progress.step % 200 == 0:
            progress.elapsed_s = elapsed
            checkpoint.save(state, progress, parts)
            report(average, options.data, progress, figures)
            train = data.load(options.data, "train") if progress.step % 1000 == 0 else train
    network.load_state_dict(average.weights)
    network.save_pretrained(options.out / "final")


@torch.no_grad()
def report(average: checkpoint.Average, folder: Path, progress: checkpoint.Progress, figures: dict[str, float]) -> None:
    measured = MotionField()
    measured.load_state_dict(average.weights)
    line = " ".join(f"{name} {value:.3f}" for name, value in figures.items())
    for split in ("seen", "unseen"):
        batch = data.spread(data.load(folder, split), 32)
        _, held = loss_of(measured, batch, batch.portraits)
        line += f" | {split} " + " ".join(f"{name} {value:.3f}" for name, value in held.items())
    print(f"step {progress.step} {progress.elapsed_s:.0f} s {line}", flush=True)


if __name__ == "__main__":
    main()
