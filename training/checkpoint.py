"""Resumable training state and finished weights."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn


@dataclass
class Progress:
    """How far a run has come; the learning rate follows `fraction`."""

    step: int = 0
    elapsed_s: float = 0.0


def save(path: Path, progress: Progress, parts: dict[str, Any]) -> None:
    """Writes every part's `state_dict` and the progress, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".partial")
    torch.save({"progress": vars(progress), **{name: part.state_dict() for name, part in parts.items()}}, unfinished)
    unfinished.rename(path)


def resume(path: Path, parts: dict[str, Any]) -> Progress:
    """Loads what `save` wrote; a fresh Progress when there is no checkpoint."""
    if not path.exists():
        return Progress()
    stored = torch.load(path, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(stored[name])
    return Progress(**stored["progress"])


def begin_from(network: nn.Module, folder: Path) -> list[str]:
    """Copies into `network` what a saved network has of the same name and shape; returns the names of what stays fresh."""
    own, other = network.state_dict(), load_file(folder / "diffusion_pytorch_model.safetensors")
    same = {name: other[name] for name, value in own.items() if name in other and other[name].shape == value.shape}
    network.load_state_dict({**own, **same})
    return [name for name in own if name not in same]


class Average(nn.Module):
    """Exponential moving average of a network's weights: what is measured and shipped."""

    def __init__(self, network: nn.Module, decay: float = 0.998):
        super().__init__()
        self.decay = decay
        self.weights = {name: value.detach().clone() for name, value in network.state_dict().items()}

    def update(self, network: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        with torch.no_grad():
            for name, value in network.state_dict().items():
                if value.is_floating_point():
                    self.weights[name].lerp_(value, 1 - decay)
                else:
                    self.weights[name].copy_(value)

    def state_dict(self, *_: Any, **__: Any) -> dict[str, Any]:
        return self.weights

    def load_state_dict(self, state: Any, *_: Any, **__: Any) -> Any:
        self.weights = dict(state)
