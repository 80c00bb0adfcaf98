"""What operators are told of a session: its state as a whole, and what the face does now."""

import numpy as np

from flap import coefficients as co
from realtime.control.layers import Pose, to_outer
from realtime.control.state import ControlState
from realtime.face import features as ft
from realtime.protocol.directives import CHANNELS, Target
from realtime.protocol.events import DrivingSource, Face, PlayingGesture, Style


def control_view(control: ControlState) -> dict[str, object]:
    """The fields of `State` that say what operators have put on the face."""
    layers = control.channels
    return {
        "frozen": control.frozen,
        "pose": {channel: layers[channel].target for channel in CHANNELS},
        "expression": control.expression.targets,
        "blinks_per_minute": control.blinks_per_minute,
        "head_fixed": control.head_fixed,
        "overlaid": tuple(c for c in CHANNELS if layers[c].target is not None and layers[c].overlaid),
        "look": control.look,
        "gaze": Target(*control.eyes.target_deg) if control.eyes.target_deg else None,
        "scene": control.scene,
        "scenes": tuple(control.scenes),
        "targets": dict(control.targets),
        "expression_name": control.expression.name,
        "keep": control.expression.keep,
        "gestures": tuple(
            PlayingGesture(g.ticket.id, g.ticket.operator, g.name, g.playing) for g in control.gestures if not g.leaving
        ),
        "style": Style(control.style.name, **control.style.gains),
        "sources": tuple(
            DrivingSource(source, layer.tracking, layer.groups, layer.neutral is not None)
            for source, layer in control.drive.items()
        ),
    }


def face_view(frame: int, features: ft.Features, pose: Pose) -> Face:
    """A face `[109]` in a pose `[6]`, as it is shown at `frame`."""
    shapes = co.to_arkit(ft.to_face(features, np.zeros(3, np.float32)))
    return Face(
        frame,
        {channel: round(to_outer(channel, float(v)), 3) for channel, v in zip(CHANNELS, pose, strict=True)},
        {name: round(weight, 3) for name, weight in shapes.items() if weight > 0.01},
        Target(*(round(angle, 2) for angle in ft.to_gaze_deg(features))),
    )
