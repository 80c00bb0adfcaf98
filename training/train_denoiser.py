"""Progressively focused training (paper 4.3) and few-step distillation, one stage a run, each from the one before:

    python -m training.train_denoiser head_motion --data runs/dataset --out runs/denoiser --minutes 6
    python -m training.train_denoiser expression  --data runs/dataset --out runs/denoiser --minutes 15
    python -m training.train_denoiser consistency --data runs/dataset --out runs/denoiser --minutes 6
    python -m training.train_denoiser few_step    --data runs/dataset --out runs/denoiser --minutes 25
    python -m training.train_denoiser video       --data runs/dataset --out runs/denoiser --minutes 6
    python -m training.train_denoiser decoder     --data runs/dataset --out runs/denoiser --minutes 20

`head_motion` bypasses expression and temporal layers; `expression` freezes what head_motion made of pose and bypasses
the temporal layers; both learn v at every noise level. `consistency` distils that many-step model: a student learns to
jump to where the frozen teacher's next small step leads. `few_step` trains the sampler that the server runs, one or two
steps from pure noise, against the frames themselves, and the decoder with it. `video` trains the temporal layers alone,
on clips whose earlier chunks the network has made itself (self-forcing), so that it meets what the server meets.
`decoder` trains the decoder alone on latents that are sampled once, so that it sees several times as many pictures.
"""

import argparse
import copy
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from flap import scheduler
from flap.autoencoder import Autoencoder
from flap.config import TOGETHER_FRAMES
from flap.motion_field import MotionField
from training import data, losses, stages
from training.checkpoint import begin_from
from training.loop import fit
from training.portrait import Inputs, Portrait, decode, gather, generate, picture_loss, region_figures, roll
from training.prepared import Prepared, prepare
from training.stages import Denoise, KeyValue, draw_clips, draw_index, draw_steps, trainable

STAGES = (*stages.STAGES, "decoder")
PEAK_RATE = {
    "head_motion": 1e-3,
    "expression": 1e-3,
    "consistency": 4e-4,
    "few_step": 7e-4,
    "video": 1e-3,
    "decoder": 1e-3,
}
LATENT_WEIGHT = 0.02  # of the latent's own error beside the picture's: it keeps latents where two steps can meet
Held = dict[str, tuple[Prepared, data.Frames]]


def image_loss(
    network: Portrait, prepared: Prepared, frames: data.Frames, stage: str, generator: torch.Generator,
    objective: str = "velocity",
) -> Tensor:  # fmt: skip
    """Stages 1 and 2: weighted loss on single frames, half of them at pure noise, the rest at any level.

    `objective` "epsilon" is the paper's Eq. 4, which has nothing to say at pure noise.
    """
    index = draw_index(frames, 5, 6, generator)
    early = stage == "head_motion"
    inputs = gather(prepared, frames, index, rigid_only=early)
    denoise = denoiser_of(network, prepared, frames, index, 6, inputs, use_expression=not early)
    return stages.denoising_loss(denoise, inputs.clean, inputs.weight, generator, objective)


def denoiser_of(
    network: Portrait, prepared: Prepared, frames: data.Frames, index: Tensor, frames_each: int, inputs: Inputs,
    use_expression: bool = True,
) -> Denoise:  # fmt: skip
    """The denoiser of `network` for frames `index`, `frames_each` of each portrait in order."""
    keys = network.keys(prepared.portrait_latent[frames.portrait_of[index[::frames_each]]])

    def denoise(noisy: Tensor, t: Tensor) -> tuple[Tensor, list[KeyValue]]:
        return network.denoiser(  # type: ignore[no-any-return]
            noisy, t, inputs.faces, inputs.moved, inputs.seen, keys, use_expression=use_expression
        )

    return denoise


def consistency_loss(
    network: Portrait, teacher: Portrait, prepared: Prepared, frames: data.Frames, generator: torch.Generator
) -> Tensor:
    """The many-step model distilled: `network` learns to jump to where `teacher` gets in its next small step."""
    index = draw_index(frames, 4, 6, generator)
    inputs = gather(prepared, frames, index)
    with torch.no_grad():
        frozen = denoiser_of(teacher, prepared, frames, index, 6, inputs)
    student = denoiser_of(network, prepared, frames, index, 6, inputs)
    return stages.consistency_loss(student, frozen, inputs.clean, inputs.weight, generator)


def sampled_loss(
    network: Portrait, prepared: Prepared, frames: data.Frames, index: Tensor, latent: Tensor,
    generator: torch.Generator,
) -> Tensor:  # fmt: skip
    """What a sampled latent makes of the picture, and its own distance to the frame's latent."""
    weight = losses.region_weight(frames.masks[index].float() / 255, 32)
    distance = losses.velocity_loss(latent, prepared.latent[index].float(), weight)
    return picture_loss(network, prepared, frames, index, latent, generator) + LATENT_WEIGHT * distance


def few_step_loss(network: Portrait, prepared: Prepared, frames: data.Frames, generator: torch.Generator) -> Tensor:
    """Stage 3: single frames sampled as the server does, against the frames themselves."""
    index = draw_index(frames, 4, 4, generator)
    noise = torch.randn(len(index), 16, 32, 32, generator=generator)
    latent = generate(network, prepared, frames, index, noise, draw_steps(generator))
    return sampled_loss(network, prepared, frames, index, latent, generator)


def video_loss(network: Portrait, prepared: Prepared, frames: data.Frames, generator: torch.Generator) -> Tensor:
    """Stage 4: the last chunk of clips, after 0 to 4 chunks that the network has made itself."""
    clips = draw_clips(frames, 6, generator)
    noise = torch.randn(len(clips), 16, 32, 32, generator=generator)
    latent = roll(network, prepared, frames, clips, noise, draw_steps(generator))
    return sampled_loss(network, prepared, frames, clips[:, -TOGETHER_FRAMES:].flatten(), latent, generator)


@torch.no_grad()
def sampled(network: Portrait, prepared: Prepared, frames: data.Frames) -> Prepared:
    """`prepared` with the latents that `network` samples in one step in place of the frames' own."""
    generator = torch.Generator().manual_seed(0)
    parts = torch.arange(len(frames.portrait_of)).split(16)
    noise = [torch.randn(len(part), 16, 32, 32, generator=generator) for part in parts]
    latents = [generate(network, prepared, frames, part, own, 1).half() for part, own in zip(parts, noise, strict=True)]
    return replace(prepared, latent=torch.cat(latents))


def decoder_loss(network: Portrait, prepared: Prepared, frames: data.Frames, generator: torch.Generator) -> Tensor:
    """The last stage: pictures of latents that are as `sampled` gives them."""
    index = draw_index(frames, 4, 4, generator)
    return picture_loss(network, prepared, frames, index, prepared.latent[index].float(), generator)


def stage_loss(
    network: Portrait, prepared: Prepared, frames: data.Frames, stage: str, generator: torch.Generator,
    teacher: Portrait | None = None, objective: str = "velocity",
) -> Tensor:  # fmt: skip
    """The loss of one batch of a stage; only `consistency` has a teacher."""
    if teacher is not None:
        return consistency_loss(network, teacher, prepared, frames, generator)
    if stage == "few_step":
        return few_step_loss(network, prepared, frames, generator)
    if stage == "video":
        return video_loss(network, prepared, frames, generator)
    if stage == "decoder":
        return decoder_loss(network, prepared, frames, generator)
    return image_loss(network, prepared, frames, stage, generator, objective)


def report(network: Portrait, held: Held, stage: str, steps_of: tuple[int, ...] = (1, 2)) -> str:
    """PSNR of the whole chain on held-out frames, from fixed noise, for each number of steps."""
    lines = []
    for split, (prepared, frames) in held.items():
        names = torch.unique(frames.clips[frames.clips >= 0])[::5]
        clips = [torch.nonzero(frames.clips == name)[:, 0] for name in names] if stage == "video" else []
        for steps in steps_of:
            generator = torch.Generator().manual_seed(0)
            if clips:
                index = torch.stack(clips)[:, -TOGETHER_FRAMES:].flatten()
                noise = torch.randn(len(clips), 16, 32, 32, generator=generator)
                latent = roll(network, prepared, frames, torch.stack(clips), noise, steps)
            else:
                index = torch.linspace(0, len(frames) - 1, 24).long()
                noise = torch.randn(1, 16, 32, 32, generator=generator).expand(len(index), -1, -1, -1)
                latent = generate(network, prepared, frames, index, noise, steps, stage)
            made = decode(network.autoencoder, prepared, frames, index, latent)
            lines.append(f"{split} {steps}-step dB {region_figures(made, frames, index)}")
    return " | ".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--autoencoder", type=Path, default=Path("runs/autoencoder/final"))
    parser.add_argument("--motion", type=Path, default=Path("runs/motion/final"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--objective", choices=scheduler.OBJECTIVES, default="velocity", help="of stages 1 and 2")
    parser.add_argument("--begin-from", type=Path, help="folder of an earlier model's reference_net and denoising_net")
    parser.add_argument("--after", choices=STAGES, help="the stage to go on from (default: the one before)")
    options = parser.parse_args()
    data.require_clips(options.data)
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    autoencoder, motion = (
        Autoencoder.from_pretrained(options.autoencoder),
        MotionField.from_pretrained(options.motion),
    )
    sets = {split: data.load(options.data, split) for split in ("train", "seen", "unseen")}
    held: Held = {split: (prepare(frames, autoencoder, motion), frames) for split, frames in sets.items()}
    prepared, train = held.pop("train")
    options.out.mkdir(parents=True, exist_ok=True)
    print(f"prepared {len(train)} frames", flush=True)
    network, stage = Portrait(autoencoder), options.stage
    if options.begin_from:
        begin_from(network.reference, options.begin_from / "reference_net")
        begin_from(network.denoiser, options.begin_from / "denoising_net")
    after = options.after or (STAGES[STAGES.index(stage) - 1] if stage != STAGES[0] else None)
    if after:
        network.load_state_dict(torch.load(options.out / f"{after}.pt", weights_only=True))
    teacher = copy.deepcopy(network) if stage == "consistency" else None
    if stage == "decoder":
        prepared = sampled(network, prepared, train)
    network.autoencoder.to(memory_format=torch.channels_last)
    fit(
        network, trainable(network, stage),
        lambda generator: stage_loss(network, prepared, train, stage, generator, teacher, options.objective),
        lambda measured: report(measured, held, stage), state=options.out / f"{stage}.state.pt",
        minutes=options.minutes, peak_rate=PEAK_RATE[stage], report_every=400,
    )  # fmt: skip
    with torch.no_grad():
        print(f"{stage} done | {report(network, held, stage, (1, 2, 4, 50))}", flush=True)
    network.save_pretrained(options.out / stage)
    unfinished = options.out / f"{stage}.partial"
    torch.save(network.state_dict(), unfinished)
    unfinished.rename(options.out / f"{stage}.pt")  # last: it says that the stage is done


if __name__ == "__main__":
    main()
