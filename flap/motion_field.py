"""The motion field of flap-small: where each pixel of a frame comes from in the portrait.

A deviation from the paper, which redraws the face (docs/decisions.md). The rigid part sees the head pose only; the
non-rigid part sees the expression only and lives on the portrait's own canvas, reached through the rigid part. So a
change of expression cannot turn the head, and a turn of the head cannot change the expression.

The rigid part begins with geometry: the portrait is read once as levers, where each pixel lies in space about the point
that its head turns on, and a turn moves it as a turned point moves. A network only mends what that gets wrong: necks that
bend, what is hidden and what comes out.
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
LEVER_CHANNELS = 12  # three numbers for each pixel of a 64 x 64 grid, folded to 32 x 32
MANY_CHANNELS = 8  # from which a graph gathers whole pixels
COARSE_SEARCHES = 5  # steps from where a pixel is to where it was, at 32 x 32; one at 64 x 64 follows


def pixel_grid(size: int) -> Tensor:
    """Centres of a size x size image in -1..1, x then y: `[1, 2, size, size]`."""
    centres = (torch.arange(size, dtype=torch.float32) + 0.5) / size * 2 - 1
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    return torch.stack([x, y])[None]


def warp(image: Tensor, source: Tensor) -> Tensor:
    """`image` [n, c, h, w] sampled at `source` [n, 2, s, s] (-1..1, x then y): [n, c, s, s]; the border repeats."""
    image = image.to(source.dtype)  # positions need full precision even where pictures do not
    if torch.onnx.is_in_onnx_export() and image.shape[1] >= MANY_CHANNELS:
        return gathered(image, source)
    return F.grid_sample(image, source.permute(0, 2, 3, 1), mode="bilinear", padding_mode="border", align_corners=False)


def gathered(image: Tensor, source: Tensor) -> Tensor:
    """What `warp` gives, by gathering whole pixels: a third of the time of ONNX Runtime's GridSample, which goes by channel."""
    n, channels, height, width = image.shape
    x, y = (((source + 1) * source.new_tensor([width, height])[None, :, None, None] - 1) / 2).unbind(1)
    x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
    left, top = x.floor(), y.floor()
    right, bottom = (left + 1).clamp(max=width - 1), (top + 1).clamp(max=height - 1)
    rows = image.permute(0, 2, 3, 1).reshape(-1, channels)
    first = torch.arange(n).reshape(n, 1, 1) * (height * width)

    def pixels(row: Tensor, column: Tensor) -> Tensor:
        return rows[(first + (row * width + column).long()).reshape(-1)].reshape(n, *x.shape[1:], channels)

    across, down = (x - left)[..., None], (y - top)[..., None]
    above = pixels(top, left) * (1 - across) + pixels(top, right) * across
    below = pixels(bottom, left) * (1 - across) + pixels(bottom, right) * across
    return (above * (1 - down) + below * down).permute(0, 3, 1, 2)


def rotation_matrix(pose: Tensor) -> Tensor:
    """Head Euler radians [n, 3] (pitch, yaw, roll) to rotations [n, 3, 3] about the picture's axes: right, down, towards us."""
    (cx, cy, cz), (sx, sy, sz) = pose.cos().unbind(1), pose.sin().unbind(1)
    rows = (
        (cy * cz + sy * sx * sz, cy * sz - sy * sx * cz, sy * cx),
        (-cx * sz, cx * cz, sx),
        (-sy * cz + cy * sx * sz, -sy * sz - cy * sx * cz, cy * cx),
    )
    return torch.stack([torch.stack(row, 1) for row in rows], 1)


class PortraitMotionEncoder(nn.Module):
    """The portrait as features and levers on a 32 x 32 grid; wide, because it runs once and has to guess a head's depth."""

    def __init__(self, width: int, inner: int):
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv2d(3, 24, 3, 2, 1), nn.ReLU(), nn.Conv2d(24, 48, 3, 2, 1), nn.ReLU(), nn.Conv2d(48, inner, 3, 2, 1)
        )
        self.position = nn.Parameter(torch.randn(1, inner, 32, 32) * 0.05)
        self.blocks = nn.Sequential(*(ResidualBlock(inner, inner) for _ in range(3)))
        self.out = nn.Conv2d(inner, width, 1)
        self.levers = nn.Sequential(
            ResidualBlock(inner, inner), nn.ReLU(), nn.Conv2d(inner, LEVER_CHANNELS, 3, padding=1)
        )
        nn.init.normal_(self.levers[2].weight, std=0.001)
        nn.init.zeros_(self.levers[2].bias)

    def forward(self, image: Tensor) -> Tensor:
        h = self.blocks(self.down(image) + self.position)
        return torch.cat([self.out(h), self.levers(h)], 1)


class FieldHead(nn.Module):
    """Portrait features bent by a condition, to `out` channels on a grid twice as fine.

    SiLU where the condition enters: with ReLU every unit that saw the expression died within a first run.
    """

    def __init__(self, width: int, condition: int, out: int, guides: int = 0, blocks: int = 2):
        super().__init__()
        self.condition = nn.Sequential(nn.Linear(condition, 192), nn.SiLU(), nn.Linear(192, 192), nn.SiLU())
        self.film = nn.Linear(192, 2 * width * blocks)
        self.blocks = nn.ModuleList(ResidualBlock(width, width) for _ in range(blocks))
        self.coarse = nn.Conv2d(width, 32, 1)
        self.guide = nn.Conv2d(guides, 32, 3, padding=1) if guides else None
        self.fine1 = nn.Conv2d(32, 32, 3, padding=1)
        self.fine2 = nn.Conv2d(32, 32, 3, padding=1)
        self.out = nn.Conv2d(32, out, 3, padding=1)
        nn.init.normal_(self.out.weight, std=0.01)
        nn.init.zeros_(self.out.bias)

    def forward(self, features: Tensor, condition: Tensor, guide: Tensor | None = None) -> Tensor:
        film = self.film(self.condition(condition))[:, :, None, None].chunk(2 * len(self.blocks), 1)
        h = features
        for i, block in enumerate(self.blocks):
            h = block(h * (1 + film[2 * i]) + film[2 * i + 1])
        h = F.interpolate(self.coarse(F.relu(h)), scale_factor=2.0, mode="nearest")
        if self.guide is not None and guide is not None:
            h = h + self.guide(guide)
        h = F.relu(self.fine1(h))
        return self.out(h + F.relu(self.fine2(h)))


class MotionField(ModelMixin, ConfigMixin):
    """Portrait features and coefficients to the source of each pixel, its visibility and the alpha."""

    @register_to_config
    def __init__(self, width: int = 48, encoder_width: int = 96):
        super().__init__()
        self.encoder = PortraitMotionEncoder(width, encoder_width)
        self.coefficients = ConditionEncoder(8)  # for its scaling of the numbers alone
        self.rigid = FieldHead(width, 27 + 3, 4, guides=4, blocks=1)
        self.nonrigid = FieldHead(width, 117 * 2, 3)
        self.nearness = nn.Parameter(torch.tensor(0.1))  # half a picture's width over the camera's distance
        self.register_buffer("grid", pixel_grid(64), persistent=False)
        self.register_buffer("coarse_grid", pixel_grid(32), persistent=False)

    def encode(self, portrait: Tensor) -> Tensor:
        """`portrait` [n, 3, 256, 256] in -1..1 to features and levers [n, width + 12, 32, 32]; once per presenter."""
        return self.encoder(portrait)

    def turned(self, features: Tensor, portrait_coefficients: Tensor, coefficients: Tensor) -> Tensor:
        """Where a turn of the head alone carries each pixel of the portrait, less where it is: [n, 2, 64, 64]."""
        levers = F.pixel_shuffle(features[:, -LEVER_CHANNELS:].float(), 2)
        before, after = rotation_matrix(portrait_coefficients[:, :3]), rotation_matrix(coefficients[:, :3])
        with torch.autocast(features.device.type, enabled=False):  # it would multiply positions in half precision
            turn = after @ before.transpose(1, 2) - torch.eye(3, device=features.device)
            moved = (turn @ levers.flatten(2)).reshape(-1, 3, 64, 64)
        return (self.grid + moved[:, :2]) / (1 - self.nearness * moved[:, 2:]) - self.grid

    def search(self, moved: Tensor) -> tuple[Tensor, Tensor]:
        """The pixels [n, 2, 64, 64] of the portrait that `moved` carries to each pixel of the frame, as near as a few steps come.

        Also what the last step changed: it stays large where the head hides what it is looking for.
        """
        source = self.coarse_grid - warp(moved, self.coarse_grid.expand(len(moved), -1, -1, -1))
        for _ in range(COARSE_SEARCHES - 1):
            source = self.coarse_grid - warp(moved, source)
        nearly = F.interpolate(source, scale_factor=2.0, mode="bilinear", align_corners=False)
        found = self.grid - warp(moved, nearly)
        return found, found - nearly

    def fields(self, features: Tensor, portrait_coefficients: Tensor, coefficients: Tensor) -> tuple[Tensor, Tensor]:
        """Rigid [n, 4, s, s] (source, visibility, alpha) on the frame and non-rigid [n, 3, s, s] on the portrait's canvas."""
        standard = self.coefficients.standardise(coefficients)
        origin = self.coefficients.standardise(portrait_coefficients)
        pose = torch.cat([self.coefficients.pose_features(coefficients), origin[:, :3]], 1)
        expression = torch.cat([standard[:, 3:], origin[:, 3:]], 1)
        own = features[:, :-LEVER_CHANNELS]
        face = self.nonrigid(own[:, :, FACE_ROWS, FACE_COLUMNS], expression)
        margins = (2 * FACE_COLUMNS.start, 64 - 2 * FACE_COLUMNS.stop, 2 * FACE_ROWS.start, 64 - 2 * FACE_ROWS.stop)
        still = F.pad(face[:, :2], margins), F.pad(face[:, 2:], margins, value=SURELY_SEEN)
        moved = self.turned(features, portrait_coefficients, coefficients).detach()
        found, change = self.search(moved)
        head, scene = own.chunk(2, 1)  # half of the features turn with the head, half stay: what comes out lies there
        carried = torch.cat([warp(head, F.avg_pool2d(found, 2)), scene], 1)
        rigid = self.rigid(carried, pose, torch.cat([found - self.grid, change], 1))
        return torch.cat([found + rigid[:, :2], rigid[:, 2:]], 1), torch.cat(still, 1)

    def forward(
        self, features: Tensor, portrait_coefficients: Tensor, coefficients: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What `encode` gives [n, w, 32, 32], coefficients [n, 120] each.

        Returns the rigid source [n, 2, s, s], the full source [n, 2, s, s] (-1..1, x then y), and logits of visibility
        and alpha [n, 2, s, s].
        """
        rigid, nonrigid = self.fields(features, portrait_coefficients, coefficients)
        unposed = rigid[:, :2]
        carried = warp(nonrigid, unposed)
        seen = torch.minimum(rigid[:, 2:3], carried[:, 2:3])
        return unposed, unposed + carried[:, :2], torch.cat([seen, rigid[:, 3:4]], 1)
