"""What the denoiser trains on: latents of every frame and the portrait moved by the trained motion field, made once."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from flap.autoencoder import Autoencoder
from flap.motion_field import MotionField, warp
from training import data


@dataclass(frozen=True)
class Prepared:
    """Per frame of `frames`, half precision, in the same order; portraits in order of `frames.portraits`."""

    latent: Tensor  # [n, 16, 32, 32] normalised
    source: Tensor  # [n, 2, 64, 64] predicted
    unposed: Tensor  # [n, 2, 64, 64] predicted rigid part
    seen: Tensor  # [n, 2, 64, 64] predicted visibility and alpha, 0..1
    portrait_latent: Tensor  # [p, 16, 32, 32]
    portrait_features: Tensor  # [p, 16, 64, 64]


@torch.no_grad()
def prepare(frames: data.Frames, autoencoder: Autoencoder, motion: MotionField, batch_size: int = 16) -> Prepared:
    portrait_latent, portrait_features = autoencoder.encode(frames.portraits)
    motion_features = motion.encode(frames.portraits)
    columns: dict[str, list[Tensor]] = {"latent": [], "source": [], "unposed": [], "seen": []}
    for index in torch.arange(len(frames)).split(batch_size):
        people = frames.portrait_of[index]
        latent, _ = autoencoder.encode(data.picture(frames.images[index]))
        unposed, source, logits = motion(motion_features[people], frames.portrait_faces[people], frames.faces[index])
        for name, value in zip(columns, (latent, source, unposed, logits.sigmoid()), strict=True):
            columns[name].append(value.half())
    return Prepared(
        **{k: torch.cat(v) for k, v in columns.items()},
        portrait_latent=portrait_latent,
        portrait_features=portrait_features,
    )


def moved_latent(
    prepared: Prepared, frames: data.Frames, index: Tensor, rigid_only: bool = False
) -> tuple[Tensor, Tensor]:
    """The portrait's latent moved to frames `index` and what is seen of it, both on the 32 x 32 grid."""
    source = (prepared.unposed if rigid_only else prepared.source)[index].float()
    seen = F.avg_pool2d(prepared.seen[index].float(), 2)
    return warp(prepared.portrait_latent[frames.portrait_of[index]], F.avg_pool2d(source, 2)), seen
