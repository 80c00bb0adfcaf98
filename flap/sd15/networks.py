"""ReferenceNet and DenoisingNet of flap-sd15, used as flap-small's are; the motion field is off: portraits come by attention."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from flap import scheduler
from flap.config import CONTEXT_FRAMES, TOGETHER_FRAMES
from flap.layers import ConditionEncoder
from flap.sd15.blocks import ControlledTransformer, KeyValue, MotionModule, ReferenceTransformer
from flap.sd15.trunk import Trunk, sites

WIDTHS = (320, 640, 1280, 1280)
PREDICTIONS = ("velocity", "epsilon")


class ReferenceNet(ModelMixin, ConfigMixin):
    """The portrait's hidden states at every spatial attention; runs once per portrait, without noise (paper 4.1)."""

    _supports_gradient_checkpointing = True

    @register_to_config
    def __init__(
        self, latent_channels: int = 4, widths: tuple[int, ...] = WIDTHS, heads: int = 8, groups: int = 32
    ) -> None:
        super().__init__()
        widths = tuple(widths)
        self.trunk = Trunk(latent_channels, widths, groups)
        self.block_of = attention_index(widths)
        last = sum(index is not None for index in self.block_of) - 1
        self.blocks = nn.ModuleList(
            ReferenceTransformer(site.width, heads, groups, index == last)
            for site, index in zip(sites(widths), self.block_of, strict=True)
            if index is not None
        )

    def forward(self, latent: Tensor) -> list[Tensor]:
        """Scaled latent [p, 4, h, w] to hidden states [p, hw_i, c_i], 16 at Stable Diffusion's widths."""
        hidden: list[Tensor] = []

        def at(site: int, h: Tensor) -> Tensor:
            index = self.block_of[site]
            if index is not None:
                h, state = self.trunk.run(self.blocks[index], h)
                hidden.append(state)
            return h

        clean = torch.zeros(len(latent), device=latent.device)
        self.trunk(latent, self.trunk.embed(clean, latent.dtype), at)
        return hidden


class DenoisingNet(ModelMixin, ConfigMixin):
    """Predicts v of a chunk of frames from noise, pose, expression, the portrait and past frames.

    `prediction` is what the layers predict: "velocity" on Stable Diffusion's schedule rescaled to end in pure noise, or
    "epsilon" on the schedule as published, whose last level is not pure noise. v comes out either way.
    """

    _supports_gradient_checkpointing = True

    @register_to_config
    def __init__(
        self, latent_channels: int = 4, latent_size: int = 64, widths: tuple[int, ...] = WIDTHS, token_width: int = 768,
        heads: int = 8, groups: int = 32, context_frames: int = CONTEXT_FRAMES, chunk_frames: int = TOGETHER_FRAMES,
        motion_in_middle: bool = True, prediction: str = "velocity",
    ) -> None:  # fmt: skip
        super().__init__()
        if prediction not in PREDICTIONS:
            raise ValueError(f"unknown prediction {prediction!r}: choose one of {', '.join(PREDICTIONS)}")
        widths = tuple(widths)
        self.trunk = Trunk(latent_channels, widths, groups)
        self.conv_norm_out = nn.GroupNorm(groups, widths[0], eps=1e-5)
        self.conv_out = nn.Conv2d(widths[0], latent_channels, 3, padding=1)
        places = sites(widths)
        self.block_of, self.temporal_of = attention_index(widths), motion_index(widths, motion_in_middle)
        self.blocks = nn.ModuleList(
            ControlledTransformer(site.width, token_width, heads, groups) for site in places if site.has_attention
        )
        self.temporal = nn.ModuleList(
            MotionModule(site.width, heads, groups, context_frames, chunk_frames)
            for site, index in zip(places, self.temporal_of, strict=True)
            if index is not None
        )
        self.conditions = ConditionEncoder(token_width)
        levels = torch.tensor(scheduler.stable_diffusion_levels(prediction == "velocity"), dtype=torch.float32)
        self.register_buffer("levels", levels, persistent=False)

    @property
    def last_level(self) -> float:
        """The highest noise level, radians, that the layers know: where sampling starts."""
        return scheduler.stable_diffusion_levels(self.config.prediction == "velocity")[-1]

    def project_reference(self, hidden: list[Tensor]) -> list[KeyValue]:
        """ReferenceNet's hidden states to this network's keys and values, once per portrait."""
        return [block.spatial.project(h) for block, h in zip(self.blocks, hidden, strict=True)]

    def forward(
        self, noisy: Tensor, t: Tensor, coefficients: Tensor, reference: Sequence[KeyValue | None],
        cache: list[KeyValue] | None = None, cache_mask: Tensor | None = None, use_expression: bool = True,
    ) -> tuple[Tensor, list[KeyValue]]:  # fmt: skip
        """`noisy` [n, 4, h, w]; `t` [n] radians, at most `last_level`; `coefficients` [n, 120]; `reference`
        16 x ([p, hw, c], same); `cache` two for each motion module, ([b, context, hw, c], same); `cache_mask` [b, context].

        n frames share p portraits in order; None is no portrait. Without `cache` the temporal layers are bypassed, without
        `use_expression` the expression layers (training stages 1 and 2). Returns v and the chunk's keys and values.
        """
        pose, expression = self.conditions(coefficients)
        tokens = expression if use_expression else None
        new: list[KeyValue] = []

        def at(site: int, h: Tensor) -> Tensor:
            block, temporal = self.block_of[site], self.temporal_of[site]
            if block is not None:
                h = self.trunk.run(self.blocks[block], h, pose, tokens, reference[block])
            if temporal is not None and cache is not None:
                past = cache[2 * temporal : 2 * temporal + 2]
                h, *keys = self.trunk.run(self.temporal[temporal], h, *past, cache_mask)
                new.extend(keys)
            return h

        features = self.trunk(noisy, self.trunk.embed(self.steps(t), noisy.dtype), at)
        predicted = self.conv_out(F.silu(self.conv_norm_out(features)))
        if self.config.prediction == "epsilon":
            predicted = scheduler.velocity_from_noise(noisy, predicted, t[:, None, None, None], torch.cos, torch.sin)
        return predicted, new

    def steps(self, t: Tensor) -> Tensor:
        """Noise levels [n] as Stable Diffusion's timesteps, 0..999, with fractions between them."""
        lower, upper = self.levels[:-1], self.levels[1:]
        return ((t[:, None] - lower) / (upper - lower)).clamp(0, 1).sum(1)

    def empty_cache(self, batch: int) -> list[KeyValue]:
        """A cache of zeros for `batch` streams; mask it out."""
        size, shapes = self.config.latent_size, []
        for site, index in zip(sites(tuple(self.config.widths)), self.temporal_of, strict=True):
            if index is not None:
                pixels = (size // site.shrink) ** 2
                shapes += [(batch, self.config.context_frames, pixels, site.width)] * 2
        options = {"device": self.device, "dtype": self.dtype}
        return [(torch.zeros(shape, **options), torch.zeros(shape, **options)) for shape in shapes]


def attention_index(widths: tuple[int, ...]) -> list[int | None]:
    """For each site the index of its attention block."""
    return _numbered([site.has_attention for site in sites(widths)])


def motion_index(widths: tuple[int, ...], in_middle: bool) -> list[int | None]:
    """For each site the index of its motion module; AnimateDiff v3 has none in the middle."""
    return _numbered([in_middle or site.level != "mid_block" for site in sites(widths)])


def _numbered(present: list[bool]) -> list[int | None]:
    return [sum(present[:i]) if here else None for i, here in enumerate(present)]
