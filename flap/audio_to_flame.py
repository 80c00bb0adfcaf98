"""Causal audio-to-FLAME network: features to jaw and mouth, a chunk at a time, with explicit state."""

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from flap.audio_features import FEATURES
from flap.speech import HOPS_PER_FRAME, OUTPUTS

KERNEL = 5


class AudioToFlame(ModelMixin, ConfigMixin):
    """Two causal convolutions at 10 ms, one GRU at 40 ms, weights of ARKit shapes in 0..1.

    The output of a frame belongs to the sound `LOOKAHEAD_FRAMES` frames earlier.
    """

    @register_to_config
    def __init__(self, width: int = 96, hidden: int = 160):
        super().__init__()
        self.conv1 = nn.Conv1d(FEATURES, width, KERNEL)
        self.conv2 = nn.Conv1d(width, width, KERNEL)
        self.pool = nn.Conv1d(width, hidden, HOPS_PER_FRAME, HOPS_PER_FRAME)
        self.gru = nn.GRU(hidden, hidden, batch_first=True)
        self.out = nn.Linear(hidden, len(OUTPUTS))
        self.register_buffer("gain", torch.ones(len(OUTPUTS)))  # set after training, see `match_spread` there

    def init_state(self, batch: int) -> tuple[Tensor, Tensor, Tensor]:
        """Zeros: tails of both convolutions [b, c, 4] and the GRU's hidden state [1, b, h]."""
        width, hidden = self.config.width, self.config.hidden
        return (
            torch.zeros(batch, FEATURES, KERNEL - 1),
            torch.zeros(batch, width, KERNEL - 1),
            torch.zeros(1, batch, hidden),
        )

    def forward(
        self, features: Tensor, tail1: Tensor, tail2: Tensor, hidden: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Features [b, 4 k, 41] to weights [b, k, outputs] and the next state."""
        x = torch.cat([tail1, features.transpose(1, 2)], 2)
        h = torch.cat([tail2, F.relu(self.conv1(x))], 2)
        pooled = F.relu(self.pool(F.relu(self.conv2(h))))
        sequence, hidden = self.gru(pooled.transpose(1, 2), hidden)
        weights = (torch.sigmoid(self.out(sequence)) * self.gain).clamp(max=1)
        return weights, x[:, :, -(KERNEL - 1) :], h[:, :, -(KERNEL - 1) :], hidden
