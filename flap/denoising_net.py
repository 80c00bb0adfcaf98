"""ReferenceNet and DenoisingNet of flap-small: one trunk, 32 x 32 to 8 x 8, a FLAP block at 8 x 8."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from flap.config import CONTEXT_FRAMES
from flap.layers import ConditionEncoder, FlapBlock, ResidualBlock

KeyValue = tuple[Tensor, Tensor]
BLOCK_SIZES = (8,)  # pixels a side at each FLAP block, in order of use
TIME_WIDTH = 128


class Descent(nn.Module):
    """32 x 32 to 8 x 8 and what is seen there: all of the U-Net that ReferenceNet needs."""

    def __init__(self, channels_in: int, widths: Sequence[int], embedding: int | None = None, norm: bool = True):
        super().__init__()
        fine, middle, coarse = widths
        self.conv_in = nn.Conv2d(channels_in, fine, 3, padding=1)
        self.down0 = ResidualBlock(fine, fine, embedding, norm)
        self.shrink0 = nn.Conv2d(fine, middle, 3, 2, 1)
        self.down1 = ResidualBlock(middle, middle, norm=norm)
        self.shrink1 = nn.Conv2d(middle, coarse, 3, 2, 1)
        self.down2 = ResidualBlock(coarse, coarse, norm=norm)
        self.position8 = nn.Parameter(torch.randn(1, coarse, 8, 8) * 0.02)
        self.middle = ResidualBlock(coarse, coarse, norm=norm)
        self.up2 = ResidualBlock(2 * coarse, coarse, embedding, norm)

    def descend(self, x: Tensor, embedding: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Features at 32 x 32, 16 x 16 and 8 x 8."""
        fine = self.down0(self.conv_in(x), embedding)
        middle = self.down1(self.shrink0(fine))
        coarse = self.down2(self.shrink1(middle) + self.position8)
        return fine, middle, self.up2(torch.cat([self.middle(coarse), coarse], 1), embedding)


class Trunk(Descent):
    """The U-Net without its attention: `block(h)` is called where the FLAP block stands."""

    def __init__(self, channels_in: int, channels_out: int, widths: Sequence[int], embedding: int):
        super().__init__(channels_in, widths, embedding, norm=False)
        fine, middle, coarse = widths
        self.grow1 = nn.Conv2d(coarse, middle, 1)
        self.up1 = ResidualBlock(2 * middle, middle, norm=False)
        self.last1 = ResidualBlock(middle, middle, embedding, norm=False)
        self.grow0 = nn.Conv2d(middle, fine, 1)
        self.up0 = ResidualBlock(2 * fine, fine, embedding, norm=False)
        self.conv_out = nn.Conv2d(fine, channels_out, 3, padding=1)

    def forward(self, x: Tensor, embedding: Tensor, block: Callable[[Tensor], Tensor]) -> Tensor:
        fine, middle, h = self.descend(x, embedding)
        h = F.interpolate(self.grow1(block(h)), scale_factor=2.0, mode="nearest")
        h = self.last1(self.up1(torch.cat([h, middle], 1)), embedding)
        h = F.interpolate(self.grow0(h), scale_factor=2.0, mode="nearest")
        return self.conv_out(F.relu(self.up0(torch.cat([h, fine], 1), embedding)))


def moved_velocity(noisy: Tensor, moved_latent: Tensor, t: Tensor) -> Tensor:
    """The v that leads from `noisy` to the moved portrait: the network only has to say how the frame differs from it."""
    level = t[:, None, None, None]
    return (torch.cos(level) * noisy - moved_latent) / torch.sin(level).clamp(min=0.5)


class ReferenceNet(ModelMixin, ConfigMixin):
    """The portrait's hidden states at every spatial attention; runs once per portrait, without noise (paper 4.1)."""

    @register_to_config
    def __init__(self, latent_channels: int = 16, widths: tuple[int, int, int] = (32, 64, 128)):
        super().__init__()
        self.trunk = Descent(latent_channels, widths)

    def forward(self, latent: Tensor) -> list[Tensor]:
        """Normalised latent [p, c, 32, 32] to hidden states [p, hw, c_i]."""
        return [self.trunk.descend(latent)[2].flatten(2).transpose(1, 2)]


class DenoisingNet(ModelMixin, ConfigMixin):
    """Predicts v of a chunk of frames from noise, the moved portrait, pose, expression, the portrait and past frames."""

    @register_to_config
    def __init__(
        self, latent_channels: int = 16, widths: tuple[int, int, int] = (32, 64, 128), token_width: int = 64,
        context_frames: int = CONTEXT_FRAMES,
    ):  # fmt: skip
        super().__init__()
        fine, middle, coarse = widths
        self.trunk = Trunk(2 * latent_channels + 2, latent_channels, (fine, middle, coarse), TIME_WIDTH)
        self.blocks = nn.ModuleList([FlapBlock(coarse, token_width, context_frames)])
        self.conditions = ConditionEncoder(token_width)
        self.time = nn.Sequential(nn.Linear(32, TIME_WIDTH), nn.ReLU(), nn.Linear(TIME_WIDTH, TIME_WIDTH))
        self.register_buffer("time_bands", torch.exp(torch.linspace(0, 4.6, 16)))
        # attention is at 8 x 8 alone, so pose and expression also enter elsewhere, each by its own zero-started bias
        self.film_motion = nn.Linear(27, TIME_WIDTH)
        self.film_expression = nn.Linear(8 * token_width, TIME_WIDTH)
        for film in (self.film_motion, self.film_expression):
            nn.init.zeros_(film.weight)
            nn.init.zeros_(film.bias)

    def project_reference(self, hidden: list[Tensor]) -> list[KeyValue]:
        """ReferenceNet's hidden states to this network's keys and values, once per portrait."""
        return [block.spatial.project(h) for block, h in zip(self.blocks, hidden, strict=True)]

    def forward(
        self, noisy: Tensor, t: Tensor, coefficients: Tensor, moved_latent: Tensor, seen: Tensor,
        reference: list[KeyValue], cache: list[KeyValue] | None = None, cache_mask: Tensor | None = None,
        use_expression: bool = True,
    ) -> tuple[Tensor, list[KeyValue]]:  # fmt: skip
        """`noisy`, `moved_latent` [n, c, 32, 32]; `t` [n] radians; `coefficients` [n, 120]; `seen` [n, 2, 32, 32] in 0..1;
        for each block `reference` ([p, hw, c], same) and `cache` ([b, context, hw, c], same); `cache_mask` [b, context].

        n frames share p portraits in order. Without `cache` the temporal layers are bypassed, without
        `use_expression` the expression layers (training stages 1 and 2). Returns v and the chunk's keys and values.
        """
        pose, expression = self.conditions(coefficients)
        angles = t[:, None] * self.time_bands
        embedding = self.time(torch.cat([angles.sin(), angles.cos()], 1))
        embedding = embedding + self.film_motion(self.conditions.pose_features(coefficients))
        if use_expression:
            embedding = embedding + self.film_expression(expression.flatten(1))
        new: list[KeyValue] = []

        def block(h: Tensor) -> Tensor:
            for i, layer in enumerate(self.blocks):
                past = cache[i] if cache is not None else None
                h, keys = layer(h, pose, expression if use_expression else None, reference[i], past, cache_mask)
                if keys is not None:
                    new.append(keys)
            return h

        x = torch.cat([noisy, moved_latent, seen], 1)
        change = self.trunk(x, F.relu(embedding), block)
        return moved_velocity(noisy, moved_latent, t) + change, new

    def empty_cache(self, batch: int) -> list[KeyValue]:
        """A cache of zeros for `batch` streams; mask it out."""
        context = self.config.context_frames
        shapes = [
            (batch, context, size * size, block.temporal.to_key.in_features)
            for size, block in zip(BLOCK_SIZES, self.blocks, strict=True)
        ]
        return [(torch.zeros(shape), torch.zeros(shape)) for shape in shapes]
