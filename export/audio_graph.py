"""The audio-to-FLAME network as a graph of one chunk."""

import torch
from torch import Tensor, nn

from export.portrait_graphs import GraphSpec
from flap.audio_features import FEATURES
from flap.audio_to_flame import AudioToFlame
from flap.config import CHUNK_FRAMES
from flap.speech import HOPS_PER_FRAME


class AudioStep(nn.Module):
    """Features of a chunk and the state to weights and the next state."""

    def __init__(self, network: AudioToFlame):
        super().__init__()
        self.network = network

    def forward(self, features: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        return self.network(features, *state)


def audio_graph(network: AudioToFlame) -> GraphSpec:
    """`audio_to_flame` with example inputs of the shipped shapes."""
    features = torch.randn(1, CHUNK_FRAMES * HOPS_PER_FRAME, FEATURES)
    tensors = network.init_state(1)
    names = [f"state{i + 1}" for i in range(len(tensors))]
    state = {name: torch.randn_like(tensor) for name, tensor in zip(names, tensors, strict=True)}
    return GraphSpec(
        "audio_to_flame", AudioStep(network).eval(), {"features": features, **state},
        ("weights", *(f"next_{name}" for name in names)),
    )  # fmt: skip
