"""Everything that operators have asked of one face, as one value: it outlives the process that renders."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from realtime.control.layers import ANGLES, ChannelLayer, ExpressionLayer, EyeLayer, Pose
from realtime.control.limits import Motion
from realtime.control.style import StyleLayer
from realtime.control.tickets import Tickets
from realtime.control.tween import Tween, resting
from realtime.drive.mixer import SourceLayer
from realtime.face import features as ft
from realtime.gestures.queue import PlayingGesture
from realtime.protocol.directives import CHANNELS, DEFAULT_TARGETS, Target


@dataclass(frozen=True)
class Shown:
    """A face that was shown."""

    features: ft.Features  # [109]
    pose: Pose  # [6]
    blinking: ft.Features = field(
        default_factory=lambda: np.zeros(2, np.float32)
    )  # [2] lids as they were by themselves

    def with_lids(self, lids: ft.Features) -> "Shown":
        """The same with other lids `[2]`."""
        features = self.features.copy()
        features[ft.LIDS] = lids
        return replace(self, features=features)


@dataclass(frozen=True)
class ControlState:
    """A value: merging makes a new one, pickling carries it to a renderer that is started again."""

    tickets: Tickets = field(default_factory=Tickets)
    channels: Mapping[str, ChannelLayer] = field(default_factory=lambda: dict.fromkeys(CHANNELS, ChannelLayer()))
    head_fixed: bool = False
    own_head: Tween = resting(1.0)  # how much of its own motion the head has; 0 while it is fixed
    eyes: EyeLayer = EyeLayer()
    look: str | None = None  # the target that is looked at
    scene: str = "default"
    scenes: Mapping[str, Mapping[str, Target]] = field(default_factory=lambda: {"default": DEFAULT_TARGETS})
    expression: ExpressionLayer = field(default_factory=ExpressionLayer)
    gestures: tuple[PlayingGesture, ...] = ()
    style: StyleLayer = field(default_factory=StyleLayer)
    blinks_per_minute: float = 15.0
    blinked: int | None = None  # the first frame of the last blink that was asked for
    frozen: bool = False
    live: Tween = resting(1.0)  # 0 while frozen, eases back to 1
    still: Shown | None = None  # what a freeze holds
    drive: Mapping[str, SourceLayer] = field(default_factory=dict)  # what was mixed in later lies on top
    last: Shown | None = None
    motion: Mapping[str, Motion] = field(default_factory=dict)  # how each channel moves

    @property
    def targets(self) -> Mapping[str, Target]:
        """What can be looked at in the current scene."""
        return self.scenes[self.scene]

    def own_share(self, frame: int) -> np.ndarray:
        """How much is seen of how the head turns by itself, `[3]`: the eyes make up for that much."""
        share = np.full(3, self.own_head.at(frame) * self.style.moving["head"].at(frame), np.float32)
        for layer in self.drive.values():
            share *= 1 - layer.presence.at(frame) * layer.weights["pose"].at(frame)
        for channel, axis in ANGLES.items():
            share[axis] *= 1 - self.channels[channel].weight.at(frame)
        return share

    def framing(self) -> np.ndarray:
        """Where the picture is now: x, y and the logarithm of the zoom, `[3]`."""
        return np.zeros(3) if self.last is None else self.last.pose[3:]
