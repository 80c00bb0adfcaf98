"""The decoder in an order that processors like."""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flap.autoencoder import Autoencoder


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
