"""Layers of flap-small, and what flap-sd15 shares: attention, and the layers of a FLAP block in the paper's order."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FUSED_SCORES = 1 << 20  # queries times keys from which a CPU gains by never holding the scores; small ones lose time


class ResidualBlock(nn.Module):
    """GroupNorm if wanted, two 3x3 convolutions, an optional bias from an embedding; `[n, in, h, w]` to `[n, out, h, w]`."""

    def __init__(self, channels_in: int, channels_out: int, embedding: int | None = None, norm: bool = True):
        super().__init__()
        self.norm = nn.GroupNorm(8, channels_in) if norm else nn.Identity()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        self.embed = nn.Linear(embedding, channels_out) if embedding else None
        self.skip = nn.Conv2d(channels_in, channels_out, 1) if channels_in != channels_out else nn.Identity()
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)

    def forward(self, x: Tensor, embedding: Tensor | None = None) -> Tensor:
        h = self.conv1(self.norm(x))
        if self.embed is not None and embedding is not None:
            h = h + self.embed(embedding)[:, :, None, None]
        return self.skip(x) + self.conv2(F.relu(h))


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int, mask: Tensor | None = None) -> Tensor:
    """Softmax attention, `[n, q, c]` over `[n, k, c]`; exported written out, so that every runtime fuses it alike."""
    n, q, c = query.shape
    split = (n, -1, heads, c // heads)
    query = query.reshape(n, q, heads, c // heads).transpose(1, 2)
    key, value = key.reshape(split).transpose(1, 2), value.reshape(split).transpose(1, 2)
    # exporting holds on to all that it sees, so large scores are never made then either
    exporting = torch.onnx.is_in_onnx_export()
    if q * key.shape[2] >= FUSED_SCORES or (query.is_cuda and not exporting):
        attended = F.scaled_dot_product_attention(query, key, value, mask)
    else:
        scores = query @ key.transpose(2, 3) * (c // heads) ** -0.5
        if mask is not None:
            scores = scores + mask
        attended = scores.softmax(-1) @ value
    return attended.transpose(1, 2).reshape(n, q, c)


class Attention(nn.Module):
    """Attention with a residual; the output projection starts at zero so that a new layer changes nothing."""

    def __init__(self, channels: int, context: int | None = None, heads: int = 2):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.to_query = nn.Linear(channels, channels, bias=False)
        self.to_key = nn.Linear(context or channels, channels, bias=False)
        self.to_value = nn.Linear(context or channels, channels, bias=False)
        self.to_out = nn.Linear(channels, channels)
        nn.init.zeros_(self.to_out.weight)
        nn.init.zeros_(self.to_out.bias)


class CrossAttention(Attention):
    """Pixels attend to condition tokens and one learnt null token (a lone key would act alike on every pixel)."""

    def __init__(self, channels: int, context: int, heads: int = 2):
        super().__init__(channels, context, heads)
        self.null_token = nn.Parameter(torch.randn(1, 1, context) * 0.02)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        context = torch.cat([tokens, self.null_token.expand(tokens.shape[0], 1, -1)], 1)
        out = attend(self.to_query(self.norm(x)), self.to_key(context), self.to_value(context), self.heads)
        return x + self.to_out(out)


class SpatialAttention(Attention):
    """Pixels attend to the frame's own pixels and to the reference's projected keys and values."""

    def project(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values `[n, hw, c]` of a reference's hidden state."""
        h = self.norm(x)
        return self.to_key(h), self.to_value(h)

    def forward(self, x: Tensor, reference: tuple[Tensor, Tensor] | None) -> Tensor:
        h = self.norm(x)
        key, value = self.to_key(h), self.to_value(h)
        if reference is not None:
            frames = x.shape[0] // reference[0].shape[0]
            key = torch.cat([key, reference[0].repeat_interleave(frames, 0)], 1)
            value = torch.cat([value, reference[1].repeat_interleave(frames, 0)], 1)
        return x + self.to_out(attend(self.to_query(h), key, value, self.heads))


class PastAttention(Attention):
    """Each pixel of a frame attends along time: to itself and to a cache of past frames.

    The frames of a training chunk do not see each other: a frame may be moved and decoded while the one before it is.
    The cache holds projected keys and values without position; the projected position of a slot is added when it is read,
    which is exact because the projection is linear.
    """

    def __init__(self, channels: int, context_frames: int, heads: int = 2):
        super().__init__(channels, heads=heads)
        self.context_frames = context_frames
        self.position = nn.Parameter(torch.randn(context_frames + 1, channels) * 0.02)

    def forward(self, x: Tensor, cache: tuple[Tensor, Tensor], mask: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """`x` [b * chunk, hw, c], cache 2 x [b, context, hw, c], mask [b, context] of 0 or 1: which slots hold a frame.

        Returns x and the chunk's own keys and values `[b, chunk, hw, c]`.
        """
        total, pixels, channels = x.shape
        batch, split = len(mask), (self.heads, channels // self.heads)
        chunk = total // batch
        h, past, now = self.norm(x), self.position[: self.context_frames], self.position[self.context_frames]
        key, value = self.to_key(h), self.to_value(h)
        query = (self.to_query(h + now) * split[1] ** -0.5).reshape(batch, chunk, 1, pixels, *split)
        keys = (cache[0] + self.to_key(past)[None, :, None]).reshape(batch, 1, -1, pixels, *split)
        values = cache[1].reshape(batch, 1, -1, pixels, *split)
        own_key = (key + self.to_key(now)).reshape(query.shape)
        # products and sums: a matrix product for every pixel is mostly overhead
        scores = torch.cat(
            [(query * keys).sum(-1) + 1e4 * (mask - 1)[:, None, :, None, None], (query * own_key).sum(-1)], 2
        )
        shares = scores.softmax(2)[..., None]
        out = (shares[:, :, :-1] * values).sum(2) + shares[:, :, -1] * value.reshape(batch, chunk, pixels, *split)
        new = key.reshape(batch, chunk, pixels, channels), value.reshape(batch, chunk, pixels, channels)
        return x + self.to_out(out.reshape(total, pixels, channels)), new


class FrameBlock(nn.Module):
    """Head motion, spatial, expression, feed-forward: what a FLAP block does within a frame, in the paper's order."""

    def __init__(self, channels: int, tokens: int, feed_forward: nn.Module, heads: int = 2):
        super().__init__()
        self.head_motion = CrossAttention(channels, tokens, heads)
        self.spatial = SpatialAttention(channels, heads=heads)
        self.expression = CrossAttention(channels, tokens, heads)
        self.feed_forward = feed_forward

    def within_frame(
        self, h: Tensor, pose: Tensor, expression: Tensor | None, reference: tuple[Tensor, Tensor] | None
    ) -> Tensor:
        """`h` [n, hw, c]; without `expression` that layer is bypassed (training stage 1)."""
        h = self.head_motion(h, pose)
        h = self.spatial(h, reference)
        if expression is not None:
            h = self.expression(h, expression)
        return h + self.feed_forward(h)  # type: ignore[no-any-return]


class FlapBlock(FrameBlock):
    """Head motion, spatial, expression, temporal (FLAP paper, Fig. 2): the order in which control enters the picture."""

    def __init__(self, channels: int, tokens: int, context_frames: int):
        feed_forward = nn.Sequential(
            nn.LayerNorm(channels), nn.Linear(channels, 2 * channels), nn.ReLU(), nn.Linear(2 * channels, channels)
        )
        super().__init__(channels, tokens, feed_forward)
        self.temporal = PastAttention(channels, context_frames)

    def forward(
        self, x: Tensor, pose: Tensor, expression: Tensor | None, reference: tuple[Tensor, Tensor],
        cache: tuple[Tensor, Tensor] | None, mask: Tensor | None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:  # fmt: skip
        """`x` [n, c, h, w]; without `expression` or `cache` that layer is bypassed (training stages 1 and 2)."""
        n, c, height, width = x.shape
        h = self.within_frame(x.flatten(2).transpose(1, 2), pose, expression, reference)
        new = None
        if cache is not None and mask is not None:
            h, new = self.temporal(h, cache, mask)
        return h.transpose(1, 2).reshape(n, c, height, width), new


class ConditionEncoder(nn.Module):
    """The 120 coefficients as tokens: 4 of head pose, 8 of expression (each eye, lids, jaw, 4 x 25 expression)."""

    POSE_TOKENS = 4
    EXPRESSION_GROUPS = ((3, 9), (9, 15), (18, 20), (15, 18), (20, 45), (45, 70), (70, 95), (95, 120))

    def __init__(self, width: int):
        super().__init__()
        self.width = width
        offset, scale = torch.zeros(120), torch.ones(120)
        offset[[3, 7, 9, 13]] = 1.0  # the identity rotation in 6D
        scale[0:3], scale[3:15], scale[15:18] = 2.0, 4.0, 4.0
        self.register_buffer("offset", offset)
        self.register_buffer("scale", scale)
        self.register_buffer("bands", 2.0 ** torch.arange(4))
        self.pose = nn.Sequential(nn.Linear(27, 128), nn.ReLU(), nn.Linear(128, self.POSE_TOKENS * width))
        self.groups = nn.ModuleList(
            nn.Sequential(nn.Linear(end - start, 64), nn.ReLU(), nn.Linear(64, width))
            for start, end in self.EXPRESSION_GROUPS
        )

    def standardise(self, coefficients: Tensor) -> Tensor:
        return (coefficients - self.offset) * self.scale

    def pose_features(self, coefficients: Tensor) -> Tensor:
        """Head Euler angles with 4 Fourier bands, `[n, 27]`."""
        pose = self.standardise(coefficients)[:, :3]
        angles = (pose[:, :, None] * self.bands).flatten(1)
        return torch.cat([pose, angles.sin(), angles.cos()], 1)

    def forward(self, coefficients: Tensor) -> tuple[Tensor, Tensor]:
        """`[n, 120]` to pose tokens `[n, 4, width]` and expression tokens `[n, 8, width]`."""
        standard = self.standardise(coefficients)
        pose = self.pose(self.pose_features(coefficients)).reshape(-1, self.POSE_TOKENS, self.width)
        groups = zip(self.groups, self.EXPRESSION_GROUPS, strict=True)
        return pose, torch.stack([group(standard[:, start:end]) for group, (start, end) in groups], 1)
