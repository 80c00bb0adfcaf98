"""Trains flap-sd15 on a GPU, in the stages of `training.train_denoiser`, each from the one before:

    accelerate launch -m training.train_sd15 head_motion --data runs/dataset --vae sd15/vae --begin-from runs/sd15/begin \
        --out runs/sd15 --steps 30000 --gradient-checkpointing

`training.begin_sd15` makes the folder to begin from. A run that was stopped goes on when it is started again.
"""

import argparse
import copy
import shutil
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from diffusers import AutoencoderKL

from flap import scheduler
from training import data
from training.schedule import cosine_rate
from training.sd15 import FlapSd15, Latents, Sizes, encode
from training.stages import STAGES, trainable

HELD_OUT_BATCHES = 4


class Progress:
    """Steps done, saved with the rest of a run's state."""

    def __init__(self) -> None:
        self.step = 0

    def state_dict(self) -> dict[str, int]:
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.step = state["step"]


def begin(options: argparse.Namespace) -> FlapSd15:
    """The networks of the stage before; raises OSError when there are none."""
    before = STAGES.index(options.stage) - 1
    return FlapSd15.from_pretrained(options.out / STAGES[before] if before >= 0 else options.begin_from)


def train(
    network: FlapSd15, latents: Latents, held: Latents, accelerator: Accelerator, options: argparse.Namespace
) -> None:
    """One stage, from where it was stopped to `options.steps` steps; leaves `network` in `options.out / stage`."""
    stage, state = options.stage, options.out / f"{options.stage}.state"
    teacher = copy.deepcopy(network).requires_grad_(False).to(accelerator.device) if stage == "consistency" else None
    optimiser = torch.optim.AdamW(trainable(network, stage), options.learning_rate, weight_decay=0.01)
    if options.gradient_checkpointing:
        network.reference.enable_gradient_checkpointing()
        network.denoiser.enable_gradient_checkpointing()
    model, optimiser = accelerator.prepare(network, optimiser)
    progress, sizes = Progress(), Sizes(options.people, options.frames_each, options.clips)
    accelerator.register_for_checkpointing(progress)
    before = state.with_suffix(".before")
    if accelerator.is_main_process and before.exists() and not state.exists():  # stopped between two renames
        before.rename(state)
    accelerator.wait_for_everyone()
    if state.exists():
        accelerator.load_state(state)

    def loss_of(source: Latents, seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed * accelerator.num_processes + accelerator.process_index)
        return model(source, stage, generator, sizes, options.objective, teacher)  # type: ignore[no-any-return]

    while progress.step < options.steps:
        for group in optimiser.param_groups:
            group["lr"] = cosine_rate(options.learning_rate, progress.step, progress.step / options.steps)
        for k in range(options.accumulate):
            with accelerator.accumulate(model):
                loss = loss_of(latents, progress.step * options.accumulate + k)
                accelerator.backward(loss)
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(model.parameters(), 1.0)
                optimiser.step()
                optimiser.zero_grad()
        progress.step += 1
        if progress.step % options.save_every == 0 or progress.step == options.steps:
            line = f"{stage} step {progress.step} loss {loss.item():.4f}"
            if stage != "video" or bool((held.clips >= 0).any()):
                with torch.no_grad():
                    seen = sum(loss_of(held, seed).item() for seed in range(HELD_OUT_BATCHES))
                line += f" held out {seen / HELD_OUT_BATCHES:.4f}"
            accelerator.print(line, flush=True)
            unfinished = state.with_suffix(".partial")
            accelerator.save_state(unfinished)
            accelerator.wait_for_everyone()
            if accelerator.is_main_process:
                _take_place(unfinished, state, before)
    if accelerator.is_main_process:
        accelerator.unwrap_model(model).save_pretrained(options.out / stage)


def _take_place(made: Path, state: Path, before: Path) -> None:
    """Of a state that is gigabytes long; one of both is whole at any moment."""
    shutil.rmtree(before, ignore_errors=True)
    if state.exists():
        state.rename(before)
    made.rename(state)
    shutil.rmtree(before, ignore_errors=True)


def arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--data", type=Path, required=True, help="shards that training.render_dataset has written")
    parser.add_argument("--vae", type=Path, required=True, help="the `vae` folder of Stable Diffusion 1.5")
    parser.add_argument("--begin-from", type=Path, help="what training.begin_sd15 has made; for head_motion only")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=30_000)
    parser.add_argument("--save-every", type=int, default=1000)
    parser.add_argument("--learning-rate", type=float, default=1e-5)
    parser.add_argument("--objective", choices=scheduler.OBJECTIVES, default="velocity", help="of stages 1 and 2")
    parser.add_argument("--precision", choices=("no", "fp16", "bf16"), default="bf16")
    parser.add_argument("--people", type=int, default=Sizes.people, help="portraits in a pass")
    parser.add_argument("--frames-each", type=int, default=Sizes.frames_each, help="frames of each portrait in a pass")
    parser.add_argument("--clips", type=int, default=Sizes.clips, help="clips in a pass of the video stage")
    parser.add_argument("--accumulate", type=int, default=1, help="passes a step")
    parser.add_argument("--gradient-checkpointing", action="store_true", help="less memory, a third more time")
    parser.add_argument("--cpu", action="store_true")
    options = parser.parse_args(words)
    if options.stage == STAGES[0] and options.begin_from is None:
        parser.error(f"{STAGES[0]} needs --begin-from")
    return options


def main(words: list[str] | None = None) -> None:
    options = arguments(words)
    for split in ("train", "unseen"):  # of both, though only the last stage needs them
        data.require_clips(options.data, split)
    network = begin(options)
    accelerator = Accelerator(
        mixed_precision=options.precision, gradient_accumulation_steps=options.accumulate, cpu=options.cpu
    )
    vae: Any = AutoencoderKL.from_pretrained(options.vae).requires_grad_(False).to(accelerator.device)
    shrink = 2 ** (len(vae.config.block_out_channels) - 1)
    size = network.denoiser.config.latent_size * shrink
    held_out = "unseen" if options.stage == "video" else "seen"  # only people never seen have clips that are held out
    latents, held = (encode(data.load(options.data, split), vae, size) for split in ("train", held_out))
    del vae
    torch.cuda.empty_cache()
    train(network, latents, held, accelerator, options)


if __name__ == "__main__":
    main()
