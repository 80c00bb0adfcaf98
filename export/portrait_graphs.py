"""The graphs of the portrait model as modules with plain tensors in and out, named as the server feeds them."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from export.decoder_graph import Decode
from export.denoiser_graph import DenoiserStep
from flap.autoencoder import Autoencoder
from flap.config import CONTEXT_FRAMES, FLOW_SIZE, IMAGE_SIZE, LATENT_SIZE
from flap.denoising_net import DenoisingNet, ReferenceNet
from flap.motion_field import MotionField


@dataclass(frozen=True)
class GraphSpec:
    """A module to export with example inputs in the order of its `forward` and the names of its outputs."""

    name: str
    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: tuple[str, ...]


class PortraitEncoder(nn.Module):
    """A portrait to everything that does not change while it is animated."""

    def __init__(self, autoencoder: Autoencoder, motion: MotionField, reference: ReferenceNet, denoiser: DenoisingNet):
        super().__init__()
        self.autoencoder, self.motion, self.reference, self.denoiser = autoencoder, motion, reference, denoiser

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        latent, features = self.autoencoder.encode(image)
        keys = self.denoiser.project_reference(self.reference(latent))
        return latent, features, self.motion.encode(image), *(tensor for pair in keys for tensor in pair)


class MotionStep(nn.Module):
    """Coefficients of a frame to where each pixel comes from and what of it is seen."""

    def __init__(self, motion: MotionField):
        super().__init__()
        self.motion = motion

    def forward(
        self, coefficients: Tensor, portrait_coefficients: Tensor, motion_features: Tensor
    ) -> tuple[Tensor, Tensor]:
        _, source, logits = self.motion(motion_features, portrait_coefficients, coefficients)
        return source, logits.sigmoid()


def to_bytes(picture: Tensor) -> Tensor:
    """[n, 3, h, w] in -1..1 to [n, h, w, 3] in 0..255."""
    scaled = ((picture + 1) * 127.5 + 0.5).clamp(0, 255)
    return scaled.permute(0, 2, 3, 1).to(torch.uint8)


def portrait_graphs(
    autoencoder: Autoencoder, motion: MotionField, reference: ReferenceNet, denoiser: DenoisingNet
) -> list[GraphSpec]:
    """The four graphs of the portrait model with example inputs of the shipped shapes: one frame a run, so that each core draws one."""
    for network in (autoencoder, motion, reference, denoiser):
        network.eval()
    frames, latent_channels = 1, autoencoder.config.latent_channels
    feature_channels = autoencoder.config.feature_channels
    image = torch.rand(1, 3, IMAGE_SIZE, IMAGE_SIZE) * 2 - 1
    encoder = PortraitEncoder(autoencoder, motion, reference, denoiser)
    with torch.no_grad():
        _, _, motion_features, *keys = encoder(image)
    names = [f"{kind}_{i}" for i in range(len(denoiser.blocks)) for kind in ("key", "value")]
    coefficients = torch.randn(frames, 120) * 0.2
    seen = torch.rand(frames, 2, FLOW_SIZE, FLOW_SIZE)
    latent = torch.randn(frames, latent_channels, LATENT_SIZE, LATENT_SIZE)
    step_inputs = {
        "noisy": latent, "t": torch.full((frames,), 1.1), "coefficients": coefficients,
        "moved_latent": torch.randn(frames, LATENT_SIZE, LATENT_SIZE, latent_channels), "seen": seen,
        "cache_mask": (torch.arange(CONTEXT_FRAMES) >= CONTEXT_FRAMES // 2).float()[None],
    }  # fmt: skip
    step_inputs |= {f"reference_{name}": key for name, key in zip(names, keys, strict=True)}
    caches = [
        tensor.unflatten(3, (block.temporal.heads, -1))
        for block, pair in zip(denoiser.blocks, denoiser.empty_cache(1), strict=True)
        for tensor in pair
    ]
    step_inputs |= {f"cache_{name}": torch.randn_like(cache) for name, cache in zip(names, caches, strict=True)}
    return [
        GraphSpec(
            "portrait_encoder", encoder, {"image": image},
            ("latent", "features", "motion_features", *(f"reference_{name}" for name in names)),
        ),
        GraphSpec(
            "motion_field", MotionStep(motion),
            {"coefficients": coefficients, "portrait_coefficients": torch.randn(1, 120) * 0.2, "motion_features": motion_features},
            ("source", "seen"),
        ),
        GraphSpec("denoiser_step", DenoiserStep(denoiser), step_inputs, ("velocity", *(f"new_{name}" for name in names))),
        GraphSpec(
            "decoder", Decode(autoencoder),
            {
                "latent": latent, "moved_features": torch.randn(frames, FLOW_SIZE, FLOW_SIZE, feature_channels),
                "moved_pixels": torch.rand(frames, IMAGE_SIZE, IMAGE_SIZE, 3) * 2 - 1, "seen": seen,
            },
            ("frames",),
        ),
    ]  # fmt: skip
