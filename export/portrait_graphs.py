"""The graphs of the portrait model as modules with plain tensors in and out, named as the server feeds them."""

import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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


class DenoiserStep(nn.Module):
    """One denoising step of a frame with reference and past frames as plain tensors."""

    def __init__(self, denoiser: DenoisingNet):
        super().__init__()
        self.denoiser = denoiser

    def forward(
        self,
        noisy: Tensor,
        t: Tensor,
        coefficients: Tensor,
        moved_latent: Tensor,
        seen: Tensor,
        cache_mask: Tensor,
        *keys: Tensor,
    ) -> tuple[Tensor, ...]:
        pairs = list(zip(keys[0::2], keys[1::2], strict=True))
        blocks = len(self.denoiser.blocks)
        velocity, new = self.denoiser(
            noisy,
            t,
            coefficients,
            moved_latent.permute(0, 3, 1, 2),
            F.avg_pool2d(seen, 2),
            pairs[:blocks],
            pairs[blocks:],
            cache_mask,
        )
        return velocity, *(tensor for pair in new for tensor in pair)


class Decode(nn.Module):
    """Latent and moved portrait to RGB bytes, channels last.

    What `Decoder` computes, in an order that processors like: pixels are four quarter pictures from the beginning to the end, since
    ONNX Runtime takes as long for pixel shuffles and sums of channels-last pictures as for a fifth of the convolutions.
    """

    def __init__(self, autoencoder: Autoencoder):
        super().__init__()
        self.decoder = copy.deepcopy(autoencoder.decoder)
        self.register_buffer("latent_mean", autoencoder.latent_mean)
        self.register_buffer("latent_std", autoencoder.latent_std)
        by_quarter = torch.arange(12).reshape(3, 4).T.flatten()  # from channel, quarter to quarter, channel
        portrait, out = self.decoder.portrait128, self.decoder.out
        with torch.no_grad():
            portrait.weight.copy_(portrait.weight[:, by_quarter])
            out.weight[:12] = out.weight[by_quarter] * 127.5  # drawn pixels as bytes, rounded where they are cut off
            out.bias[:12] = out.bias[by_quarter] * 127.5 + 128

    def forward(self, latent: Tensor, moved_features: Tensor, moved_pixels: Tensor, seen: Tensor) -> Tensor:
        decoder, pixels = self.decoder, quarters(moved_pixels)
        scaled = latent * self.latent_std + self.latent_mean
        h = F.relu(side_by_side(decoder.latent_in, scaled, F.avg_pool2d(seen, 2)))
        h = F.interpolate(decoder.to64(decoder.block32(h)), scale_factor=2.0, mode="nearest")
        h = F.relu(h + side_by_side(decoder.portrait64, moved_features.permute(0, 3, 1, 2), seen))
        h = F.interpolate(decoder.to128(decoder.block64(h)), scale_factor=2.0, mode="nearest")
        h = F.relu(h + decoder.portrait128(pixels))
        h = decoder.out(F.relu(decoder.conv128(h)))
        n, _, height, width = h.shape
        blend = (torch.sigmoid(h[:, 12:]) * 127.5)[:, :, None]
        drawn, own = (z.reshape(n, 4, 3, height, width) for z in (h[:, :12], pixels))
        return whole((blend * own + drawn).clamp(0, 255)).to(torch.uint8)


def side_by_side(convolution: nn.Conv2d, wide: Tensor, narrow: Tensor) -> Tensor:
    """A convolution of both, concatenated; apart, the wide one has a number of channels that ONNX Runtime keeps in blocks of eight."""
    weight, channels = convolution.weight, wide.shape[1]
    return F.conv2d(wide, weight[:, :channels], convolution.bias, padding=1) + F.conv2d(
        narrow, weight[:, channels:], padding=1
    )


def quarters(picture: Tensor) -> Tensor:
    """[n, s, s, 3] to [n, 12, s/2, s/2], channels by place in a square of 2 x 2, then colour; in steps that keep rows whole."""
    n, size = picture.shape[:2]
    rows = picture.reshape(n, size // 2, 2, 3 * size).transpose(1, 2)
    return rows.reshape(2 * n, -1, 6).transpose(1, 2).reshape(n, 12, size // 2, size // 2)


def whole(picture: Tensor) -> Tensor:
    """Back from [n, 4, 3, s/2, s/2]."""
    n, size = picture.shape[0], 2 * picture.shape[-1]
    rows = picture.reshape(n, 2, 6, size // 2, size // 2).permute(0, 3, 1, 2, 4).reshape(n * size, 6, size // 2)
    return rows.transpose(1, 2).reshape(n, size, size, 3)


def to_bytes(picture: Tensor) -> Tensor:
    """[n, 3, h, w] in -1..1 to [n, h, w, 3] in 0..255."""
    scaled = ((picture + 1) * 127.5 + 0.5).clamp(0, 255)
    return scaled.permute(0, 2, 3, 1).to(torch.uint8)


def portrait_graphs(
    autoencoder: Autoencoder, motion: MotionField, reference: ReferenceNet, denoiser: DenoisingNet
) -> list[GraphSpec]:
    """The four graphs of the portrait model with example inputs of the shipped shapes: one frame a run, so that cores share a chunk."""
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
    caches = [tensor for pair in denoiser.empty_cache(1) for tensor in pair]
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
