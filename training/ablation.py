"""What progressively focused training and the motion field each bring to control, at equal compute (the paper's Figure 8):

    python -m training.ablation --data runs/dataset --out runs/ablation --json docs/ablation.json

With `--threads 1` and `--worker 0/2` and `1/2` two processes share the variants, a thread each. Every variant is trained from
nothing for the same minutes and asked for faces of people never seen. A small network that reads coefficients from
latents, trained on true frames alone, says which pose and expression were drawn; what it gets wrong on true frames is
reported beside it.

pose_error_deg               drawn pose against the commanded one, expression as in the frame
pose_error_idle_deg          the same with a face at rest, and `pose_error_swapped_deg` with another frame's expression
pose_change_deg              how far the drawn pose moves when only the expression is swapped
expression_error             drawn jaw, lids and smile (0..1) against the commanded ones when only the pose is swapped
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flap import coefficients as co
from flap import scheduler
from flap.autoencoder import Autoencoder
from flap.config import TOGETHER_FRAMES
from flap.motion_field import MotionField, warp
from training import data, losses, stages
from training.loop import fit
from training.portrait import Portrait, sample
from training.prepared import Prepared, moved_latent, prepare
from training.stages import DenoiseChunk, KeyValue, draw_index, trainable

POSE = [co.YAW, co.PITCH, co.ROLL]
SMILE = [co.EXPRESSION_INDEX["mouthSmileLeft"], co.EXPRESSION_INDEX["mouthSmileRight"]]
SIGNS = [co.JAW.start, co.EYELIDS.start, co.EYELIDS.start + 1, *SMILE]
SIGN_SCALE = torch.tensor([1 / co.JAW_OPEN_RAD, 1.0, 1.0, 1.0, 1.0])
TRACE = (
    0.8  # of a weight for a radian of the head: what fitting one camera's video leaves of the pose in the expression
)
TRACED = {"mouthLeft": co.YAW, "mouthShrugLower": co.PITCH, "browInnerUp": co.PITCH, "cheekPuff": co.YAW}
STEPS = 2
TRAINED = "reader-trained.pt"  # stands when no worker changes it any more


@dataclass(frozen=True)
class Variant:
    """`stages` share the minutes evenly: `joint` trains everything at once, `literal` withholds the pose as the paper's
    stage 2 reads, `head_motion`, `expression` and `video` are progressively focused training. With `video` a face is drawn
    as the second chunk of a stream, the others draw single pictures, without the temporal layers."""

    name: str
    stages: tuple[str, ...]
    motion_field: bool
    traced_labels: bool = False


VARIANTS = (
    Variant("joint", ("joint",), False),
    Variant("head motion only", ("head_motion",), False),
    Variant("head motion, then expression", ("head_motion", "expression"), False),
    Variant("head motion, then expression without pose (literal)", ("head_motion", "literal"), False),
    Variant("all stages", ("head_motion", "expression", "video"), False),
    Variant("joint", ("joint",), True),
    Variant("head motion, then expression", ("head_motion", "expression"), True),
    Variant("all stages", ("head_motion", "expression", "video"), True),
    Variant("joint, traced labels", ("joint",), False, True),
    Variant("head motion, then expression, traced labels", ("head_motion", "expression"), False, True),
    Variant("joint, traced labels", ("joint",), True, True),
    Variant("head motion, then expression, traced labels", ("head_motion", "expression"), True, True),
)


@dataclass(frozen=True)
class Sets:
    train: data.Frames
    unseen: data.Frames
    prepared: dict[str, Prepared]
    motion: MotionField
    motion_features: Tensor  # [p, w, 32, 32] of the unseen portraits


class Reader(nn.Module):
    """Latents [n, 16, 32, 32] to coefficients [n, 3 + signs]: pose in radians, signs in 0..1."""

    def __init__(self) -> None:
        super().__init__()
        widths = (16, 64, 96, 128, 128)
        layers: list[nn.Module] = []
        for before, after in zip(widths[:-1], widths[1:], strict=True):
            layers += [nn.Conv2d(before, after, 3, 2, 1), nn.GroupNorm(8, after), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * 4, 128), nn.ReLU(), nn.Linear(128, 8))

    def forward(self, latent: Tensor) -> Tensor:
        return self.layers(latent)


def wanted(faces: Tensor) -> Tensor:
    """What a reader should read of coefficients [n, 120]."""
    return torch.cat([faces[:, POSE], faces[:, SIGNS] * SIGN_SCALE], 1)


def with_trace(faces: Tensor) -> Tensor:
    """Coefficients whose expression carries a trace of the pose, as monocular fitting leaves it."""
    out = faces.clone()
    for name, axis in TRACED.items():
        out[:, co.EXPRESSION_INDEX[name]] += TRACE * faces[:, axis]
    return out


def guidance(
    sets: Sets, split: str, index: Tensor, motion_field: bool, faces: Tensor | None = None, rigid_only: bool = False
) -> tuple[Tensor, Tensor]:
    """The moved portrait's latent and what is seen of it; without the motion field the portrait as it is and nothing.

    With `rigid_only` the portrait is moved by the pose alone.
    """
    frames, prepared = getattr(sets, split), sets.prepared[split]
    portraits = prepared.portrait_latent[frames.portrait_of[index]]
    if not motion_field:
        return portraits, torch.zeros(len(index), 2, 32, 32)
    if faces is None:
        return moved_latent(prepared, frames, index, rigid_only)
    own = frames.portrait_of[index]
    with torch.no_grad():
        unposed, source, logits = sets.motion(sets.motion_features[own], frames.portrait_faces[own], faces)
    return warp(portraits, F.avg_pool2d(unposed if rigid_only else source, 2)), F.avg_pool2d(logits.sigmoid(), 2)


def stage_loss(network: Portrait, sets: Sets, variant: Variant, stage: str, generator: torch.Generator) -> Tensor:
    """v loss on single frames, half of them at pure noise, as in `training.train_denoiser`; `video` rolls through clips."""
    if stage == "video":
        return video_loss(network, sets, variant, generator)
    index = draw_index(sets.train, 5, 6, generator)
    early = stage == "head_motion"
    moved, seen = guidance(sets, "train", index, variant.motion_field, rigid_only=early)
    clean, faces = sets.prepared["train"].latent[index].float(), sets.train.faces[index]
    faces = with_trace(faces) if variant.traced_labels else faces
    if stage == "literal":
        faces = faces.clone()
        faces[:, co.ROTATION] = 0
    noise = torch.randn(clean.shape, generator=generator)
    anywhere = torch.rand(len(index), generator=generator) * scheduler.PURE_NOISE
    t = torch.where(torch.rand(len(index), generator=generator) < 0.5, scheduler.PURE_NOISE, anywhere)
    level = t[:, None, None, None]
    noisy = scheduler.add_noise(clean, noise, level, torch.cos, torch.sin)
    keys = network.keys(sets.prepared["train"].portrait_latent[sets.train.portrait_of[index[::6]]])
    velocity, _ = network.denoiser(noisy, t, faces, moved, seen, keys, use_expression=not early)
    aim = scheduler.velocity(clean, noise, level, torch.cos, torch.sin)
    weight = losses.region_weight(sets.train.masks[index].float() / 255, 32)
    return losses.velocity_loss(velocity, aim, weight)


def chunk_of(network: Portrait, sets: Sets, variant: Variant, split: str, index: Tensor, faces: Tensor) -> DenoiseChunk:
    """The denoiser of `network` for one chunk of each of several streams: frames `index` of a split as `faces` have them."""
    told = with_trace(faces) if variant.traced_labels else faces
    moved, seen = guidance(sets, split, index, variant.motion_field, None if split == "train" else faces)
    own = getattr(sets, split).portrait_of[index[::TOGETHER_FRAMES]]
    keys = network.keys(sets.prepared[split].portrait_latent[own])

    def denoise(noisy: Tensor, t: Tensor, cache: list[KeyValue], mask: Tensor) -> tuple[Tensor, list[KeyValue]]:
        return network.denoiser(noisy, t, told, moved, seen, keys, cache, mask)  # type: ignore[no-any-return]

    return denoise


def video_loss(network: Portrait, sets: Sets, variant: Variant, generator: torch.Generator) -> Tensor:
    """Distance of the last chunk of clips to the truth, after chunks that the network has made itself."""
    clips = stages.draw_clips(sets.train, 6, generator)
    noise = torch.randn(len(clips), 16, 32, 32, generator=generator)
    parts = [part.flatten() for part in clips.split(TOGETHER_FRAMES, 1)]
    chunks = [chunk_of(network, sets, variant, "train", part, sets.train.faces[part]) for part in parts]
    latent = stages.roll(chunks, network.denoiser.empty_cache(len(clips)), noise, STEPS)
    weight = losses.region_weight(sets.train.masks[parts[-1]].float() / 255, 32)
    return losses.velocity_loss(latent, sets.prepared["train"].latent[parts[-1]].float(), weight)


def stage_parameters(network: Portrait, stage: str) -> list[nn.Parameter]:
    if stage != "joint":
        return trainable(network, "expression" if stage == "literal" else stage)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(".temporal." not in name and not name.startswith("autoencoder."))
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def train_variant(sets: Sets, variant: Variant, autoencoder: Autoencoder, out: Path, minutes: float) -> Portrait:
    """A fresh network trained for `minutes` in all."""
    torch.manual_seed(0)
    network = Portrait(autoencoder)
    for stage in variant.stages:
        state = out / f"{VARIANTS.index(variant)}-{stage}.pt"
        fit(
            network, stage_parameters(network, stage), _loss(network, sets, variant, stage), lambda _: "", state=state,
            minutes=minutes / len(variant.stages), peak_rate=1e-3, report_every=200,
        )  # fmt: skip
    return network


def _loss(network: Portrait, sets: Sets, variant: Variant, stage: str) -> Callable[[torch.Generator], Tensor]:
    return lambda generator: stage_loss(network, sets, variant, stage, generator)


@torch.no_grad()
def draw(network: Portrait, sets: Sets, variant: Variant, index: Tensor, faces: Tensor) -> Tensor:
    """Latents of unseen people under `faces` [n, 120]."""
    noise = torch.randn(1, 16, 32, 32, generator=torch.Generator().manual_seed(0)).expand(len(index), -1, -1, -1)
    if "video" in variant.stages:
        held, still = index.repeat_interleave(TOGETHER_FRAMES), faces.repeat_interleave(TOGETHER_FRAMES, 0)
        chunk = chunk_of(network, sets, variant, "unseen", held, still)
        return stages.roll([chunk, chunk], network.denoiser.empty_cache(len(index)), noise, STEPS)[::TOGETHER_FRAMES]
    told = with_trace(faces) if variant.traced_labels else faces
    early = variant.stages == ("head_motion",)
    moved, seen = guidance(sets, "unseen", index, variant.motion_field, faces, rigid_only=early)
    people, own = torch.unique(sets.unseen.portrait_of[index], return_inverse=True)
    keys = [(k[own], v[own]) for k, v in network.keys(sets.prepared["unseen"].portrait_latent[people])]
    return sample(lambda x, t: network.denoiser(x, t, told, moved, seen, keys, use_expression=not early), noise, STEPS)[
        0
    ]


def swapped(faces: Tensor, other: Tensor) -> Tensor:
    """The poses of `faces` with the expressions of `other`."""
    return torch.cat([faces[:, co.ROTATION], other[:, 3:]], 1)


@torch.no_grad()
def measure(reader: Reader, made: Callable[[Tensor], Tensor], faces: Tensor) -> dict[str, float]:
    """The figures of the module's head; `made` draws latents of faces."""
    order = torch.roll(torch.arange(len(faces)), 7)
    idle = torch.from_numpy(co.neutral(len(faces)))
    read = {
        name: reader(made(asked))
        for name, asked in {
            "own": faces, "idle": swapped(faces, idle), "swapped": swapped(faces, faces[order]),
            "posed": swapped(faces[order], faces),
        }.items()
    }  # fmt: skip
    pose, signs = wanted(faces)[:, :3], wanted(faces)[:, 3:]

    def degrees(a: Tensor, b: Tensor) -> float:
        return round(float(torch.rad2deg((a - b).abs().mean())), 2)

    return {
        "pose_error_deg": degrees(read["own"][:, :3], pose),
        "pose_error_idle_deg": degrees(read["idle"][:, :3], pose),
        "pose_error_swapped_deg": degrees(read["swapped"][:, :3], pose),
        "pose_change_deg": degrees(read["swapped"][:, :3], read["own"][:, :3]),
        "expression_error": round(float((read["posed"][:, 3:] - signs).abs().mean()), 3),
    }


def train_reader(sets: Sets, out: Path, minutes: float) -> Reader:
    torch.manual_seed(0)
    reader = Reader()

    def loss_of(generator: torch.Generator) -> Tensor:
        index = torch.randint(len(sets.train), (64,), generator=generator)
        latent = sets.prepared["train"].latent[index].float()
        latent = latent + 0.3 * torch.rand(64, 1, 1, 1, generator=generator) * torch.randn(
            latent.shape, generator=generator
        )
        return F.l1_loss(reader(latent).float(), wanted(sets.train.faces[index]))

    fit(reader, reader.parameters(), loss_of, lambda _: "", state=out / "reader.pt", minutes=minutes, peak_rate=1e-3)
    torch.save(reader.state_dict(), out / TRAINED)
    return reader.eval()


def wait_for_reader(out: Path) -> Reader:
    """The one that the first worker trains."""
    while not (out / TRAINED).exists():
        time.sleep(5)
    reader = Reader()
    reader.load_state_dict(torch.load(out / TRAINED, weights_only=True))
    return reader.eval()


def measured(out: Path, setting: dict[str, object]) -> list[dict[str, object]]:
    """Rows of all variants that are done as `setting` has it, in order."""
    files = [out / f"figures-{place}.json" for place in range(len(VARIANTS))]
    found = [json.loads(file.read_text()) for file in files if file.exists()]
    return [kept["row"] for kept in found if kept["setting"] == setting]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--autoencoder", type=Path, default=Path("runs/autoencoder/final"))
    parser.add_argument("--motion", type=Path, default=Path("runs/motion/final"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=4, help="of each variant")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--worker", default="0/1", help="which part of how many this process trains, after the reader is trained"
    )
    parser.add_argument("--json", type=Path, help="file for the figures, of all workers that share `--out`")
    options = parser.parse_args()
    data.require_clips(options.data)
    torch.set_num_threads(options.threads)
    autoencoder, motion = Autoencoder.from_pretrained(options.autoencoder), MotionField.from_pretrained(options.motion)
    train, unseen = (data.load(options.data, split) for split in ("train", "unseen"))
    prepared = {"train": prepare(train, autoencoder, motion), "unseen": prepare(unseen, autoencoder, motion)}
    with torch.no_grad():
        sets = Sets(train, unseen, prepared, motion, motion.encode(unseen.portraits))
    worker, workers = map(int, options.worker.split("/"))
    reader = wait_for_reader(options.out) if worker else train_reader(sets, options.out, options.minutes)
    index = torch.arange(0, len(unseen), 2)
    with torch.no_grad():
        read = reader(prepared["unseen"].latent[index].float()) - wanted(unseen.faces[index])
    floor = {
        "pose_error_deg": round(float(torch.rad2deg(read[:, :3].abs().mean())), 2),
        "expression_error": round(float(read[:, 3:].abs().mean()), 3),
    }
    setting = {
        "minutes": options.minutes,
        "threads": options.threads,
        "frames": len(index),
        "people": len(unseen.portraits),
    }
    for place, variant in list(enumerate(VARIANTS))[worker::workers]:
        network = train_variant(sets, variant, autoencoder, options.out, options.minutes)
        made = lambda faces, n=network, v=variant: draw(n, sets, v, index, faces)  # noqa: E731
        row = asdict(variant) | measure(reader, made, unseen.faces[index])
        print(json.dumps(row), flush=True)
        (options.out / f"figures-{place}.json").write_text(json.dumps({"setting": setting, "row": row}))
        if options.json:
            figures = setting | {"reader_on_true_frames": floor, "variants": measured(options.out, setting)}
            options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
