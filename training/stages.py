"""Progressively focused training and distillation, whatever network is trained: what a stage trains, on which noise, against what.

A network is seen as `denoise(noisy, t) -> (v, temporal keys)`; `training.train_denoiser` trains flap-small so, and
`training.train_sd15` flap-sd15.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from flap import scheduler
from flap.config import CONTEXT_FRAMES, TOGETHER_FRAMES
from training import losses

STAGES = ("head_motion", "expression", "consistency", "few_step", "video")
TEACHER_STEPS = 24  # of the teacher from pure noise to the picture
HUBER = 0.03  # where the distance between student and teacher turns from squared to absolute

KeyValue = tuple[Tensor, Tensor]
Denoise = Callable[[Tensor, Tensor], tuple[Tensor, list[KeyValue]]]
DenoiseChunk = Callable[[Tensor, Tensor, list[KeyValue], Tensor], tuple[Tensor, list[KeyValue]]]  # with cache and mask


def trainable(network: nn.Module, stage: str) -> list[nn.Parameter]:
    """The stage's parameters; every other one is frozen by `requires_grad`."""
    for name, parameter in network.named_parameters():
        temporal, autoencoder = ".temporal." in name, name.startswith("autoencoder.")
        expression = ".expression." in name or "film_expression" in name or "conditions.groups" in name
        head_motion = ".head_motion." in name or "film_motion" in name or "conditions.pose" in name
        parameter.requires_grad_(
            {
                "head_motion": not (temporal or autoencoder or expression),
                "expression": not (temporal or autoencoder or head_motion),
                "consistency": not (temporal or autoencoder),
                "few_step": not temporal and "autoencoder.encoder" not in name,
                "video": temporal,
                "decoder": "autoencoder.decoder" in name,
            }[stage]
        )
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


class Faces(Protocol):
    """Frames of several people, some of them in clips."""

    @property
    def portrait_of(self) -> Tensor:
        """[n] whose each frame is."""

    @property
    def clips(self) -> Tensor:
        """[n] each frame's clip, or -1."""


def draw_index(frames: Faces, people: int, frames_each: int, generator: torch.Generator) -> Tensor:
    """Frames [people * frames_each] of a few people, so that each portrait is projected once; who has more comes more."""
    chosen = frames.portrait_of[torch.randint(len(frames.portrait_of), (people,), generator=generator)]
    own = [torch.nonzero(frames.portrait_of == person)[:, 0] for person in chosen.tolist()]
    return torch.cat([o[torch.randint(len(o), (frames_each,), generator=generator)] for o in own])


def draw_clips(frames: Faces, count: int, generator: torch.Generator) -> Tensor:
    """Frames [count, past + chunk] of random clips; the past is any number of whole chunks, the same for all."""
    names = torch.unique(frames.clips[frames.clips >= 0])
    chosen = names[torch.randint(len(names), (count,), generator=generator)]
    clips = torch.stack([torch.nonzero(frames.clips == name)[:, 0] for name in chosen])
    past = TOGETHER_FRAMES * int(torch.randint(0, CONTEXT_FRAMES // TOGETHER_FRAMES + 1, (1,), generator=generator))
    return clips[:, CONTEXT_FRAMES - past :]


def draw_steps(generator: torch.Generator) -> int:
    """One step mostly, as shipped; two often enough that they stay as good."""
    return 1 if float(torch.rand(1, generator=generator)) < 0.7 else 2


def noise_like(clean: Tensor, generator: torch.Generator) -> Tensor:
    """Noise drawn on the generator's device, so that a seed means the same everywhere."""
    return torch.randn(clean.shape, generator=generator).to(clean.device)


def denoising_loss(
    denoise: Denoise, clean: Tensor, weight: Tensor, generator: torch.Generator, objective: str = "velocity",
    last_level: float = scheduler.PURE_NOISE,
) -> Tensor:  # fmt: skip
    """Stages 1 and 2: weighted loss on single frames, half of them at the last level, the rest at any.

    `objective` "epsilon" is the paper's Eq. 4, which has nothing to say at pure noise.
    """
    noise = noise_like(clean, generator)
    anywhere = torch.rand(len(clean), generator=generator) * last_level
    t = torch.where(torch.rand(len(clean), generator=generator) < 0.5, last_level, anywhere).to(clean.device)
    level = t[:, None, None, None]
    noisy = scheduler.add_noise(clean, noise, level, torch.cos, torch.sin)
    aim = scheduler.velocity(clean, noise, level, torch.cos, torch.sin)
    velocity, _ = denoise(noisy, t)
    return losses.velocity_loss(velocity, aim, weight, scheduler.loss_weight(level, objective, torch.cos))


def jump(denoise: Denoise, noisy: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """The clean latents and the noise that the network sees in `noisy`."""
    velocity, _ = denoise(noisy, t)
    level = t[:, None, None, None]
    return (
        scheduler.clean_from_velocity(noisy, velocity, level, torch.cos, torch.sin),
        scheduler.noise_from_velocity(noisy, velocity, level, torch.cos, torch.sin),
    )


def consistency_loss(
    student: Denoise, teacher: Denoise, clean: Tensor, weight: Tensor, generator: torch.Generator,
    last_level: float = scheduler.PURE_NOISE,
) -> Tensor:  # fmt: skip
    """Distance between where the student jumps from a noise level and from the teacher's next, smaller one."""
    noise = noise_like(clean, generator)
    step = torch.randint(1, TEACHER_STEPS + 1, (len(clean),), generator=generator)
    step = torch.where(torch.rand(len(clean), generator=generator) < 0.3, TEACHER_STEPS, step).to(clean.device)
    now, after = (last_level * k / TEACHER_STEPS for k in (step, step - 1))
    noisy = scheduler.add_noise(clean, noise, now[:, None, None, None], torch.cos, torch.sin)
    with torch.no_grad():
        seen, seen_noise = jump(teacher, noisy, now)
        closer = scheduler.add_noise(seen, seen_noise, after[:, None, None, None], torch.cos, torch.sin)
        aim, _ = jump(student, closer, after)
        aim = torch.where(step[:, None, None, None] == 1, seen, aim)  # no noise is left there
    return losses.huber(jump(student, noisy, now)[0], aim, HUBER, weight)


def sample(
    denoise: Denoise, noise: Tensor, steps: int, last_level: float = scheduler.PURE_NOISE
) -> tuple[Tensor, list[KeyValue]]:
    """x0 [n, c, h, w] as the server samples it, and the last step's temporal keys; only that step has gradients."""
    times = (*scheduler.timesteps(steps, last_level), 0.0)
    noisy, clean = noise, noise
    new: list[KeyValue] = []
    for now, after in zip(times[:-1], times[1:], strict=True):
        with torch.set_grad_enabled(torch.is_grad_enabled() and after == 0.0):
            velocity, new = denoise(noisy, noise.new_full((len(noise),), now))
            clean = scheduler.clean_from_velocity(noisy, velocity, now)
        noisy = scheduler.add_noise(clean, noise, after)
    return clean, new


def shift(cache: list[KeyValue], mask: Tensor, new: list[KeyValue]) -> tuple[list[KeyValue], Tensor]:
    """The cache with the oldest chunk out and `new` in."""
    moved = [
        (torch.cat([old_k[:, k.shape[1] :], k], 1), torch.cat([old_v[:, v.shape[1] :], v], 1))
        for (old_k, old_v), (k, v) in zip(cache, new, strict=True)
    ]
    chunk = new[0][0].shape[1]
    return moved, torch.cat([mask[:, chunk:], mask.new_ones(len(mask), chunk)], 1)


def roll(
    chunks: Sequence[DenoiseChunk], cache: list[KeyValue], noise: Tensor, steps: int,
    last_level: float = scheduler.PURE_NOISE,
) -> Tensor:  # fmt: skip
    """Latents [c * chunk, ...] of the last of `chunks`, after rolling through those before it from an empty `cache`.

    Exactly what the server does: the cache holds what the last sampling step of the network's own earlier chunks left.
    Only the last chunk carries gradients. `noise` is [c, ...], the same in every frame of a clip.
    """
    mask = noise.new_zeros(len(noise), CONTEXT_FRAMES)
    repeated = noise.repeat_interleave(TOGETHER_FRAMES, 0)
    latent = noise
    for k, chunk in enumerate(chunks):

        def denoise(
            noisy: Tensor, t: Tensor, chunk: DenoiseChunk = chunk, cache: list[KeyValue] = cache, mask: Tensor = mask
        ) -> tuple[Tensor, list[KeyValue]]:
            return chunk(noisy, t, cache, mask)

        with torch.set_grad_enabled(torch.is_grad_enabled() and k == len(chunks) - 1):
            latent, new = sample(denoise, repeated, steps, last_level)
        cache, mask = shift(cache, mask, new)
    return latent
