"""Every loss of the portrait model, named."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def region_weight(masks: Tensor, size: int) -> Tensor:
    """Weights [n, 1, size, size] from the renderer's masks [n, 4, s, s].

    Head over background, mouth and eyes over skin, and what the portrait does not show over what it does: that is all
    that the networks have to invent, and it is a small part of a frame.
    """
    weight = 0.5 + masks[:, 1:2] + 5.0 * masks[:, 2:3] + 4.0 * masks[:, 3:4] + 6.0 * (1 - masks[:, 0:1])
    return F.interpolate(weight, size=(size, size), mode="bilinear", align_corners=False)


def weighted_l1(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    return ((a - b).abs() * weight).mean() / weight.mean()


def picture_loss(picture: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """L1 on pixels and on their differences, which keeps edges sharp."""
    picture = picture.float()
    loss = weighted_l1(picture, truth, weight)
    for axis in (2, 3):
        loss = loss + 0.5 * weighted_l1(
            picture.diff(dim=axis), truth.diff(dim=axis), weight.narrow(axis, 1, weight.shape[axis] - 1)
        )
    return loss


def flow_loss(source: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Charbonnier distance in portrait pixels (256 wide) between sources [n, 2, s, s] in -1..1."""
    squared = ((source.float() - truth) * 128).square().sum(1, keepdim=True)
    return ((squared + 0.01).sqrt() * weight).mean() / weight.mean()


def psnr_db(a: Tensor, b: Tensor, mask: Tensor | None = None) -> float:
    """Peak signal-to-noise ratio of pictures in -1..1, over `mask` where given."""
    squared = (a.clamp(-1, 1) - b).square()
    mean = squared.mean() if mask is None else (squared * mask).sum() / (mask.sum() * a.shape[1]).clamp(min=1)
    return -10 * math.log10(max(float(mean) / 4, 1e-10))


def mask_logit_loss(logits: Tensor, truth: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits.float(), truth)


def velocity_loss(predicted: Tensor, truth: Tensor, weight: Tensor, level_weight: Tensor | float = 1.0) -> Tensor:
    """Mean squared error of v, averaged over places by `weight`; `level_weight` [n, 1, 1, 1] makes a frame count for less."""
    return torch.mean((predicted.float() - truth).square() * weight * level_weight) / weight.mean()


def huber(predicted: Tensor, truth: Tensor, bend: float, weight: Tensor) -> Tensor:
    """Pseudo-Huber distance: squared below `bend`, absolute above, weighted by place."""
    squared = (predicted.float() - truth).square()
    return torch.mean(((squared + bend**2).sqrt() - bend) * weight) / weight.mean()
