"""Faces as commands direct them, merged one frame at a time as the render process does.

Scripts number every second frame: what they give at step 3 takes effect at frame 6.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flap import coefficients as co
from realtime.control.commands import Command
from realtime.control.layers import ANGLES, LIMITS
from realtime.control.merge import merge
from realtime.control.state import ControlState
from realtime.control.tickets import Event
from realtime.gestures.motion import Added
from realtime.protocol import messages as m

STEP_FRAMES = 2
TALKING = co.from_arkit({"jawOpen": 0.5, "mouthFunnel": 0.3}, co.rotation_from_degrees(3, -2, 1))


@dataclass(frozen=True)
class Directed:
    """What became of some frames, the state after the last one, and what happened."""

    faces: co.Array  # [frames, 120]
    framing: NDArray[np.float64]  # [frames, 3]
    added: Added  # [frames, 115]
    state: ControlState
    events: list[Event]


def direct(
    faces: co.Array, commands: Mapping[int, Iterable[Command]], state: ControlState | None = None, first_frame: int = 0
) -> Directed:
    """`faces` `[n, 120]` of frames `first_frame`.. with the commands of each frame."""
    state, merged = state or ControlState(), []
    for frame, face in enumerate(faces, first_frame):
        of_frame, state = merge(face[np.newaxis], tuple(commands.get(frame, ())), state, frame)
        merged.append(of_frame)
    return Directed(
        np.concatenate([of_frame.faces for of_frame in merged]),
        np.concatenate([of_frame.framing for of_frame in merged]),
        np.concatenate([of_frame.added for of_frame in merged]),
        state,
        [event for of_frame in merged for event in of_frame.events],
    )


def still(steps: int, face: co.Array = TALKING) -> co.Array:
    """A face that does not move by itself `[2 * steps, 120]`."""
    return np.tile(face, (STEP_FRAMES * steps, 1))


def by_frame(script: Mapping[int, Iterable[Command]]) -> dict[int, Iterable[Command]]:
    """The commands of a script at their frames."""
    return {STEP_FRAMES * step: commands for step, commands in script.items()}


def commanded(script: Mapping[int, Iterable[m.Directive]]) -> dict[int, Iterable[Command]]:
    """The messages of a script as commands, at their frames."""
    return by_frame({step: [Command(directive) for directive in asked] for step, asked in script.items()})


def play(
    script: Mapping[int, Iterable[m.Directive]],
    steps: int,
    state: ControlState | None = None,
    face: co.Array = TALKING,
) -> tuple[co.Array, ControlState, list[Event]]:
    """Faces `[2 * steps, 120]` of a still face that is given messages, the state at the end, and what happened."""
    directed = direct(still(steps, face), commanded(script), state)
    return directed.faces, directed.state, directed.events


def degrees(faces: co.Array, axis: int) -> NDArray[np.floating]:
    return np.rad2deg(faces[:, axis])


def assert_within_limits(faces: co.Array) -> None:
    for channel, axis in ANGLES.items():
        limits = LIMITS[channel]
        steps = np.diff(faces[:, axis].astype(np.float64))
        assert np.abs(steps).max() <= limits.velocity + 1e-6
        assert np.abs(np.diff(steps)).max() <= limits.acceleration + 1e-6
