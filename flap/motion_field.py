"""The motion field of flap-small: where each pixel of a frame comes from in the portrait.

A deviation from the paper, which redraws the face (docs/decisions.md). The rigid part sees the head pose only; the
non-rigid part sees the expression only and lives on the portrait's own canvas, reached through the rigid part. So a
change of expression cannot turn the head, and a turn of the head cannot change the expression.
"""

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from flap.layers import ConditionEncoder, ResidualBlock

# portraits are aligned by eyes and mouth, so expression moves nothing outside this part of the 32 x 32 features
FACE_ROWS, FACE_COLUMNS = slice(9, 31), slice(6, 26)
SURELY_SEEN = 8.0  # a logit


def pixel_grid(size: int) -> Tensor:
    """Centres of a size x size image in -1..1, x then y: `[1, 2, size, size]`."""
    centres = (torch.arange(size, dtype=torch.float32) + 0.5) / size * 2 - 1
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    return torch.stack([x, y])[None]


def warp(image: Tensor, source: Tensor) -> Tensor:
    """`image` [n, c, h, w] sampled at `source` [n, 2, s, s] (-1..1, x then y): [n, c, s, s]; the border repeats."""
    image = image.to(source.dtype)  # positions need full precision even where pictures do not
    return F.grid_sample(image, source.permute(0, 2, 3, 1), mode="bilinear", padding_mode="border", align_corners=False)


class PortraitMotionEncoder(nn.Module):
    """The portrait as features on a 32 x 32 grid; wide, because it runs once and has to guess a head's depth."""

    def __init__(self, width: int, inner: int):
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv2d(3, 24, 3, 2, 1), nn.ReLU(), nn.Conv2d(24, 48, 3, 2, 1), nn.ReLU(), nn.Conv2d(48, inner, 3, 2, 1)
        )
        self.position = nn.Parameter(torch.randn(1, inner, 32, 32) * 0.05)
        self.blocks = nn.Sequential(*(ResidualBlock(inner, inner) for _ in range(3)))
        self.out = nn.Conv2d(inner, width, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.out(self.blocks(self.down(image) + self.position))


class FieldHead(nn.Module):
    """Portrait features bent by a condition, to `out` channels on a grid twice as fine.

    SiLU where the condition enters: with ReLU every unit that saw the expression died within a first run.
    """

    def __init__(self, width: int, condition: int, out: int, blocks: int = 2):
        super().__init__()
        self.condition = nn.Sequential(nn.Linear(condition, 192), nn.SiLU(), nn.Linear(192, 192), nn.SiLU())
        self.film = nn.Linear(192, 2 * width * blocks)
        self.blocks = nn.ModuleList(ResidualBlock(width, width) for _ in range(blocks))
        self.coarse = nn.Conv2d(width, 32, 1)
        self.fine1 = nn.Conv2d(32, 32, 3, padding=1)
        self.fine2 = nn.Conv2d(32, 32, 3, padding=1)
        self.out = nn.Conv2d(32, out, 3, padding=1)
        nn.init.normal_(self.out.weight, std=0.01)
        nn.init.zeros_(self.out.bias)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        film = self.film(self.condition(condition))[:, :, None, None].chunk(2 * len(self.blocks), 1)
        h = features
        for i, block in enumerate(self.blocks):
            h = block(h * (1 + film[2 * i]) + film[2 * i + 1])
        h = F.interpolate(self.coarse(F.relu(h)), scale_factor=2.0, mode="nearest")
        h = F.relu(self.fine1(h))
        return self.out(h + F.relu(self.fine2(h)))


class MotionField(ModelMixin, ConfigMixin):
    """Portrait features and coefficients to the source of each pixel, its visibility and the alpha."""

    @register_to_config
    def __init__(self, width: int = 48, encoder_width: int = 96):
        super().__init__()
        self.encoder = PortraitMotionEncoder(width, encoder_width)
        self.coefficients = ConditionEncoder(8)  # for its scaling of the numbers alone
        self.rigid = FieldHead(width, 27 + 3, 4)
        self.nonrigid = FieldHead(width, 117 * 2, 3)
        self.register_buffer("grid", pixel_grid(64), persistent=False)

    def encode(self, portrait: Tensor) -> Tensor:
        """`portrait` [n, 3, 256, 256] in -1..1 to features [n, width, 32, 32]; once per presenter."""
        return self.encoder(portrait)

    def fields(self, features: Tensor, portrait_coefficients: Tensor, coefficients: Tensor) -> tuple[Tensor, Tensor]:
        """Rigid [n, 4, s, s] (flow, visibility, alpha) on the frame and non-rigid [n, 3, s, s] on the portrait's canvas."""
        standard = self.coefficients.standardise(coefficients)
        origin = self.coefficients.standardise(portrait_coefficients)
        pose = torch.cat([self.coefficients.pose_features(coefficients), origin[:, :3]], 1)
        expression = torch.cat([standard[:, 3:], origin[:, 3:]], 1)
        face = self.nonrigid(features[:, :, FACE_ROWS, FACE_COLUMNS], expression)
        margins = (2 * FACE_COLUMNS.start, 64 - 2 * FACE_COLUMNS.stop, 2 * FACE_ROWS.start, 64 - 2 * FACE_ROWS.stop)
        still = F.pad(face[:, :2], margins), F.pad(face[:, 2:], margins, value=SURELY_SEEN)
        return self.rigid(features, pose), torch.cat(still, 1)

    def forward(
        self, features: Tensor, portrait_coefficients: Tensor, coefficients: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Features [n, w, 32, 32], coefficients [n, 120] each.

        Returns the rigid source [n, 2, s, s], the full source [n, 2, s, s] (-1..1, x then y), and logits of visibility
        and alpha [n, 2, s, s].
        """
        rigid, nonrigid = self.fields(features, portrait_coefficients, coefficients)
        unposed = self.grid + rigid[:, :2]
        carried = warp(nonrigid, unposed)
        seen = torch.minimum(rigid[:, 2:3], carried[:, 2:3])
        return unposed, unposed + carried[:, :2], torch.cat([seen, rigid[:, 3:4]], 1)
