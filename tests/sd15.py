"""flap-sd15 in small, for tests: the published layout at a tenth of the width, with weights that act."""

from typing import Any

import torch

from flap.sd15.networks import DenoisingNet, ReferenceNet

WIDTHS = (32, 64, 64, 64)
LATENT_SIZE = 8
TOKEN_WIDTH = 48

torch.set_num_threads(1)  # at this size threads only wait for each other: on a busy machine 60 times as long


def small_reference() -> ReferenceNet:
    return awake(ReferenceNet(widths=WIDTHS))


def small_denoiser(**changes: Any) -> DenoisingNet:
    return awake(DenoisingNet(widths=WIDTHS, latent_size=LATENT_SIZE, token_width=TOKEN_WIDTH, **changes))


def awake(network: Any) -> Any:
    """Layers start at zero so that they change nothing; gives every weight a value so that each can be seen acting."""
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.1)
    return network.eval()
