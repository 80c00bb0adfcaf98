"""Progressively focused training of the denoiser (paper 4.3), one stage a run, each starting from the one before:

    python -m training.train_denoiser head_motion --data runs/dataset --out runs/denoiser --minutes 10
    python -m training.train_denoiser expression  --data runs/dataset --out runs/denoiser --minutes 25
    python -m training.train_denoiser video       --data runs/dataset --out runs/denoiser --minutes 10

`head_motion` bypasses expression and temporal layers; `expression` freezes what head_motion made of pose and bypasses
the temporal layers; `video` trains the temporal layers alone, on clips, with past frames in the cache as the server has
them: at the noise level of the last step. Noise levels are drawn where a two-step sampler works, and half of the
second steps start from the network's own first step, so training meets what inference meets.
"""

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from flap import scheduler
from flap.autoencoder import Autoencoder
from flap.config import CHUNK_FRAMES, CONTEXT_FRAMES
from flap.denoising_net import DenoisingNet, KeyValue, ReferenceNet
from flap.motion_field import MotionField, warp
from training import checkpoint, data, losses
from training.prepared import Prepared, moved_latent, prepare
from training.schedule import cosine_rate

STAGES = ("head_motion", "expression", "video")
PEAK_RATE = {"head_motion": 1e-3, "expression": 8e-4, "video": 1e-3}


class Portrait(torch.nn.Module):
    """Both networks as one thing to train, average and save."""

    def __init__(self) -> None:
        super().__init__()
        self.reference, self.denoiser = ReferenceNet(), DenoisingNet()

    def keys(self, portrait_latent: Tensor) -> list[KeyValue]:
        return self.denoiser.project_reference(self.reference(portrait_latent))


def trainable(network: Portrait, stage: str) -> list[torch.nn.Parameter]:
    """The stage's parameters; every other one is frozen by `requires_grad`."""
    for name, parameter in network.named_parameters():
        temporal, expression = (
            ".temporal." in name,
            ".expression." in name or "film_expression" in name or "conditions.groups" in name,
        )
        head_motion = ".head_motion." in name or "film_motion" in name or "conditions.pose" in name
        parameter.requires_grad_(
            {
                "head_motion": not temporal and not expression,
                "expression": not temporal and not head_motion,
                "video": temporal,
            }[stage]
        )
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


@dataclass(frozen=True)
class Step:
    """One place in a chunk of training: everything but the noise level."""

    clean: Tensor  # [n, 16, 32, 32]
    noise: Tensor
    faces: Tensor  # [n, 120]
    moved: Tensor  # [n, 16, 32, 32]
    seen: Tensor  # [n, 2, 32, 32]
    weight: Tensor  # [n, 1, 32, 32]


def gather(prepared: Prepared, frames: data.Frames, index: Tensor, noise: Tensor, rigid_only: bool = False) -> Step:
    moved, seen = moved_latent(prepared, frames, index, rigid_only)
    weight = losses.region_weight(frames.masks[index].float() / 255, 32)
    return Step(prepared.latent[index].float(), noise, frames.faces[index], moved, seen, weight)


def spread_levels(count: int, generator: torch.Generator) -> Tensor:
    """Noise levels t [count]: 45 % pure noise, 35 % the second step's, the rest anywhere."""
    draw = torch.rand(count, generator=generator)
    anywhere = torch.rand(count, generator=generator) * math.pi / 2
    return torch.where(draw < 0.45, scheduler.PURE_NOISE, torch.where(draw < 0.8, scheduler.MIDPOINT, anywhere))


def denoise_loss(step: Step, t: Tensor, own_start: Tensor, predict) -> Tensor:  # type: ignore[no-untyped-def]
    """Weighted v loss; frames in `own_start` [n] begin from the network's own first step instead of the truth."""
    with torch.no_grad():
        top = torch.full_like(t, scheduler.PURE_NOISE)
        first = -predict(step.noise, top) if bool(own_start.any()) else step.clean
    start = torch.where(own_start[:, None, None, None], first, step.clean)
    level = t[:, None, None, None]
    noisy = scheduler.add_noise(start, step.noise, level, torch.cos, torch.sin)
    # the clean latent stays the aim when the start was the network's own: v that leads from this x_t to it
    sine = torch.sin(level).clamp(min=0.05)
    aim = torch.where(
        own_start[:, None, None, None],
        (torch.cos(level) * noisy - step.clean) / sine,
        scheduler.velocity(step.clean, step.noise, level, torch.cos, torch.sin),
    )
    return losses.velocity_loss(predict(noisy, t), aim, step.weight)


def image_loss(
    network: Portrait, prepared: Prepared, frames: data.Frames, stage: str, generator: torch.Generator
) -> Tensor:
    """Stages 1 and 2: single frames of a few people."""
    people = torch.randint(len(frames.portraits), (5,), generator=generator)
    own = [torch.nonzero(frames.people == p)[:, 0] for p in people.tolist()]
    index = torch.cat([o[torch.randint(len(o), (6,), generator=generator)] for o in own])
    noise = torch.randn(len(index), 16, 32, 32, generator=generator)
    step = gather(prepared, frames, index, noise, rigid_only=stage == "head_motion")
    keys = network.keys(prepared.portrait_latent[people])
    t = spread_levels(len(index), generator)
    own_start = (t == scheduler.MIDPOINT) & (torch.rand(len(t), generator=generator) < 0.5)

    def predict(noisy: Tensor, level: Tensor) -> Tensor:
        return network.denoiser(
            noisy, level, step.faces, step.moved, step.seen, keys, use_expression=stage != "head_motion"
        )[0]

    return denoise_loss(step, t, own_start, predict)


def clip_index(frames: data.Frames, count: int, generator: torch.Generator) -> Tensor:
    """Frames [count, context + chunk] of random clips."""
    names = torch.unique(frames.clips[frames.clips >= 0])
    chosen = names[torch.randint(len(names), (count,), generator=generator)]
    return torch.stack([torch.nonzero(frames.clips == name)[:, 0] for name in chosen])


def video_loss(network: Portrait, prepared: Prepared, frames: data.Frames, generator: torch.Generator) -> Tensor:
    """Stage 3: the last chunk of clips whose earlier frames fill the cache."""
    index = clip_index(frames, 6, generator)
    clips = len(index)
    keys = [(k.detach(), v.detach()) for k, v in network.keys(prepared.portrait_latent[frames.people[index[:, 0]]])]
    noise = torch.randn(clips, 1, 16, 32, 32, generator=generator)
    denoiser = network.denoiser
    cache, mask = denoiser.empty_cache(clips), torch.zeros(clips, CONTEXT_FRAMES)
    filled = int(torch.randint(0, CONTEXT_FRAMES // CHUNK_FRAMES + 1, (1,), generator=generator)) * CHUNK_FRAMES
    with torch.no_grad():
        for start in range(CONTEXT_FRAMES - filled, CONTEXT_FRAMES, CHUNK_FRAMES):
            part = index[:, start : start + CHUNK_FRAMES]
            step = gather(prepared, frames, part.flatten(), noise.expand(-1, CHUNK_FRAMES, -1, -1, -1).flatten(0, 1))
            t = torch.full((part.numel(),), scheduler.MIDPOINT)
            level = t[:, None, None, None]
            noisy = scheduler.add_noise(
                step.clean + 0.1 * torch.randn_like(step.clean), step.noise, level, torch.cos, torch.sin
            )
            _, new = denoiser(noisy, t, step.faces, step.moved, step.seen, keys, cache, mask)
            cache, mask = shift(cache, mask, new)
    last = index[:, CONTEXT_FRAMES:]
    step = gather(prepared, frames, last.flatten(), noise.expand(-1, CHUNK_FRAMES, -1, -1, -1).flatten(0, 1))
    t = spread_levels(clips, generator).repeat_interleave(CHUNK_FRAMES)
    own_start = (t == scheduler.MIDPOINT) & (torch.rand(clips, generator=generator) < 0.5).repeat_interleave(
        CHUNK_FRAMES
    )

    def predict(noisy: Tensor, level: Tensor) -> Tensor:
        return denoiser(noisy, level, step.faces, step.moved, step.seen, keys, cache, mask)[0]

    return denoise_loss(step, t, own_start, predict)


def shift(cache: list[KeyValue], mask: Tensor, new: list[KeyValue]) -> tuple[list[KeyValue], Tensor]:
    """The cache with the oldest chunk out and `new` in."""
    moved = [
        (torch.cat([old_k[:, k.shape[1] :], k], 1), torch.cat([old_v[:, v.shape[1] :], v], 1))
        for (old_k, old_v), (k, v) in zip(cache, new, strict=True)
    ]
    chunk = new[0][0].shape[1]
    return moved, torch.cat([mask[:, chunk:], torch.ones(len(mask), chunk)], 1)


@torch.no_grad()
def generate(
    network: Portrait, prepared: Prepared, frames: data.Frames, index: Tensor, steps: int, stage: str = "expression"
) -> Tensor:
    """Latents [n, 16, 32, 32] of independent frames."""
    noise = torch.randn(1, 16, 32, 32, generator=torch.Generator().manual_seed(0)).expand(len(index), -1, -1, -1)
    step = gather(prepared, frames, index, noise, rigid_only=stage == "head_motion")
    keys = network.keys(prepared.portrait_latent[frames.people[index]])

    def predict(noisy: Tensor, t: float) -> Tensor:
        level = torch.full((len(index),), t)
        return network.denoiser(
            noisy, level, step.faces, step.moved, step.seen, keys, use_expression=stage != "head_motion"
        )[0]

    return scheduler.sample(predict, noise, steps)


@torch.no_grad()
def decode(autoencoder: Autoencoder, prepared: Prepared, frames: data.Frames, index: Tensor, latent: Tensor) -> Tensor:
    """Pictures [n, 3, 256, 256] from latents and the moved portrait."""
    people, source = frames.people[index], prepared.source[index].float()
    features = warp(prepared.portrait_features[people], source)
    pixels = warp(frames.portraits[people], data.upsample_source(source, 256))
    return autoencoder.decode(latent, features, pixels, prepared.seen[index].float())


def report(
    average: checkpoint.Average, autoencoder: Autoencoder, held: dict[str, tuple[Prepared, data.Frames]], stage: str
) -> str:
    network = Portrait()
    network.load_state_dict(average.weights)
    line = ""
    for split, (prepared, frames) in held.items():
        index = torch.linspace(0, len(frames) - 1, 24).long()
        truth = data.picture(frames.images[index])
        mouth = F.interpolate(frames.masks[index, 2:3].float(), size=(256, 256)) > 127
        line += f" | {split}"
        for steps in (1, 2):
            made = decode(
                autoencoder, prepared, frames, index, generate(network, prepared, frames, index, steps, stage)
            )
            line += f" {steps}-step {losses.psnr_db(made, truth):.2f} dB mouth {losses.psnr_db(made, truth, mouth):.2f}"
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--autoencoder", type=Path, default=Path("runs/autoencoder/final"))
    parser.add_argument("--motion", type=Path, default=Path("runs/motion/final"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    autoencoder = Autoencoder.from_pretrained(options.autoencoder)
    motion = MotionField.from_pretrained(options.motion)
    sets = {split: data.load(options.data, split) for split in ("train", "seen", "unseen")}
    held = {split: (prepare(frames, autoencoder, motion), frames) for split, frames in sets.items() if split != "train"}
    train, prepared = sets["train"], prepare(sets["train"], autoencoder, motion)
    print(f"prepared {len(train)} frames", flush=True)
    network = Portrait()
    before = STAGES.index(options.stage) - 1
    if before >= 0:
        network.load_state_dict(torch.load(options.out / f"{STAGES[before]}.pt", weights_only=True))
    run(network, options, autoencoder, train, prepared, held)


def run(network, options, autoencoder, train, prepared, held) -> None:  # type: ignore[no-untyped-def]
    stage, peak = options.stage, PEAK_RATE[options.stage]
    optimiser = torch.optim.AdamW(trainable(network, stage), peak, betas=(0.9, 0.99), weight_decay=0.01)
    average = checkpoint.Average(network)
    state = options.out / f"{stage}.state.pt"
    parts = {"network": network, "optimiser": optimiser, "average": average}
    progress = checkpoint.resume(state, parts)
    generator = torch.Generator().manual_seed(progress.step)
    started = time.monotonic() - progress.elapsed_s
    while (elapsed := time.monotonic() - started) < options.minutes * 60:
        for group in optimiser.param_groups:
            group["lr"] = cosine_rate(peak, progress.step, elapsed / (options.minutes * 60))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            if stage == "video":
                loss = video_loss(network, prepared, train, generator)
            else:
                loss = image_loss(network, prepared, train, stage, generator)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        progress.step += 1
        average.update(network, progress.step)
        if progress.step % 200 == 0:
            progress.elapsed_s = elapsed
            checkpoint.save(state, progress, parts)
            held_out = report(average, autoencoder, held, stage) if progress.step % 400 == 0 else ""
            print(f"{stage} step {progress.step} {elapsed:.0f} s loss {loss.item():.4f}{held_out}", flush=True)
    torch.save(average.weights, options.out / f"{stage}.pt")
    network.load_state_dict(average.weights)
    network.reference.save_pretrained(options.out / stage / "reference_net")
    network.denoiser.save_pretrained(options.out / stage / "denoising_net")


if __name__ == "__main__":
    main()
