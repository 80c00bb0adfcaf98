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
        # gain and what is added to `shut` are set after training: calibrate in training/train_audio_to_flame.py
        self.register_buffer("gain", torch.ones(len(OUTPUTS)))
        self.register_buffer("shut_weight", torch.zeros(CLOSED, hidden))
        self.register_buffer("shut_bias", torch.zeros(CLOSED))
        self.register_buffer("closed_shapes", torch.zeros(CLOSED, len(OUTPUTS)))

    def init_state(self, batch: int) -> tuple[Tensor, ...]:
        """Zeros: the tail of each convolution [b, 4 d, c] and the GRU's hidden state [1, b, h]."""
        channels = (FEATURES, *(self.config.width for _ in DILATIONS))
        tails = (torch.zeros(batch, (KERNEL - 1) * d, c) for c, d in zip(channels, DILATIONS, strict=False))
        return (*tails, torch.zeros(1, batch, self.config.hidden))

    def encode(self, features: Tensor, state: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Features [b, 4 k, 41] to what is known of each frame [b, k, h], and the next state."""
        h, following = features, []
        for convolution, dilation, tail in zip(self.convolutions, DILATIONS, state, strict=False):
            seen = torch.cat([tail, h], 1)
            following.append(seen[:, seen.shape[1] - tail.shape[1] :])
            made = F.relu(_convolved(convolution, _taps(seen, h.shape[1], dilation)))
            h = made + h if made.shape == h.shape else made
        pooled = _convolved(self.pool, h.reshape(h.shape[0], -1, HOPS_PER_FRAME * h.shape[2]))
        known, hidden = self.gru(self.forget(F.relu(pooled)), state[-1])
        return self.forget(known), [*following, hidden]

    def weights(self, known: Tensor) -> Tensor:
        """[b, k, h] to weights [b, k, outputs] in 0..1: those of an open mouth where the lips are not shut."""
        open_ = torch.sigmoid(self.out(known)) * self.gain
        shut = F.linear(known, self.shut.weight + self.shut_weight, self.shut.bias + self.shut_bias)
        return close(open_, shut, self.closed_shapes)

    def forward(self, features: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Features [b, 4 k, 41] to weights [b, k, outputs] and the next state."""
        known, following = self.encode(features, state)
        return (self.weights(known), *following)


def _taps(seen: Tensor, steps: int, dilation: int) -> Tensor:
    """Of each of the last `steps` in `seen` [b, t, c] what a convolution sees there: [b, steps, kernel * c]."""
    places = torch.arange(steps)[:, None] + dilation * torch.arange(KERNEL)
    return seen.index_select(1, places.flatten()).reshape(len(seen), steps, -1)


def _convolved(convolution: nn.Conv1d, taps: Tensor) -> Tensor:
    """What `convolution` makes of its taps [b, t, kernel * channels], as one product: it has few steps and many channels,
    and ONNX Runtime's convolution is made for the opposite."""
    return F.linear(taps, convolution.weight.transpose(1, 2).flatten(1), convolution.bias)


def close(weights: Tensor, shut: Tensor, shapes: Tensor) -> Tensor:
    """`weights` [b, k, outputs] where `shut` [b, k, 2], as logits, does not put `shapes` [2, outputs] in their place; in 0..1."""
    weights, shut = weights.clamp(max=1), torch.sigmoid(shut)
    for i in range(CLOSED):
        amount = shut[..., i : i + 1]
        weights = weights * (1 - amount) + shapes[i] * amount
    return weights


def load(folder: Path) -> AudioToFlame:
    """The network of a folder. Raises OSError without one, and for another kind, in whose place diffusers would begin anew."""
    kind = AudioToFlame.load_config(folder).get("_class_name")
    if kind != AudioToFlame.__name__:
        raise OSError(
            f"{folder} holds a network of the kind {kind}, no AudioToFlame: take the one of bundles/checkpoints"
        )
    return AudioToFlame.from_pretrained(folder)
