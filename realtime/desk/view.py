"""What operators are told of a session: its state as a whole, and what the face does now."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from flap import coefficients as co
from realtime.control.layers import Pose, to_outer
from realtime.control.on_air import OnAir
from realtime.control.state import ControlState
from realtime.desk.operators import Operators
from realtime.desk.show import Show
from realtime.face import features as ft
from realtime.gestures.builtin import GESTURES
from realtime.gestures.library import GestureLibrary
from realtime.protocol.directives import CHANNELS, NAMED_EXPRESSIONS, SOURCES, STYLES, Target
from realtime.protocol.events import Catalog, DrivingSource, Face, GestureInfo, PlayingGesture, State, Style


def catalog_view(presenters: Iterable[str], gestures: GestureLibrary) -> Catalog:
    own = gestures.gestures
    infos = tuple(
        GestureInfo(name, 1000 * curve.duration_s, name in own) for name, curve in {**GESTURES, **own}.items()
    )
    return Catalog(tuple(presenters), infos, tuple(NAMED_EXPRESSIONS), STYLES, SOURCES, gestures.problems)


def state_view(show: Show, on_air: OnAir, control: ControlState, operators: Operators, *, recording: bool) -> State:
    """Everything, as an operator is to know it."""
    return State(
        session=show.id,
        presenter=on_air.presenter_id,
        frame=show.frame,
        host_connected=show.host_connected,
        viewers=show.viewers,
        muted=on_air.muted,
        standby=on_air.standby,
        overlay=on_air.overlay.text if on_air.overlay else None,
        obs_scene=show.obs.scenes.current if show.obs else on_air.obs_scene,
        obs_scenes=show.obs.scenes.names if show.obs else (),
        recording_gesture=recording,
        speech=show.has_speech,
        operators=tuple(operator.info for operator in operators),
        lock=operators.lock,
        **_of_face(control),
    )


def _of_face(control: ControlState) -> dict[str, Any]:
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
        "expression_passes": _passes(control, "expression"),
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


def _passes(control: ControlState, place: str) -> bool:
    holder = control.tickets.holders.get(place)
    return holder is not None and holder.until_frame is not None


def face_view(frame: int, features: ft.Features, pose: Pose) -> Face:
    """A face `[109]` in a pose `[6]`, as it is shown at `frame`."""
    shapes = co.to_arkit(ft.to_face(features, np.zeros(3, np.float32)))
    return Face(
        frame,
        {channel: round(to_outer(channel, float(v)), 3) for channel, v in zip(CHANNELS, pose, strict=True)},
        {name: round(weight, 3) for name, weight in shapes.items() if weight > 0.01},
        Target(*(round(angle, 2) for angle in ft.to_gaze_deg(features))),
    )
