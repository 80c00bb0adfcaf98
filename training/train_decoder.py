"""Adapts the decoder to what the server feeds it (docs/training.md has the command).

The encoder stays as it is, so latents keep their meaning; the portrait is moved by the trained motion field instead of
the renderer's exact flow, and the latent carries noise of the size of the denoiser's errors.
"""

import argparse
import time
from pathlib import Path

import torch
from torch import Tensor

from flap.autoencoder import Autoencoder
from flap.motion_field import MotionField, warp
from training import checkpoint, data, losses
from training.prepared import Prepared, prepare
from training.schedule import cosine_rate
from training.train_autoencoder import CROP, crop_corner
from training.train_denoiser import Portrait, decode, generate

PEAK_RATE = 7e-4
LATENT_NOISE = 0.12  # in normalised latents
BATCH = 16


def loss_of(
    network: Autoencoder,
    prepared: Prepared,
    frames: data.Frames,
    generator: torch.Generator,
    generator_network: Portrait | None = None,
) -> Tensor:
    """Crops of random frames, decoded from their latent and the portrait as the motion field moves it.

    With `generator_network` the latent is the one that the denoiser makes in one or two steps, otherwise the true one.
    """
    index = torch.randint(len(frames), (BATCH,), generator=generator)
    people, (top, left) = frames.people[index], crop_corner(generator)
    cut = (..., slice(top, top + CROP), slice(left, left + CROP))
    cut4 = (..., slice(top // 4, (top + CROP) // 4), slice(left // 4, (left + CROP) // 4))
    cut8 = (..., slice(top // 8, (top + CROP) // 8), slice(left // 8, (left + CROP) // 8))
    source = prepared.source[index].float()
    if generator_network is None:
        latent = prepared.latent[index].float()
        latent = latent + LATENT_NOISE * torch.randn(latent.shape, generator=generator)
    else:
        latent = generate(
            generator_network, prepared, frames, index, steps=int(torch.randint(1, 3, (1,), generator=generator))
        )
    latent = latent[cut8]
    pixels = warp(frames.portraits[people], data.upsample_source(source, 256)[cut])
    features = warp(prepared.portrait_features[people], source[cut4])
    truth = data.picture(frames.images[index])[cut].contiguous(memory_format=torch.channels_last)
    made = network.decode(latent, features, pixels, prepared.seen[index].float()[cut4])
    return losses.picture_loss(made, truth, losses.region_weight((frames.masks[index].float() / 255)[cut4], CROP))


@torch.no_grad()
def report(
    average: checkpoint.Average, held: dict[str, tuple[Prepared, data.Frames]], generator_network: Portrait | None
) -> str:
    measured, line = Autoencoder(), ""
    measured.load_state_dict(average.weights)
    for split, (prepared, frames) in held.items():
        index = torch.linspace(0, len(frames) - 1, 24).long()
        latent = prepared.latent[index].float()
        if generator_network is not None:
            latent = generate(generator_network, prepared, frames, index, steps=2)
        made = decode(measured, prepared, frames, index, latent)
        truth = data.picture(frames.images[index])
        masks = torch.nn.functional.interpolate(frames.masks[index].float() / 255, size=(256, 256))
        figures = (losses.psnr_db(made, truth, masks[:, i : i + 1] > 0.5) for i in (1, 2, 3))
        line += f" | {split} dB " + " ".join(
            f"{n} {v:.2f}" for n, v in zip(("face", "mouth", "eyes"), figures, strict=True)
        )
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("data", "autoencoder", "motion", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument(
        "--denoiser", type=Path, help="weights of a trained stage (.pt): decode what it generates, not true latents"
    )
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    network = Autoencoder.from_pretrained(options.autoencoder)
    motion = MotionField.from_pretrained(options.motion)
    sets = {split: data.load(options.data, split) for split in ("train", "seen", "unseen")}
    prepared = {split: (prepare(frames, network, motion), frames) for split, frames in sets.items()}
    train = prepared.pop("train")
    generator_network = None
    if options.denoiser:
        generator_network = Portrait()
        generator_network.load_state_dict(torch.load(options.denoiser, weights_only=True))
    network.to(memory_format=torch.channels_last)
    network.encoder.requires_grad_(False)
    optimiser = torch.optim.AdamW(network.decoder.parameters(), PEAK_RATE, betas=(0.9, 0.99), weight_decay=1e-4)
    average = checkpoint.Average(network)
    parts = {"network": network, "optimiser": optimiser, "average": average}
    progress = checkpoint.resume(options.out / "state.pt", parts)
    generator = torch.Generator().manual_seed(progress.step)
    started = time.monotonic() - progress.elapsed_s
    while (elapsed := time.monotonic() - started) < options.minutes * 60:
        for group in optimiser.param_groups:
            group["lr"] = cosine_rate(PEAK_RATE, progress.step, elapsed / (options.minutes * 60))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = loss_of(network, *train, generator, generator_network)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.decoder.parameters(), 1.0)
        optimiser.step()
        progress.step += 1
        average.update(network, progress.step)
        if progress.step % 400 == 0:
            progress.elapsed_s = elapsed
            checkpoint.save(options.out / "state.pt", progress, parts)
            print(
                f"step {progress.step} {elapsed:.0f} s loss {loss.item():.4f}{report(average, prepared, generator_network)}",
                flush=True,
            )
    network.load_state_dict(average.weights)
    network.save_pretrained(options.out / "final")


if __name__ == "__main__":
    main()
