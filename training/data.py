"""Rendered shards in memory, and batches that share portraits so that each portrait is encoded once."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from flap import coefficients as co

HELD_OUT_PEOPLE = frozenset(range(400, 420))
HELD_OUT_SINGLES = 1  # of each shard, from its front (after the portrait): motions never trained on


@dataclass(frozen=True)
class Frames:
    """Frames of several portraits, one a shard; images are uint8, flows -1..1."""

    portraits: Tensor  # [p, 3, 256, 256] -1..1
    portrait_faces: Tensor  # [p, 120]
    portrait_of: Tensor  # [n] index of the portrait
    images: Tensor  # [n, 256, 256, 3] uint8
    source: Tensor  # [n, 2, 64, 64] float16
    unposed: Tensor  # [n, 2, 64, 64] float16
    masks: Tensor  # [n, 4, 64, 64] uint8: visible, alpha, mouth, eye
    faces: Tensor  # [n, 120]
    clips: Tensor  # [n] unique clip number or -1

    def __len__(self) -> int:
        return len(self.portrait_of)


@dataclass(frozen=True)
class Batch:
    """`portraits` [p, ...] with the same number of frames of each, in order."""

    index: Tensor  # [n] into Frames
    portrait_index: Tensor  # [p]
    image: Tensor  # [n, 3, 256, 256] -1..1
    source: Tensor  # [n, 2, 64, 64]
    unposed: Tensor
    masks: Tensor  # [n, 4, 64, 64] 0..1
    faces: Tensor  # [n, 120]
    portraits: Tensor  # [p, 3, 256, 256]
    portrait_faces: Tensor  # [n, 120]


COLUMNS = ("image", "portrait_xy", "unposed_xy", "masks", "coefficients")


def load(folder: Path, split: str) -> Frames:
    """Every finished shard under `folder`; `split` is "train", "seen" (held-out motions) or "unseen" (held-out people)."""
    paths = _shards(folder, split)
    columns: dict[str, list[np.ndarray]] = {key: [] for key in COLUMNS}
    owner, clips, portraits = [], [], []
    for number, path in enumerate(paths):
        with np.load(path) as shard:
            data = {key: shard[key] for key in (*COLUMNS, "clip")}
        portraits.append((data["image"][0], data["coefficients"][0]))
        held_out = np.zeros(len(data["clip"]), bool)
        held_out[1 : 1 + HELD_OUT_SINGLES] = data["clip"][1 : 1 + HELD_OUT_SINGLES] < 0  # clips stay whole
        keep = np.ones_like(held_out) if split == "unseen" else held_out == (split == "seen")
        for key in columns:
            columns[key].append(data[key][keep])
        clips.append(np.where(data["clip"] < 0, -1, data["clip"].astype(np.int64) + 100 * number)[keep])
        owner.append(np.full(int(keep.sum()), number))
    joined = {key: np.concatenate(parts) for key, parts in columns.items()}
    flow = {
        key: torch.from_numpy(joined[key].transpose(0, 3, 1, 2).copy())
        for key in ("portrait_xy", "unposed_xy", "masks")
    }
    return Frames(
        portraits=torch.stack([picture(torch.from_numpy(image)) for image, _ in portraits]),
        portrait_faces=torch.from_numpy(np.stack([face for _, face in portraits])),
        portrait_of=torch.from_numpy(np.concatenate(owner)), images=torch.from_numpy(joined["image"]),
        source=flow["portrait_xy"], unposed=flow["unposed_xy"], masks=flow["masks"],
        faces=torch.from_numpy(joined["coefficients"]), clips=torch.from_numpy(np.concatenate(clips)),
    )  # fmt: skip


def require_clips(folder: Path, split: str = "train") -> None:
    """Raises FileNotFoundError when no shard of a split has a clip: the last stage, `video`, has no use for singles."""
    if not any(_has_clips(path) for path in _shards(folder, split)):
        raise FileNotFoundError(
            f"no clips for the stage video in {folder}: run python -m training.render_dataset with --clips 2 and --shards "
            "that are not there yet"
        )


def _shards(folder: Path, split: str) -> list[Path]:
    paths = [
        path
        for path in sorted(folder.glob("person*-*.npz"))
        if (_person(path) in HELD_OUT_PEOPLE) == (split == "unseen")
    ]
    if not paths:
        people = f"{min(HELD_OUT_PEOPLE)}:{max(HELD_OUT_PEOPLE) + 1}" if split == "unseen" else "0:24"
        raise FileNotFoundError(
            f"no shards for split {split} in {folder}: run python -m training.render_dataset with --people {people} first"
        )
    return paths


def _has_clips(path: Path) -> bool:
    with np.load(path) as shard:
        return bool((shard["clip"] >= 0).any())


def _person(path: Path) -> int:
    return int(path.name[6:9])


def picture(image: Tensor) -> Tensor:
    """uint8 [..., h, w, 3] to float [..., 3, h, w] in -1..1."""
    return image.movedim(-1, -3).float() / 127.5 - 1


def gather(frames: Frames, index: Tensor, portrait_index: Tensor) -> Batch:
    return Batch(
        index, portrait_index, picture(frames.images[index]), frames.source[index].float(), frames.unposed[index].float(),
        frames.masks[index].float() / 255, frames.faces[index], frames.portraits[portrait_index],
        frames.portrait_faces[frames.portrait_of[index]],
    )  # fmt: skip


def draw(frames: Frames, portraits: int, frames_each: int, generator: torch.Generator) -> Batch:
    """A random batch of `portraits` portraits with `frames_each` frames each."""
    chosen = torch.randint(len(frames.portraits), (portraits,), generator=generator)
    index = []
    for portrait in chosen.tolist():
        own = torch.nonzero(frames.portrait_of == portrait)[:, 0]
        index.append(own[torch.randint(len(own), (frames_each,), generator=generator)])
    return gather(frames, torch.cat(index), chosen)


def spread(frames: Frames, count: int) -> Batch:
    """The same `count` frames every time, evenly over the set, each with its own portrait."""
    index = torch.linspace(0, len(frames) - 1, count).long()
    return gather(frames, index, frames.portrait_of[index])


def varied(batch: Batch, generator: torch.Generator) -> Batch:
    """The batch under another exposure, contrast and white balance, and half of the time in a mirror."""
    count, frames_each = len(batch.portraits), len(batch.image) // len(batch.portraits)
    gain = 1 + 0.12 * torch.randn(count, 3, 1, 1, generator=generator)
    gain = gain + 0.15 * torch.randn(count, 1, 1, 1, generator=generator)
    shift = 0.1 * torch.randn(count, 1, 1, 1, generator=generator)
    portraits = (batch.portraits * gain + shift).clamp(-1, 1)
    image = (batch.image * gain.repeat_interleave(frames_each, 0) + shift.repeat_interleave(frames_each, 0)).clamp(
        -1, 1
    )
    recoloured = replace(batch, portraits=portraits, image=image)
    return mirrored(recoloured) if float(torch.rand(1, generator=generator)) < 0.5 else recoloured


def mirrored(batch: Batch) -> Batch:
    """Everything seen in a mirror: pictures, motion and the faces' coefficients."""
    opposite = torch.tensor([-1.0, 1.0])[None, :, None, None]
    index, sign = torch.from_numpy(co.MIRROR_INDEX), torch.from_numpy(co.MIRROR_SIGN)
    return replace(
        batch, image=batch.image.flip(-1), portraits=batch.portraits.flip(-1), masks=batch.masks.flip(-1),
        source=batch.source.flip(-1) * opposite, unposed=batch.unposed.flip(-1) * opposite,
        faces=batch.faces[:, index] * sign, portrait_faces=batch.portrait_faces[:, index] * sign,
    )  # fmt: skip


def upsample_source(source: Tensor, size: int) -> Tensor:
    """Sources [n, 2, s, s] at `size`, as the server's bilinear resize does it."""
    return F.interpolate(source, size=(size, size), mode="bilinear", align_corners=False)
