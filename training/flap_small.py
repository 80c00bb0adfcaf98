"""Makes flap-small from nothing to a checkpoint that can be exported:

    python -m training.flap_small --assets ../shared/assets/makehuman --speech ../shared/data/speech --out runs

Each step is a program of its own; what is finished is left alone and what was interrupted goes on, so the same command
continues a run that was stopped. docs/training.md says how the shipped networks differ from what comes of it.
"""

import argparse
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

WEIGHTS = "diffusion_pytorch_model.safetensors"  # of a folder that diffusers saves, written last


@dataclass(frozen=True)
class Step:
    """Programs that run side by side, and the files that show that they are done, each the last of a program."""

    programs: tuple[tuple[str, ...], ...]
    made: tuple[Path, ...]

    @property
    def is_done(self) -> bool:
        return all(path.exists() for path in self.made)


def plan(assets: Path, speech: Path, out: Path, scale: float, kept: Path | None = None) -> list[Step]:
    """Every step in order; `scale` multiplies the minutes of each training.

    The networks of the portrait go on from those in the folder `kept` (see `training.keep_weights`) where it is given.
    """
    data = out / "dataset"

    def begin(folder: str = "") -> tuple[str, ...]:
        return ("--begin-from", str(kept / folder)) if kept else ()

    def minutes(count: float) -> tuple[str, str]:
        return "--minutes", f"{count * scale:g}"

    def render(people: str, shard: str, singles: str, clips: str, last: tuple[str, str], speaking: str = "0") -> Step:
        programs = tuple(
            ("training.render_dataset", "--assets", str(assets), "--out", str(data), "--people", people, "--shards",
             shard, "--singles", singles, "--clips", clips, "--speaking", speaking, "--worker", f"{worker}/2")
            for worker in range(2)
        )  # fmt: skip
        return Step(programs, tuple(data / f"person{name}.npz" for name in last))

    def train(program: str, folder: str, count: float, *more: str) -> tuple[str, ...]:
        return f"training.{program}", "--data", str(data), "--out", str(out / folder), *minutes(count), *more

    def denoiser(stage: str, count: float, *more: str) -> Step:
        models = ("--autoencoder", str(out / "autoencoder/final"), "--motion", str(out / "motion/final"))
        program, *rest = train("train_denoiser", "denoiser", count, *models, *more)
        return Step(((program, stage, *rest),), (out / f"denoiser/{stage}.pt",))

    return [
        render("500:510", "0", "30", "3", ("508-00", "509-00")),  # the presenters
        render("400:420,0:260", "1", "13", "0", ("258-01", "259-01")),
        render("0:24", "2", "0", "2", ("022-02", "023-02")),
        render("500:510", "3", "0", "0", ("508-03", "509-03"), speaking="16"),
        render("400:408,0:64", "3", "0", "0", ("062-03", "063-03"), speaking="7"),
        Step(
            (train("train_motion", "motion", 75, "--threads", "1", *begin("motion_field")),
             train("train_autoencoder", "autoencoder", 60, "--threads", "1", *begin("autoencoder"))),
            (out / "motion/final" / WEIGHTS, out / "autoencoder/final" / WEIGHTS),
        ),
        denoiser("head_motion", 7, *begin()),
        denoiser("expression", 12),
        denoiser("few_step", 42, "--after", "expression"),
        denoiser("video", 6),
        denoiser("decoder", 10),
        Step((("training.speech_corpus", "--speech", str(speech), "--out", str(out / "speech")),), (out / "speech/index.txt",)),
        Step(
            (("training.train_audio_to_flame", "--corpus", str(out / "speech"), "--out", str(out / "audio_to_flame"),
              *minutes(20)),),
            (out / "audio_to_flame/final" / WEIGHTS,),
        ),
        Step(
            (("training.presenters", "--assets", str(assets), "--out", str(out / "presenters")),),
            (out / "presenters/presenters.json",),
        ),
    ]  # fmt: skip


def collect(out: Path) -> Path:
    """The trained parts in the one folder that `export.to_onnx` reads."""
    checkpoint = out / "checkpoint"
    shutil.rmtree(checkpoint, ignore_errors=True)
    shutil.copytree(out / "denoiser/decoder", checkpoint)
    shutil.copytree(out / "motion/final", checkpoint / "motion_field")
    shutil.copytree(out / "audio_to_flame/final", checkpoint / "audio_to_flame")
    shutil.copytree(out / "presenters", checkpoint / "presenters")
    return checkpoint


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--assets", type=Path, required=True, help="folder of the MakeHuman assets")
    parser.add_argument("--speech", type=Path, required=True, help="folder of the speech data")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies every training's minutes (default: 1)")
    parser.add_argument("--begin-from", type=Path, help="kept weights to go on from, such as bundles/checkpoints")
    options = parser.parse_args()
    for step in plan(options.assets, options.speech, options.out, options.scale, options.begin_from):
        if step.is_done:
            continue
        print(*(" ".join(program) for program in step.programs), sep="\n", flush=True)
        running = [subprocess.Popen([sys.executable, "-m", *program]) for program in step.programs]
        if any([process.wait() for process in running]):
            sys.exit("a step failed; what it says stands above. Start the same command again to go on from there")
    print(f"export it with: python -m export.to_onnx {collect(options.out)} bundles/flap-small")


if __name__ == "__main__":
    main()
