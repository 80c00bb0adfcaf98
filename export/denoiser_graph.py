"""One denoising step of one frame, in an order that processors like: what `DenoisingNet` computes, in two thirds of the operators.

A step at this size is hundreds of small operators, and each costs a few microseconds whatever it does.
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.decoder_graph import side_by_side
from flap.denoising_net import DenoisingNet, moved_velocity
from flap.layers import ConditionEncoder, CrossAttention, FlapBlock, PastAttention, SpatialAttention

KeyValue = tuple[Tensor, Tensor]
MASKED = -1e4  # of a score
SEEN_CHANNELS = 2


class FewTokens(nn.Module):
    """`CrossAttention` of one frame.

    Tokens are few and pixels many, so the projections of queries and outputs are applied to the tokens: exact, because all
    four are linear. A pixel costs a product with each token and no projection.
    """

    def __init__(self, layer: CrossAttention):
        super().__init__()
        self.norm, self.heads = layer.norm, layer.heads
        channels = layer.to_out.out_features
        query, key, value = (
            projection.weight.detach().reshape(self.heads, channels // self.heads, -1)
            for projection in (layer.to_query, layer.to_key, layer.to_value)
        )
        out = layer.to_out.weight.detach().reshape(channels, self.heads, -1)
        to_scores = (query.transpose(1, 2) @ key * (channels // self.heads) ** -0.5).transpose(0, 1)
        self.register_buffer("to_scores", to_scores.reshape(channels * self.heads, -1))
        self.register_buffer("to_pixels", value.transpose(1, 2) @ out.permute(1, 2, 0))
        self.register_buffer("bias", layer.to_out.bias.detach() / self.heads)  # the shares of a head add up to 1
        self.register_buffer("null_token", layer.null_token.detach()[0])

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """`x` [hw, c], `tokens` [t, width]."""
        pixels, channels = x.shape
        context = torch.cat([tokens, self.null_token])
        keys = (self.to_scores @ context.t()).reshape(channels, -1)
        values = (context @ self.to_pixels).reshape(-1, channels) + self.bias
        scores = (self.norm(x) @ keys).reshape(pixels * self.heads, -1)
        return torch.addmm(x, scores.softmax(-1).reshape(pixels, -1), values)


class WithReference(nn.Module):
    """`SpatialAttention` of one frame."""

    def __init__(self, layer: SpatialAttention):
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, reference: KeyValue) -> Tensor:
        """`x` [hw, c], `reference` 2 x [1, hw, c]."""
        layer, (pixels, channels) = self.layer, x.shape
        split, h = (-1, layer.heads, channels // layer.heads), layer.norm(x)
        query = layer.to_query(h).reshape(split).transpose(0, 1)
        key = torch.cat([layer.to_key(h)[None], reference[0]], 1).reshape(split).permute(1, 2, 0)
        value = torch.cat([layer.to_value(h)[None], reference[1]], 1).reshape(split).transpose(0, 1)
        shares = (query @ key * split[2] ** -0.5).softmax(-1)
        return x + layer.to_out((shares @ value).transpose(0, 1).reshape(pixels, channels))


class OneFrameOfPast(nn.Module):
    """`PastAttention` of one frame; keys and values of past frames are given by head, as a reshaped input would be copied."""

    def __init__(self, layer: PastAttention):
        super().__init__()
        self.layer = layer
        channels = layer.to_query.in_features
        self.by_head = (layer.heads, channels // layer.heads)
        scale = self.by_head[1] ** -0.5
        past, now = layer.position.detach().split([layer.context_frames, 1])
        with torch.no_grad():
            self.register_buffer("query_weight", layer.to_query.weight * scale)
            self.register_buffer("query_bias", layer.to_query(now)[0] * scale)
            self.register_buffer("past_key", layer.to_key(past).reshape(1, -1, 1, *self.by_head))
            self.register_buffer("own_key", layer.to_key(now).reshape(1, 1, 1, *self.by_head))

    def forward(self, x: Tensor, cache: KeyValue, masked: Tensor) -> tuple[Tensor, KeyValue]:
        """`x` [hw, c], `cache` 2 x [1, context, hw, heads, c / heads], `masked` [1, context, 1, 1] to add to the scores.

        Returns x and the frame's own keys and values [1, 1, hw, heads, c / heads].
        """
        layer, h, own = self.layer, self.layer.norm(x), (1, 1, len(x), *self.by_head)
        query = F.linear(h, self.query_weight, self.query_bias).reshape(own)
        key, value = layer.to_key(h).reshape(own), layer.to_value(h).reshape(own)
        past_scores = (query * (cache[0] + self.past_key)).sum(-1) + masked
        own_scores = (query * (key + self.own_key)).sum(-1)
        shares = torch.cat([past_scores, own_scores], 1).softmax(1)[..., None]
        seen = (shares[:, :-1] * cache[1]).sum(1) + shares[0, -1:] * value[0]
        return x + layer.to_out(seen.reshape(x.shape)), (key, value)


class OneFrameBlock(nn.Module):
    """`FlapBlock` of one frame, with every layer."""

    def __init__(self, block: FlapBlock):
        super().__init__()
        self.head_motion, self.spatial = FewTokens(block.head_motion), WithReference(block.spatial)
        self.expression, self.feed_forward = FewTokens(block.expression), block.feed_forward
        self.temporal = OneFrameOfPast(block.temporal)

    def forward(
        self, x: Tensor, pose: Tensor, expression: Tensor, reference: KeyValue, cache: KeyValue, masked: Tensor
    ) -> tuple[Tensor, KeyValue]:
        """`x` [1, c, h, w]; see its layers."""
        h = x.reshape(x.shape[1], -1).t()
        h = self.spatial(self.head_motion(h, pose), reference)
        h = self.expression(h, expression)
        h, new = self.temporal(h + self.feed_forward(h), cache, masked)
        return h.t().reshape(x.shape), new


class GroupsAtOnce(nn.Module):
    """`ConditionEncoder` of one frame: its groups of expression padded to one size."""

    def __init__(self, encoder: ConditionEncoder):
        super().__init__()
        self.encoder = encoder
        groups = encoder.EXPRESSION_GROUPS
        widest = max(end - start for start, end in groups)
        at = [[*range(start, end), *[start] * (widest - (end - start))] for start, end in groups]
        first, second = ([group[i] for group in encoder.groups] for i in (0, 2))
        with torch.no_grad():
            padded = [F.pad(layer.weight, (0, widest - layer.in_features)).t() for layer in first]
            self.register_buffer("at", torch.tensor(at).flatten())
            self.register_buffer("weight1", torch.stack(padded))
            self.register_buffer("bias1", torch.stack([layer.bias for layer in first])[:, None])
            self.register_buffer("weight2", torch.stack([layer.weight.t() for layer in second]))
            self.register_buffer("bias2", torch.stack([layer.bias for layer in second])[:, None])

    def forward(self, coefficients: Tensor, pose_features: Tensor) -> tuple[Tensor, Tensor]:
        """[1, 120] to pose tokens [4, width] and expression tokens [8, width]."""
        encoder = self.encoder
        standard = encoder.standardise(coefficients)[0, self.at].reshape(len(self.weight1), 1, -1)
        tokens = F.relu(standard @ self.weight1 + self.bias1) @ self.weight2 + self.bias2
        return encoder.pose(pose_features).reshape(-1, encoder.width), tokens.reshape(-1, encoder.width)


class SideBySide(nn.Module):
    """A convolution whose last inputs are too few for ONNX Runtime's blocks of channels, which the others are spared."""

    def __init__(self, convolution: nn.Conv2d, narrow: int):
        super().__init__()
        self.convolution, self.wide = convolution, convolution.in_channels - narrow

    def forward(self, x: Tensor) -> Tensor:
        return side_by_side(self.convolution, x[:, : self.wide], x[:, self.wide :])


class DenoiserStep(nn.Module):
    """One denoising step of a frame with reference and past frames as plain tensors."""

    def __init__(self, denoiser: DenoisingNet):
        super().__init__()
        self.denoiser = copy.deepcopy(denoiser)
        self.denoiser.trunk.conv_in = SideBySide(self.denoiser.trunk.conv_in, SEEN_CHANNELS)
        self.blocks = nn.ModuleList(OneFrameBlock(block) for block in denoiser.blocks)
        self.conditions = GroupsAtOnce(denoiser.conditions)

    def forward(
        self, noisy: Tensor, t: Tensor, coefficients: Tensor, moved_latent: Tensor, seen: Tensor, cache_mask: Tensor, *keys: Tensor
    ) -> tuple[Tensor, ...]:  # fmt: skip
        """All as the server feeds them; `keys` are those of the reference and then of the past, key and value in turn."""
        network, pairs = self.denoiser, list(zip(keys[0::2], keys[1::2], strict=True))
        reference, cache = pairs[: len(self.blocks)], pairs[len(self.blocks) :]
        features = network.conditions.pose_features(coefficients)
        pose, expression = self.conditions(coefficients, features)
        angles = t[:, None] * network.time_bands
        embedding = network.time(torch.cat([angles.sin(), angles.cos()], 1))
        embedding = embedding + network.film_motion(features) + network.film_expression(expression.reshape(1, -1))
        masked, new = (1 - cache_mask)[:, :, None, None] * MASKED, list[Tensor]()

        def attended(h: Tensor) -> Tensor:
            for block, portrait, past in zip(self.blocks, reference, cache, strict=True):
                h, own = block(h, pose, expression, portrait, past, masked)
                new.extend(own)
            return h

        moved = moved_latent.permute(0, 3, 1, 2)
        x = torch.cat([noisy, moved, F.avg_pool2d(seen, 2)], 1)
        return moved_velocity(noisy, moved, t) + network.trunk(x, F.relu(embedding), attended), *new
