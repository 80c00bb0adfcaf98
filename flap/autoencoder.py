"""The autoencoder of flap-small: 8 x smaller latents, and a decoder that is shown the portrait's own moved pixels."""

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from flap.layers import ResidualBlock


class PlainBlock(nn.Module):
    """Two 3x3 convolutions and a residual, no norm: the cheapest block a CPU runs."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.normal_(self.conv2.weight, std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.conv2(F.relu(self.conv1(x))))


class Encoder(nn.Module):
    """Image [n, 3, h, w] in -1..1 to latent [n, c, h/8, w/8] within -3..3 and portrait features [n, 16, h/4, w/4]."""

    def __init__(self, latent_channels: int, feature_channels: int):
        super().__init__()
        self.down4 = nn.Sequential(
            nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 48, 3, 2, 1), ResidualBlock(48, 48)
        )
        self.features = nn.Conv2d(48, feature_channels, 1)
        self.down8 = nn.Sequential(
            nn.ReLU(), nn.Conv2d(48, 96, 3, 2, 1), ResidualBlock(96, 96), ResidualBlock(96, 96),
            nn.ReLU(), nn.Conv2d(96, latent_channels, 3, padding=1),
        )  # fmt: skip

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        h = self.down4(image)
        return torch.tanh(self.down8(h) / 3) * 3, self.features(h)


class Decoder(nn.Module):
    """Latent, moved portrait features and moved portrait pixels to the picture.

    `widths` are the channels at an eighth, a quarter and half of the picture's size. The last step blends the moved
    portrait with drawn pixels, so skin keeps the portrait's own detail.
    """

    def __init__(self, latent_channels: int, feature_channels: int, widths: tuple[int, int, int]):
        super().__init__()
        coarse, middle, fine = widths
        self.latent_in = nn.Conv2d(latent_channels + 2, coarse, 3, padding=1)
        self.block32 = PlainBlock(coarse)
        self.to64 = nn.Conv2d(coarse, middle, 1)
        self.portrait64 = nn.Conv2d(feature_channels + 2, middle, 3, padding=1)
        self.block64 = PlainBlock(middle)
        self.to128 = nn.Conv2d(middle, fine, 1)
        self.portrait128 = nn.Conv2d(12, fine, 3, padding=1)
        self.conv128 = nn.Conv2d(fine, fine, 3, padding=1)
        self.out = nn.Conv2d(fine, 16, 3, padding=1)
        with torch.no_grad():
            self.out.bias[12:] = 0.5

    def forward(self, latent: Tensor, features: Tensor, pixels: Tensor, seen: Tensor) -> Tensor:
        """`latent` [n, c, s/8], moved `features` [n, f, s/4], moved `pixels` [n, 3, s] in -1..1, `seen` [n, 2, s/4] 0..1.

        The portrait joins by a sum, not a concatenation: what comes from below is then convolved before it grows.
        """
        h = F.relu(self.latent_in(torch.cat([latent, F.avg_pool2d(seen, 2)], 1)))
        h = F.interpolate(self.to64(self.block32(h)), scale_factor=2.0, mode="nearest")
        h = F.relu(h + self.portrait64(torch.cat([features, seen], 1)))
        h = F.interpolate(self.to128(self.block64(h)), scale_factor=2.0, mode="nearest")
        h = F.relu(h + self.portrait128(F.pixel_unshuffle(pixels, 2)))
        h = self.out(F.relu(self.conv128(h)))
        drawn, blend = F.pixel_shuffle(h[:, :12], 2), torch.sigmoid(F.pixel_shuffle(h[:, 12:], 2))
        return blend * pixels + drawn  # not (1 - blend) * drawn: a blend that saturates early would stop all learning


class Autoencoder(ModelMixin, ConfigMixin):
    """Encoder and decoder; `normalise` brings latents to zero mean and unit deviation for the denoiser."""

    @register_to_config
    def __init__(
        self, latent_channels: int = 16, feature_channels: int = 16, decoder_widths: tuple[int, int, int] = (64, 32, 16)
    ):
        super().__init__()
        self.encoder = Encoder(latent_channels, feature_channels)
        self.decoder = Decoder(latent_channels, feature_channels, decoder_widths)
        self.register_buffer("latent_mean", torch.zeros(1, latent_channels, 1, 1))
        self.register_buffer("latent_std", torch.ones(1, latent_channels, 1, 1))

    def encode(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Image [n, 3, h, w] in -1..1 to the normalised latent and the portrait features."""
        latent, features = self.encoder(image)
        return (latent - self.latent_mean) / self.latent_std, features

    def decode(self, latent: Tensor, features: Tensor, pixels: Tensor, seen: Tensor) -> Tensor:
        """Normalised latent and moved portrait to the image in -1..1 (see `Decoder`)."""
        return self.decoder(latent * self.latent_std + self.latent_mean, features, pixels, seen)
