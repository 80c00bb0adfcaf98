"""Stable Diffusion's U-Net without its attention; parameters have the names they have in diffusers."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import torch
from diffusers.models.downsampling import Downsample2D
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn

RESNETS_DOWN, RESNETS_UP = 2, 3  # of each level


@dataclass(frozen=True)
class Site:
    """A place in the U-Net where attention and a motion module may stand: after a residual block."""

    level: str  # as diffusers names it: "down_blocks.0", "mid_block", "up_blocks.3"
    position: int  # within the level
    width: int
    shrink: int  # how many times smaller than the latent the picture is here
    has_attention: bool


def sites(widths: tuple[int, ...]) -> list[Site]:
    """Every site in the order in which the picture passes them: 21 for four levels, 16 of them with attention."""
    last = len(widths) - 1
    down = [
        Site(f"down_blocks.{i}", k, width, 2**i, i != last)
        for i, width in enumerate(widths)
        for k in range(RESNETS_DOWN)
    ]
    up = [
        Site(f"up_blocks.{i}", k, widths[last - i], 2 ** (last - i), i != 0)
        for i in range(len(widths))
        for k in range(RESNETS_UP)
    ]
    return [*down, Site("mid_block", 0, widths[-1], 2**last, True), *up]


class Level(nn.Module):
    """Residual blocks of one size, and what leads to the next size."""

    def __init__(self, resnets: list[nn.Module], shrink: nn.Module | None = None, grow: nn.Module | None = None):
        super().__init__()
        self.resnets = nn.ModuleList(resnets)
        self.downsamplers = nn.ModuleList([shrink] if shrink else [])
        self.upsamplers = nn.ModuleList([grow] if grow else [])


class Trunk(nn.Module):
    """`at(i, h)` is called at each site; the output layer belongs to the network that uses one."""

    gradient_checkpointing = False  # diffusers' enable_gradient_checkpointing() sets both
    _gradient_checkpointing_func: Callable[..., Any]

    def __init__(self, channels_in: int, widths: tuple[int, ...], groups: int):
        super().__init__()
        embedding = 4 * widths[0]

        def resnet(inside: int, outside: int) -> nn.Module:
            return ResnetBlock2D(  # type: ignore[no-any-return]
                in_channels=inside, out_channels=outside, temb_channels=embedding, groups=groups, eps=1e-5
            )

        self.conv_in = nn.Conv2d(channels_in, widths[0], 3, padding=1)
        self.time_bands = Timesteps(widths[0], flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time_embedding = TimestepEmbedding(widths[0], embedding)
        skips, inside = [widths[0]], widths[0]
        self.down_blocks = nn.ModuleList()
        for i, width in enumerate(widths):
            resnets = [resnet(inside, width), *(resnet(width, width) for _ in range(RESNETS_DOWN - 1))]
            last = i == len(widths) - 1
            shrink = None if last else Downsample2D(width, use_conv=True, out_channels=width, padding=1, name="op")
            self.down_blocks.append(Level(resnets, shrink=shrink))
            skips += [width] * (RESNETS_DOWN + (not last))
            inside = width
        self.mid_block = Level([resnet(inside, inside), resnet(inside, inside)])
        self.up_blocks = nn.ModuleList()
        for i, width in enumerate(reversed(widths)):
            resnets = []
            for _ in range(RESNETS_UP):
                resnets.append(resnet(inside + skips.pop(), width))
                inside = width
            last = i == len(widths) - 1
            grow = None if last else Upsample2D(width, use_conv=True, out_channels=width)
            self.up_blocks.append(Level(resnets, grow=grow))

    def embed(self, steps: Tensor, dtype: torch.dtype) -> Tensor:
        """Timesteps [n] of 0..999 to the residual blocks' bias."""
        return self.time_embedding(self.time_bands(steps).to(dtype))  # type: ignore[no-any-return]

    def run(self, layer: nn.Module, *inputs: Any) -> Any:
        """`layer(*inputs)`, remembered for the backward pass or, with gradient checkpointing, done again then."""
        if self.gradient_checkpointing and torch.is_grad_enabled():
            return self._gradient_checkpointing_func(layer, *inputs)
        return layer(*inputs)

    def forward(self, x: Tensor, time: Tensor, at: Callable[[int, Tensor], Tensor]) -> Tensor:
        """Picture [n, in, h, w] to features [n, widths[0], h, w]."""
        order = count()
        h = self.conv_in(x)
        skips = [h]
        for level in self.down_blocks:
            for resnet in level.resnets:
                h = at(next(order), self.run(resnet, h, time))
                skips.append(h)
            for shrink in level.downsamplers:
                h = shrink(h)
                skips.append(h)
        h = at(next(order), self.run(self.mid_block.resnets[0], h, time))
        h = self.run(self.mid_block.resnets[1], h, time)
        for level in self.up_blocks:
            for resnet in level.resnets:
                h = at(next(order), self.run(resnet, torch.cat([h, skips.pop()], 1), time))
            for grow in level.upsamplers:
                h = grow(h)
        return h
