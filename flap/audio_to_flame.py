"""Causal audio-to-FLAME network: features to jaw and mouth, a chunk at a time, with explicit state."""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from flap.audio_features import FEATURES
from flap.speech import HOPS_PER_FRAME, OUTPUTS

KERNEL = 5
DILATIONS = (1, 2, 4)
CLOSED = 2  # lips together; lower lip at the teeth


class AudioToFlame(ModelMixin, ConfigMixin):
    """Three causal convolutions at 10 ms, one GRU at 40 ms, weights of ARKit shapes in 0..1.

    The output of a frame belongs to the sound `LOOKAHEAD_FRAMES` frames earlier. Whether the lips are shut is decided by
    outputs of their own, which then take the place of what the other shapes say: a mean of open and shut is neither.
    """

    @register_to_config
    def __init__(self, width: int = 160, hidden: int = 320, mouths: int = 20, dropout: float = 0.0):
        super().__init__()
        channels = (FEATURES, *(width for _ in DILATIONS))
        self.convolutions = nn.ModuleList(
            nn.Conv1d(channels[i], width, KERNEL, dilation=dilation) for i, dilation in enumerate(DILATIONS)
        )
        self.pool = nn.Conv1d(width, hidden, HOPS_PER_FRAME, HOPS_PER_FRAME)
        self.gru = nn.GRU(hidden, hidden, batch_first=True)
        self.forget = nn.Dropout(dropout)
        self.out = nn.Linear(hidden, len(OUTPUTS))
        self.shut = nn.Linear(hidden, CLOSED)
        self.which_mouth = nn.Linear(hidden, mouths)  # which mouth it is: asked in training only
        # gain and shut_bias are set after training: calibrate in training/train_audio_to_flame.py
        self.register_buffer("gain", torch.ones(len(OUTPUTS)))
        self.register_buffer("shut_bias", torch.zeros(CLOSED))
        self.register_buffer("closed_shapes", torch.zeros(CLOSED, len(OUTPUTS)))

    def init_state(self, batch: int) -> tuple[Tensor, ...]:
        """Zeros: the tail of each convolution [b, c, 4 d] and the GRU's hidden state [1, b, h]."""
        channels = (FEATURES, *(self.config.width for _ in DILATIONS))
        tails = (torch.zeros(batch, c, (KERNEL - 1) * d) for c, d in zip(channels, DILATIONS, strict=False))
        return (*tails, torch.zeros(1, batch, self.config.hidden))

    def encode(self, features: Tensor, state: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Features [b, 4 k, 41] to what is known of each frame [b, k, h], and the next state."""
        h, following = features.transpose(1, 2), []
        for convolution, tail in zip(self.convolutions, state, strict=False):
            seen = torch.cat([tail, h], 2)
            following.append(seen[:, :, seen.shape[2] - tail.shape[2] :])
            made = F.relu(convolution(seen))
            h = made + h if made.shape == h.shape else made
        known, hidden = self.gru(self.forget(F.relu(self.pool(h)).transpose(1, 2)), state[-1])
        return self.forget(known), [*following, hidden]

    def say(self, known: Tensor) -> tuple[Tensor, Tensor]:
        """[b, k, h] to weights [b, k, outputs] of a mouth that is not shut, and how surely it is [b, k, 2], as logits."""
        return torch.sigmoid(self.out(known)) * self.gain, self.shut(known) + self.shut_bias

    def weights(self, known: Tensor) -> Tensor:
        """[b, k, h] to weights [b, k, outputs] in 0..1."""
        return close(*self.say(known), self.closed_shapes)

    def forward(self, features: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Features [b, 4 k, 41] to weights [b, k, outputs] and the next state."""
        known, following = self.encode(features, state)
        return (self.weights(known), *following)


class AudioToFlameMean(ModelMixin, ConfigMixin):
    """Networks that were trained apart, and the mean of what they say: what one of them makes up the others do not.

    State and answer are as `AudioToFlame` has them, one member's state after the other's.
    """

    @register_to_config
    def __init__(self, widths: Sequence[int] = (160, 160), mouths: int = 20):
        super().__init__()
        self.members = nn.ModuleList(AudioToFlame(width, 2 * width, mouths) for width in widths)

    @property
    def closed_shapes(self) -> Tensor:
        return self.members[0].closed_shapes

    def init_state(self, batch: int) -> tuple[Tensor, ...]:
        return tuple(tensor for member in self.members for tensor in member.init_state(batch))

    def forward(self, features: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        weights, shut, following = [], [], []
        each = len(state) // len(self.members)
        for i, member in enumerate(self.members):
            known, then = member.encode(features, state[i * each : (i + 1) * each])
            said = member.say(known)
            weights.append(said[0])
            shut.append(said[1])
            following += then
        return (close(torch.stack(weights).mean(0), torch.stack(shut).mean(0), self.closed_shapes), *following)


def close(weights: Tensor, shut: Tensor, shapes: Tensor) -> Tensor:
    """`weights` [b, k, outputs] where `shut` [b, k, 2], as logits, does not put `shapes` [2, outputs] in their place; in 0..1."""
    weights, shut = weights.clamp(max=1), torch.sigmoid(shut)
    for i in range(CLOSED):
        amount = shut[..., i : i + 1]
        weights = weights * (1 - amount) + shapes[i] * amount
    return weights


def load(folder: Path) -> AudioToFlame | AudioToFlameMean:
    """Whichever a folder holds. Raises OSError."""
    kinds = {kind.__name__: kind for kind in (AudioToFlame, AudioToFlameMean)}
    kind = kinds.get(AudioToFlame.load_config(folder).get("_class_name", ""), AudioToFlame)
    return kind.from_pretrained(folder)
