"""Trains the autoencoder: `python -m training.train_autoencoder --data runs/dataset --out runs/autoencoder`.

The decoder sees the portrait moved by the renderer's exact flow, disturbed a little so that it learns to mend the
motion field's errors, and sometimes nothing at all so that the latent must carry the whole picture. Crops around the
face make four pictures' worth of training out of one.
"""

import argparse
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from flap.autoencoder import Autoencoder
from flap.motion_field import warp
from training import checkpoint, data, losses
from training.schedule import cosine_rate

CROP = 128
LATENT_NOISE = 0.05


def disturbed(source: Tensor, generator: torch.Generator, pixels: float = 1.0) -> Tensor:
    """Sources with smooth random errors of about `pixels`, for half of the frames."""
    wobble = torch.randn(len(source), 2, 12, 12, generator=generator) * (pixels / 128)
    wobble *= (torch.rand(len(source), 1, 1, 1, generator=generator) < 0.5).float()
    return source + F.interpolate(wobble, size=source.shape[2:], mode="bilinear", align_corners=False)


def moved_portrait(
    network: Autoencoder, portraits: Tensor, source: Tensor, top: int, left: int, size: int
) -> tuple[Tensor, Tensor]:
    """Portrait features [n, f, size/4, size/4] and pixels [n, 3, size, size] moved into a crop of the frame."""
    frames_each = len(source) // len(portraits)
    features = network.encoder.features(network.encoder.down4(portraits)).repeat_interleave(frames_each, 0)
    fine = data.upsample_source(source, 256)[:, :, top : top + size, left : left + size]
    coarse = source[:, :, top // 4 : (top + size) // 4, left // 4 : (left + size) // 4]
    return warp(features, coarse), warp(portraits.repeat_interleave(frames_each, 0), fine)


def crop_corner(generator: torch.Generator) -> tuple[int, int]:
    """Top and left of a crop that mostly holds the face, on the latent's grid."""
    top = 8 * int(torch.randint(3, 16, (1,), generator=generator))
    left = 8 * int(torch.randint(4, 13, (1,), generator=generator))
    return min(top, 256 - CROP), min(left, 256 - CROP)


def loss_of(network: Autoencoder, batch: data.Batch, generator: torch.Generator) -> Tensor:
    top, left = crop_corner(generator)
    cut = slice(top, top + CROP), slice(left, left + CROP)
    source = disturbed(batch.source, generator)
    features, pixels = moved_portrait(network, batch.portraits, source, top, left, CROP)
    cut4 = slice(top // 4, (top + CROP) // 4), slice(left // 4, (left + CROP) // 4)
    masks = batch.masks[:, :, *cut4]
    shown = (torch.rand(len(source), 1, 1, 1, generator=generator) > 0.12).float()
    truth = batch.image[:, :, *cut].contiguous(memory_format=torch.channels_last)
    latent, _ = network.encoder(truth)
    latent = latent + LATENT_NOISE * torch.randn(latent.shape, generator=generator)
    made = network.decoder(latent, features * shown, pixels * shown, masks[:, :2] * shown)
    return losses.picture_loss(made, truth, losses.region_weight(masks, CROP))


@torch.no_grad()
def reconstruct(network: Autoencoder, batch: data.Batch) -> Tensor:
    """Whole frames through encoder and guided decoder."""
    features, pixels = moved_portrait(network, batch.portraits, batch.source, 0, 0, 256)
    return network.decoder(network.encoder(batch.image)[0], features, pixels, batch.masks[:, :2])


@torch.no_grad()
def report(average: checkpoint.Average, folder: Path) -> str:
    measured = Autoencoder()
    measured.load_state_dict(average.weights)
    line = ""
    for split in ("seen", "unseen"):
        batch = data.spread(data.load(folder, split), 24)
        made = reconstruct(measured, batch)
        masks = F.interpolate(batch.masks, size=(256, 256), mode="nearest")
        shares = {"all": None, "face": masks[:, 1:2], "mouth": masks[:, 2:3] > 0.5, "eyes": masks[:, 3:4] > 0.5}
        figures = [f"{name} {losses.psnr_db(made, batch.image, mask):.2f}" for name, mask in shares.items()]
        line += f" | {split} dB {' '.join(figures)}"
    return line


@torch.no_grad()
def fit_latent_scale(network: Autoencoder, frames: data.Frames) -> None:
    """Sets the statistics that bring latents to zero mean and unit deviation."""
    index = torch.arange(0, len(frames), max(1, len(frames) // 256))
    latents = torch.cat([network.encoder(data.picture(frames.images[part]))[0] for part in index.split(16)])
    network.latent_mean.copy_(latents.mean((0, 2, 3), keepdim=True))
    network.latent_std.copy_(latents.std((0, 2, 3), keepdim=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    network = Autoencoder().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3, betas=(0.9, 0.99), weight_decay=1e-4)
    average = checkpoint.Average(network)
    state = options.out / "state.pt"
    parts = {"network": network, "optimiser": optimiser, "average": average}
    progress = checkpoint.resume(state, parts)
    train, generator = data.load(options.data, "train"), torch.Generator().manual_seed(progress.step)
    started = time.monotonic() - progress.elapsed_s
    while (elapsed := time.monotonic() - started) < options.minutes * 60:
        for group in optimiser.param_groups:
            group["lr"] = cosine_rate(1e-3, progress.step, elapsed / (options.minutes * 60))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = loss_of(network, data.draw(train, 3, 4, generator), generator)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        progress.step += 1
        average.update(network, progress.step)
        if progress.step % 200 == 0:
            progress.elapsed_s = elapsed
            checkpoint.save(state, progress, parts)
            print(
                f"step {progress.step} {elapsed:.0f} s loss {loss.item():.4f}{report(average, options.data)}",
                flush=True,
            )
            train = data.load(options.data, "train") if progress.step % 1000 == 0 else train
    network.load_state_dict(average.weights)
    fit_latent_scale(network, train)
    network.save_pretrained(options.out / "final")


if __name__ == "__main__":
    main()
