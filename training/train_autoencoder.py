"""Trains the autoencoder: `python -m training.train_autoencoder --data runs/dataset --out runs/autoencoder`.

The decoder sees the portrait moved by the renderer's exact flow, disturbed a little so that it learns to mend the
motion field's errors, and sometimes nothing at all so that the latent must carry the whole picture. Crops around the
face make four pictures' worth of training out of one.

Two habits make latents that a small denoiser can predict: noise as large as the denoiser's errors, and the wish that a
frame's latent be the portrait's latent moved (equivariance, as in EQ-VAE), so that the denoiser starts nearly there.
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from flap.autoencoder import Autoencoder
from flap.motion_field import warp
from training import data, losses
from training.checkpoint import begin_from
from training.loop import fit
from training.portrait import CROP, crop_corner

LATENT_NOISE = 0.2  # of each channel's own deviation: fixed noise and the wish below once made all latents zero
EQUIVARIANCE = 0.01
PORTRAIT_HIDDEN = 0.15


def disturbed(source: Tensor, generator: torch.Generator, pixels: float = 1.0) -> Tensor:
    """Sources with smooth random errors of about `pixels`, for half of the frames."""
    wobble = torch.randn(len(source), 2, 12, 12, generator=generator) * (pixels / 128)
    wobble *= (torch.rand(len(source), 1, 1, 1, generator=generator) < 0.5).float()
    return source + F.interpolate(wobble, size=source.shape[2:], mode="bilinear", align_corners=False)


def moved_portrait(
    features: Tensor, portraits: Tensor, source: Tensor, top: int, left: int, size: int
) -> tuple[Tensor, Tensor]:
    """Portrait features [p, f, 64, 64] and pixels [p, 3, 256, 256] moved into a crop of n frames.

    Returns [n, f, size/4, size/4] and [n, 3, size, size].
    """
    frames_each = len(source) // len(portraits)
    fine = data.upsample_source(source, 256)[:, :, top : top + size, left : left + size]
    coarse = source[:, :, top // 4 : (top + size) // 4, left // 4 : (left + size) // 4]
    return (
        warp(features.repeat_interleave(frames_each, 0), coarse),
        warp(portraits.repeat_interleave(frames_each, 0), fine),
    )


def loss_of(network: Autoencoder, batch: data.Batch, generator: torch.Generator) -> Tensor:
    top, left = crop_corner(generator)
    cut = slice(top, top + CROP), slice(left, left + CROP)
    cut4 = slice(top // 4, (top + CROP) // 4), slice(left // 4, (left + CROP) // 4)
    portrait_latent, portrait_features = network.encoder(batch.portraits)
    source = disturbed(batch.source, generator)
    features, pixels = moved_portrait(portrait_features, batch.portraits, source, top, left, CROP)
    masks = batch.masks[:, :, *cut4]
    shown = (torch.rand(len(source), 1, 1, 1, generator=generator) > PORTRAIT_HIDDEN).float()
    truth = batch.image[:, :, *cut].contiguous(memory_format=torch.channels_last)
    latent, _ = network.encoder(truth)
    frames_each = len(source) // len(batch.portraits)
    moved = warp(portrait_latent.repeat_interleave(frames_each, 0).float(), F.avg_pool2d(batch.source[:, :, *cut4], 2))
    deviation = latent.float().std((0, 2, 3), keepdim=True).clamp(min=1e-3)
    distance = losses.weighted_l1(moved / deviation, latent.float() / deviation, F.avg_pool2d(masks[:, :1], 2) + 0.01)
    noisy = latent + LATENT_NOISE * deviation.detach() * torch.randn(latent.shape, generator=generator)
    made = network.decoder(noisy, features * shown, pixels * shown, masks[:, :2] * shown)
    return losses.picture_loss(made, truth, losses.region_weight(masks, CROP)) + EQUIVARIANCE * distance


@torch.no_grad()
def reconstruct(network: Autoencoder, batch: data.Batch) -> Tensor:
    """Whole frames through encoder and guided decoder."""
    portrait_features = network.encoder(batch.portraits)[1]
    features, pixels = moved_portrait(portrait_features, batch.portraits, batch.source, 0, 0, 256)
    return network.decoder(network.encoder(batch.image)[0], features, pixels, batch.masks[:, :2])


def report(network: Autoencoder, held: dict[str, data.Batch]) -> str:
    lines = []
    for split, batch in held.items():
        made = reconstruct(network, batch)
        masks = F.interpolate(batch.masks, size=(256, 256), mode="nearest")
        shares = {"all": None, "face": masks[:, 1:2], "mouth": masks[:, 2:3] > 0.5, "eyes": masks[:, 3:4] > 0.5}
        figures = [f"{name} {losses.psnr_db(made, batch.image, mask):.2f}" for name, mask in shares.items()]
        lines.append(f"{split} dB {' '.join(figures)}")
    return " | ".join(lines)


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
    parser.add_argument("--begin-from", type=Path, help="folder of an earlier autoencoder")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    network = Autoencoder().to(memory_format=torch.channels_last)
    if options.begin_from:
        begin_from(network, options.begin_from)
    train = data.load(options.data, "train")
    held = {split: data.spread(data.load(options.data, split), 24) for split in ("seen", "unseen")}

    def step(generator: torch.Generator) -> Tensor:
        return loss_of(network, data.varied(data.draw(train, 4, 3, generator), generator), generator)

    fit(
        network, network.parameters(), step, lambda measured: report(measured, held),
        state=options.out / "autoencoder.pt", minutes=options.minutes, peak_rate=1e-3, weight_decay=1e-4,
    )  # fmt: skip
    fit_latent_scale(network, train)
    network.save_pretrained(options.out / "final")


if __name__ == "__main__":
    main()
