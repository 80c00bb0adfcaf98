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

    def forward(self, features: Tensor, tail1: Tensor, tail2: Tensor, hidden: Tensor) -> tuple[Tensor, ...]:
        return self.network(features, tail1, tail2, hidden)


def audio_graph(network: AudioToFlame) -> GraphSpec:
    """`audio_to_flame` with example inputs of the shipped shapes."""
    features = torch.randn(1, CHUNK_FRAMES * HOPS_PER_FRAME, FEATURES)
    tail1, tail2, hidden = (torch.randn_like(part) for part in network.init_state(1))
    return GraphSpec(
        "audio_to_flame", AudioStep(network.eval()), {"features": features, "tail1": tail1, "tail2": tail2, "hidden": hidden},
        ("weights", "next_tail1", "next_tail2", "next_hidden"),
    )  # fmt: skip
