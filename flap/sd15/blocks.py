"""What stands at the sites of the U-Net: a FLAP block within frames, a motion module along time."""

import torch
from diffusers.models.activations import GEGLU
from torch import Tensor, nn

from flap.layers import Attention, FrameBlock, SpatialAttention, attend

KeyValue = tuple[Tensor, Tensor]


class Entry(nn.Module):
    """A picture [n, c, h, w], each frame normalised on its own, as tokens [n, hw, c]."""

    def __init__(self, channels: int, groups: int):
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj_in(self.norm(x).flatten(2).transpose(1, 2))  # type: ignore[no-any-return]


def back_to_picture(h: Tensor, x: Tensor) -> Tensor:
    """Tokens [n, hw, c] in the shape of `x` and added to it."""
    return x + h.transpose(1, 2).reshape(x.shape)


def gated_feed_forward(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(channels), GEGLU(channels, 4 * channels), nn.Linear(4 * channels, channels))


class ControlledTransformer(FrameBlock):
    """Stable Diffusion's transformer as a FLAP block: self-attention is `spatial`, the prompt's place is `expression`."""

    def __init__(self, channels: int, tokens: int, heads: int, groups: int):
        super().__init__(channels, tokens, gated_feed_forward(channels), heads)
        self.entry = Entry(channels, groups)
        self.proj_out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, pose: Tensor, expression: Tensor | None, reference: KeyValue | None) -> Tensor:
        h = self.within_frame(self.entry(x), pose, expression, reference)
        return back_to_picture(self.proj_out(h), x)


class ReferenceTransformer(nn.Module):
    """Stable Diffusion's transformer without a prompt; the last of a ReferenceNet is nothing but its entry."""

    def __init__(self, channels: int, heads: int, groups: int, is_last: bool):
        super().__init__()
        self.entry = Entry(channels, groups)
        self.is_last = is_last
        if not is_last:
            self.spatial = SpatialAttention(channels, heads=heads)
            self.feed_forward = gated_feed_forward(channels)
            self.proj_out = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The picture behind the block, and the hidden state [n, hw, c] that its attention sees."""
        hidden = self.entry(x)
        if self.is_last:
            return x, hidden
        h = self.spatial(hidden, None)
        return back_to_picture(self.proj_out(h + self.feed_forward(h)), x), hidden


class TemporalAttention(Attention):
    """Each pixel attends along time: to the chunk's frames and, behind them, to a cache of past frames.

    The cache holds projected keys and values without position; the projected position of a slot is added when it is
    read, which is exact because the projection is linear.
    """

    def __init__(self, channels: int, context_frames: int, chunk_frames: int, heads: int):
        super().__init__(channels, heads=heads)
        self.context_frames, self.chunk_frames = context_frames, chunk_frames
        self.position = nn.Parameter(torch.randn(context_frames + chunk_frames, channels) * 0.02)

    def forward(self, x: Tensor, cache: tuple[Tensor, Tensor], mask: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """`x` [b * chunk, hw, c], cache 2 x [b, context, hw, c], mask [b, context] of 0 or 1: which slots hold a frame.

        Returns x and the chunk's own keys and values `[b, chunk, hw, c]`.
        """
        total, pixels, channels = x.shape
        batch, chunk = total // self.chunk_frames, self.chunk_frames
        h = self.norm(x)
        key = self.to_key(h).reshape(batch, chunk, pixels, channels)
        value = self.to_value(h).reshape(batch, chunk, pixels, channels)
        now, past = self.position[self.context_frames :], self.position
        query = self.to_query(h).reshape(batch, chunk, pixels, channels) + self.to_query(now)[None, :, None]
        keys = torch.cat([cache[0], key], 1) + self.to_key(past)[None, :, None]
        values = torch.cat([cache[1], value], 1) + self.to_value(past)[None, :, None]
        bias = torch.cat([(mask - 1) * 1e4, mask.new_zeros(batch, chunk)], 1)
        bias = bias.repeat_interleave(pixels, 0)[:, None, None]  # [b * hw, 1, 1, context + chunk]

        def by_pixel(z: Tensor) -> Tensor:
            return z.transpose(1, 2).reshape(batch * pixels, -1, channels)

        out = attend(by_pixel(query), by_pixel(keys), by_pixel(values), self.heads, bias)
        out = out.reshape(batch, pixels, chunk, channels).transpose(1, 2).reshape(total, pixels, channels)
        return x + self.to_out(out), (key, value)


class MotionModule(nn.Module):
    """AnimateDiff's motion module (v2 and v3): two temporal attentions, each with its own cache of past frames."""

    def __init__(self, channels: int, heads: int, groups: int, context_frames: int, chunk_frames: int):
        super().__init__()
        self.entry = Entry(channels, groups)
        self.first, self.second = (TemporalAttention(channels, context_frames, chunk_frames, heads) for _ in range(2))
        self.feed_forward = gated_feed_forward(channels)
        self.proj_out = nn.Linear(channels, channels)
        nn.init.zeros_(self.proj_out.weight)
        nn.init.zeros_(self.proj_out.bias)

    def forward(self, x: Tensor, first: KeyValue, second: KeyValue, mask: Tensor) -> tuple[Tensor, KeyValue, KeyValue]:
        """`x` [b * chunk, c, h, w]; the rest, and the chunk's own keys and values returned, as TemporalAttention has them."""
        h, new_first = self.first(self.entry(x), first, mask)
        h, new_second = self.second(h, second, mask)
        h = h + self.feed_forward(h)
        return back_to_picture(self.proj_out(h), x), new_first, new_second
