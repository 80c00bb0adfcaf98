"""What flap-sd15 trains on, and its stages: those of flap-small (`training.stages`) without motion field and decoder."""

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor, nn

from flap.config import TOGETHER_FRAMES
from flap.sd15.networks import DenoisingNet, ReferenceNet
from training import data, losses, stages
from training.stages import Denoise, DenoiseChunk, KeyValue


@dataclass(frozen=True)
class Latents:
    """Frames and portraits in Stable Diffusion's latents, `s` pixels a side, in main memory."""

    latent: Tensor  # [n, 4, s, s] float16
    portrait_latent: Tensor  # [p, 4, s, s]
    faces: Tensor  # [n, 120]
    weight: Tensor  # [n, 1, s, s] of each place in the loss
    portrait_of: Tensor  # [n] index of the portrait
    clips: Tensor  # [n] unique clip number or -1


@dataclass(frozen=True)
class Sizes:
    """How much one pass holds; a stage's batch is this times processes and accumulated passes."""

    people: int = 2
    frames_each: int = 4
    clips: int = 1


@torch.no_grad()
def encode(frames: data.Frames, vae: AutoencoderKL, image_size: int, batch_size: int = 4) -> Latents:
    """Every frame and portrait, resized to `image_size`, through the encoder of Stable Diffusion's autoencoder."""

    def latents(pictures: Tensor) -> Tensor:
        resized = F.interpolate(pictures, size=(image_size, image_size), mode="bicubic", antialias=True).clamp(-1, 1)
        mean = vae.encode(resized.to(vae.device, vae.dtype)).latent_dist.mode()
        return (mean * vae.config.scaling_factor).cpu()  # type: ignore[no-any-return]

    found = [latents(data.picture(part)).half() for part in frames.images.split(batch_size)]
    weight = losses.region_weight(frames.masks.float() / 255, found[0].shape[-1])
    portraits = torch.cat([latents(part).float() for part in frames.portraits.split(batch_size)])
    return Latents(torch.cat(found), portraits, frames.faces, weight, frames.portrait_of, frames.clips)


class FlapSd15(nn.Module):
    """ReferenceNet and DenoisingNet as one thing to train; a call is the loss of one batch of a stage."""

    def __init__(self, reference: ReferenceNet, denoiser: DenoisingNet):
        super().__init__()
        self.reference, self.denoiser = reference, denoiser
        self.last_level = denoiser.last_level

    @classmethod
    def from_pretrained(cls, folder: Path) -> "FlapSd15":
        return cls(
            ReferenceNet.from_pretrained(folder / "reference_net"),
            DenoisingNet.from_pretrained(folder / "denoising_net"),
        )

    def save_pretrained(self, folder: Path) -> None:
        self.reference.save_pretrained(folder / "reference_net")
        self.denoiser.save_pretrained(folder / "denoising_net")

    def forward(
        self, latents: Latents, stage: str, generator: torch.Generator, sizes: Sizes, objective: str = "velocity",
        teacher: "FlapSd15 | None" = None,
    ) -> Tensor:  # fmt: skip
        """`generator` draws frames and noise, on the CPU; only `consistency` has a teacher."""
        if stage == "video":
            return self.video_loss(latents, generator, sizes)
        index = stages.draw_index(latents, sizes.people, sizes.frames_each, generator)
        clean, weight = self.here(latents.latent[index]), self.here(latents.weight[index])
        denoise = self.of_frames(latents, index, sizes.frames_each, use_expression=stage != "head_motion")
        if stage == "consistency":
            if teacher is None:
                raise ValueError("the consistency stage needs a teacher")
            with torch.no_grad():
                frozen = teacher.of_frames(latents, index, sizes.frames_each)
            return stages.consistency_loss(denoise, frozen, clean, weight, generator, self.last_level)
        if stage == "few_step":
            noise = stages.noise_like(clean, generator)
            made, _ = stages.sample(denoise, noise, stages.draw_steps(generator), self.last_level)
            return losses.weighted_l1(made.float(), clean, weight)
        return stages.denoising_loss(denoise, clean, weight, generator, objective, self.last_level)

    def video_loss(self, latents: Latents, generator: torch.Generator, sizes: Sizes) -> Tensor:
        """The last chunk of clips, after 0 to 4 chunks that the network has made itself."""
        clips = stages.draw_clips(latents, sizes.clips, generator)
        keys = self.keys(latents, clips[:, 0])
        chunks = [
            self.of_chunk(self.here(latents.faces[part.flatten()]), keys) for part in clips.split(TOGETHER_FRAMES, 1)
        ]
        last = clips[:, -TOGETHER_FRAMES:].flatten()
        clean, weight = self.here(latents.latent[last]), self.here(latents.weight[last])
        noise = stages.noise_like(clean[::TOGETHER_FRAMES], generator)
        cache = self.denoiser.empty_cache(len(clips))
        made = stages.roll(chunks, cache, noise, stages.draw_steps(generator), self.last_level)
        return losses.weighted_l1(made.float(), clean, weight)

    def keys(self, latents: Latents, index: Tensor) -> list[KeyValue]:
        """Keys and values of the portraits of frames `index`."""
        portraits = self.here(latents.portrait_latent[latents.portrait_of[index]])
        return self.denoiser.project_reference(self.reference(portraits))

    def of_frames(self, latents: Latents, index: Tensor, frames_each: int, use_expression: bool = True) -> Denoise:
        """The denoiser for frames `index`, `frames_each` of each portrait in order, on their own."""
        keys, faces = self.keys(latents, index[::frames_each]), self.here(latents.faces[index])

        def denoise(noisy: Tensor, t: Tensor) -> tuple[Tensor, list[KeyValue]]:
            return self.denoiser(noisy, t, faces, keys, use_expression=use_expression)  # type: ignore[no-any-return]

        return denoise

    def of_chunk(self, faces: Tensor, keys: list[KeyValue]) -> DenoiseChunk:
        """The denoiser for one chunk of each of several clips, waiting for the cache of their past."""

        def denoise(noisy: Tensor, t: Tensor, cache: list[KeyValue], mask: Tensor) -> tuple[Tensor, list[KeyValue]]:
            return self.denoiser(noisy, t, faces, keys, cache, mask)  # type: ignore[no-any-return]

        return denoise

    def here(self, tensor: Tensor) -> Tensor:
        """On the network's device, in single precision."""
        return tensor.to(self.denoiser.device, torch.float32)
