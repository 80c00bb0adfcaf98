"""The graphs of flap-sd15. Each network is loaded when its graph is asked for: together they would not fit into 24 GB."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from export.portrait_graphs import GraphSpec, to_bytes
from flap.config import CONTEXT_FRAMES
from flap.sd15.networks import DenoisingNet, ReferenceNet
from flap.sd15.trunk import sites


class PortraitEncoder(nn.Module):
    """A portrait to the keys and values that the denoiser reads of it."""

    def __init__(self, vae: Any, reference: ReferenceNet, denoiser: DenoisingNet):
        super().__init__()
        self.vae, self.reference = vae, reference
        self.attentions = nn.ModuleList(block.spatial for block in denoiser.blocks)  # the rest of it may go

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        latent = self.vae.encode(image).latent_dist.mode() * self.vae.config.scaling_factor
        hidden = zip(self.attentions, self.reference(latent), strict=True)
        return tuple(tensor for attention, state in hidden for tensor in attention.project(state))  # type: ignore[operator]


class DenoiserStep(nn.Module):
    """One denoising step of a chunk with reference and past frames as plain tensors."""

    def __init__(self, denoiser: DenoisingNet):
        super().__init__()
        self.denoiser = denoiser

    def forward(
        self, noisy: Tensor, t: Tensor, coefficients: Tensor, cache_mask: Tensor, *keys: Tensor
    ) -> tuple[Tensor, ...]:
        pairs = list(zip(keys[0::2], keys[1::2], strict=True))
        blocks = len(self.denoiser.blocks)
        velocity, new = self.denoiser(noisy, t, coefficients, pairs[:blocks], pairs[blocks:], cache_mask)
        return velocity, *(tensor for pair in new for tensor in pair)


class Decode(nn.Module):
    """Latent to RGB bytes, channels last."""

    def __init__(self, vae: Any):
        super().__init__()
        self.vae = vae

    def forward(self, latent: Tensor) -> Tensor:
        return to_bytes(self.vae.decode(latent / self.vae.config.scaling_factor).sample)


def sd15_graphs(checkpoint: Path, vae: Path) -> Iterator[GraphSpec]:
    """`portrait_encoder`, `denoiser_step` and `decoder` of a stage of training.train_sd15 and an AutoencoderKL's folder.

    Raises OSError when a part is missing.
    """
    yield encoder_graph(
        AutoencoderKL.from_pretrained(vae), ReferenceNet.from_pretrained(checkpoint / "reference_net"),
        DenoisingNet.from_pretrained(checkpoint / "denoising_net"),
    )  # fmt: skip
    yield denoiser_graph(DenoisingNet.from_pretrained(checkpoint / "denoising_net"))
    yield decoder_graph(AutoencoderKL.from_pretrained(vae), DenoisingNet.load_config(checkpoint / "denoising_net"))


def encoder_graph(vae: Any, reference: ReferenceNet, denoiser: DenoisingNet) -> GraphSpec:
    shrink = 2 ** (len(vae.config.block_out_channels) - 1)
    size = shrink * denoiser.config.latent_size
    module = PortraitEncoder(vae, reference, denoiser).eval()
    return GraphSpec(
        "portrait_encoder", module, {"image": torch.rand(1, 3, size, size) * 2 - 1},
        tuple(name for i in range(len(denoiser.blocks)) for name in _pair("reference", i)),
    )  # fmt: skip


def denoiser_graph(denoiser: DenoisingNet) -> GraphSpec:
    """One step with as many frames as a chunk has, a portrait, and a cache half of which is masked."""
    config = denoiser.config
    frames, size = config.chunk_frames, config.latent_size
    inputs = {
        "noisy": torch.randn(frames, config.latent_channels, size, size), "t": torch.full((frames,), 1.1),
        "coefficients": torch.randn(frames, 120) * 0.2,
        "cache_mask": (torch.arange(CONTEXT_FRAMES) >= CONTEXT_FRAMES // 2).float()[None],
    }  # fmt: skip
    attended = [site for site in sites(tuple(config.widths)) if site.has_attention]
    for i, site in enumerate(attended):
        inputs |= {name: torch.randn(1, (size // site.shrink) ** 2, site.width) for name in _pair("reference", i)}
    caches = denoiser.empty_cache(1)
    for i, (key, _) in enumerate(caches):
        inputs |= {name: torch.randn_like(key) for name in _pair("cache", i)}
    outputs = ("velocity", *(name for i in range(len(caches)) for name in _pair("new", i)))
    return GraphSpec("denoiser_step", DenoiserStep(denoiser).eval(), inputs, outputs)


def decoder_graph(vae: Any, config: Any) -> GraphSpec:
    """`config` is the denoiser's: it says how many frames a chunk has, and how large its latents are."""
    size = config["latent_size"]
    latent = torch.randn(config["chunk_frames"], config["latent_channels"], size, size)
    return GraphSpec("decoder", Decode(vae).eval(), {"latent": latent}, ("frames",))


def _pair(kind: str, index: int) -> tuple[str, str]:
    return f"{kind}_key_{index}", f"{kind}_value_{index}"
