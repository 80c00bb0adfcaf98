"""The portrait model as one thing to train, and how training runs it: gathered inputs, sampled latents, decoded pictures."""

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flap.autoencoder import Autoencoder
from flap.config import TOGETHER_FRAMES
from flap.denoising_net import DenoisingNet, KeyValue, ReferenceNet
from flap.motion_field import warp
from training import data, losses, stages
from training.prepared import Prepared, moved_latent
from training.stages import DenoiseChunk, sample

CROP = 128


class Portrait(nn.Module):
    """ReferenceNet, DenoisingNet and autoencoder; the encoder is never trained here, so latents keep their meaning."""

    def __init__(self, autoencoder: Autoencoder | None = None) -> None:
        super().__init__()
        self.reference, self.denoiser = ReferenceNet(), DenoisingNet()
        self.autoencoder = autoencoder or Autoencoder()

    def keys(self, portrait_latent: Tensor) -> list[KeyValue]:
        """Keys and values of the spatial attention, one of each portrait [p, 16, 32, 32]."""
        return self.denoiser.project_reference(self.reference(portrait_latent))

    def save_pretrained(self, folder: Path) -> None:
        self.reference.save_pretrained(folder / "reference_net")
        self.denoiser.save_pretrained(folder / "denoising_net")
        self.autoencoder.save_pretrained(folder / "autoencoder")


@dataclass(frozen=True)
class Inputs:
    """What one pass over n frames is given beside noise: conditions, the moved portrait and the truth."""

    clean: Tensor  # [n, 16, 32, 32]
    faces: Tensor  # [n, 120]
    moved: Tensor  # [n, 16, 32, 32]
    seen: Tensor  # [n, 2, 32, 32]
    weight: Tensor  # [n, 1, 32, 32]


def gather(prepared: Prepared, frames: data.Frames, index: Tensor, rigid_only: bool = False) -> Inputs:
    moved, seen = moved_latent(prepared, frames, index, rigid_only)
    weight = losses.region_weight(frames.masks[index].float() / 255, 32)
    return Inputs(prepared.latent[index].float(), frames.faces[index], moved, seen, weight)


def generate(
    network: Portrait, prepared: Prepared, frames: data.Frames, index: Tensor, noise: Tensor, steps: int,
    stage: str = "expression",
) -> Tensor:  # fmt: skip
    """Latents [n, 16, 32, 32] of independent frames: temporal layers bypassed, in `head_motion` expression layers too."""
    early = stage == "head_motion"
    inputs = gather(prepared, frames, index, rigid_only=early)
    people, own = torch.unique(frames.portrait_of[index], return_inverse=True)
    keys = [(key[own], value[own]) for key, value in network.keys(prepared.portrait_latent[people])]

    def denoise(noisy: Tensor, t: Tensor) -> tuple[Tensor, list[KeyValue]]:
        return network.denoiser(noisy, t, inputs.faces, inputs.moved, inputs.seen, keys, use_expression=not early)  # type: ignore[no-any-return]

    return sample(denoise, noise, steps)[0]


def roll(
    network: Portrait, prepared: Prepared, frames: data.Frames, clips: Tensor, noise: Tensor, steps: int
) -> Tensor:
    """Latents [c * chunk, 16, 32, 32] of the last chunk of `clips` [c, f], after rolling through the chunks before it.

    Exactly what the server does: the cache holds what the last sampling step of the network's own earlier chunks left.
    Only the last chunk carries gradients. `noise` is [c, 16, 32, 32], the same in every frame of a clip.
    """
    keys = network.keys(prepared.portrait_latent[frames.portrait_of[clips[:, 0]]])
    chunks = [
        chunk_of(network, keys, gather(prepared, frames, part.flatten())) for part in clips.split(TOGETHER_FRAMES, 1)
    ]
    return stages.roll(chunks, network.denoiser.empty_cache(len(clips)), noise, steps)


def chunk_of(network: Portrait, keys: list[KeyValue], inputs: Inputs) -> DenoiseChunk:
    """The denoiser of `network` for one chunk of each of several clips, waiting for the cache of their past."""

    def denoise(noisy: Tensor, t: Tensor, cache: list[KeyValue], mask: Tensor) -> tuple[Tensor, list[KeyValue]]:
        return network.denoiser(noisy, t, inputs.faces, inputs.moved, inputs.seen, keys, cache, mask)  # type: ignore[no-any-return]

    return denoise


def decode(
    autoencoder: Autoencoder, prepared: Prepared, frames: data.Frames, index: Tensor, latent: Tensor,
    corner: tuple[int, int] = (0, 0), size: int = 256,
) -> Tensor:  # fmt: skip
    """Pictures [n, 3, size, size] from whole latents and the moved portrait; `corner` top and left, multiples of 8."""
    people, source = frames.portrait_of[index], prepared.source[index].float()

    def cut(image: Tensor) -> Tensor:
        scale = 256 // image.shape[-1]
        top, left = corner
        return image[..., slice(top // scale, (top + size) // scale), slice(left // scale, (left + size) // scale)]

    pixels = warp(frames.portraits[people], cut(data.upsample_source(source, 256)))
    features = warp(prepared.portrait_features[people], cut(source))
    return autoencoder.decode(cut(latent), features, pixels, cut(prepared.seen[index].float()))


def crop_corner(generator: torch.Generator) -> tuple[int, int]:
    """Top and left of a crop of CROP pixels, on the latent's grid; most hold a part of the face, all reach every edge."""
    top, left = torch.randint(-3, 20, (2,), generator=generator).clamp(0, 16).tolist()
    return 8 * top, 8 * left


def picture_loss(
    network: Portrait, prepared: Prepared, frames: data.Frames, index: Tensor, latent: Tensor,
    generator: torch.Generator,
) -> Tensor:  # fmt: skip
    """Distance of decoded crops of `latent` [n, 16, 32, 32] to the frames themselves."""
    corner = top, left = crop_corner(generator)
    made = decode(network.autoencoder, prepared, frames, index, latent, corner, CROP)
    truth = data.picture(frames.images[index])[:, :, top : top + CROP, left : left + CROP]
    masks = frames.masks[index].float() / 255
    weight = losses.region_weight(masks[:, :, top // 4 : (top + CROP) // 4, left // 4 : (left + CROP) // 4], CROP)
    return losses.picture_loss(made, truth, weight)


def region_figures(made: Tensor, frames: data.Frames, index: Tensor) -> str:
    """PSNR of face, mouth and eyes of whole pictures [n, 3, 256, 256]."""
    truth = data.picture(frames.images[index])
    masks = F.interpolate(frames.masks[index].float() / 255, size=(256, 256)) > 0.5
    regions = {"face": masks[:, 1:2], "mouth": masks[:, 2:3], "eyes": masks[:, 3:4]}
    return " ".join(f"{name} {losses.psnr_db(made, truth, mask):.2f}" for name, mask in regions.items())
