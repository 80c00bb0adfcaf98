"""An uploaded clip or picture as a driving source: one face a picture of the session's clock."""

from contextlib import suppress
from typing import Protocol

import numpy as np

from flap import coefficients as co
from flap.config import CHUNK_FRAMES
from realtime.control.tween import minimum_jerk
from realtime.errors import Conflict
from realtime.protocol.directives import MAX_SEEN_DEG, DriveFrame

SOURCE = "clip"
SENDER = "uploaded clip"
LEAST_WEIGHT = 0.005
SEAM_FRAMES = 10  # in which the beginning of a clip comes from the face before it, another clip's or its own last one


class ClipPlayer:
    """Plays faces `[n, 120]` once, again and again (`loop`), or, when there is only one, shows it until it is taken away.

    It begins smoothly after the face `before` (`[120]`), and each time again, within a third of its length at most.
    """

    def __init__(self, faces: co.Array, loop: bool = False, before: co.Array | None = None):
        self._faces, self._loop, self._at = co.check(faces), loop or len(faces) == 1, 0
        self._leaving, self._since, self._seam = before, 0, SEAM_FRAMES
        self.shown = before  # the last face that was taken

    @property
    def over(self) -> bool:
        return self._at > len(self._faces)

    def take(self) -> DriveFrame:
        """The next face; after the last one the message that there is none any more."""
        if self._at >= len(self._faces) and self._loop:
            self._at = 0
            if seam := min(SEAM_FRAMES, len(self._faces) // 3):
                self._leaving, self._since, self._seam = self.shown, 0, seam
        self._at += 1
        if self._at > len(self._faces):
            return gone()
        self.shown = self._led_over(self._faces[self._at - 1])
        return frame_of(self.shown)

    def _led_over(self, face: co.Array) -> co.Array:
        if self._leaving is None:
            return face
        self._since += 1
        leaving, way = self._leaving, minimum_jerk(self._since / (self._seam + 1))
        if self._since == self._seam:
            self._leaving = None
        return (leaving + (face - leaving) * np.float32(way)).astype(np.float32)


class Drive(Protocol):
    def __call__(self, frame: DriveFrame, sender: str, hearing_frame: int | None = None) -> None: ...


class ClipDrive:
    """The clip that drives a session, if there is one; faces go to `drive`."""

    def __init__(self, drive: Drive):
        self._drive = drive
        self._player: ClipPlayer | None = None

    def play(self, faces: co.Array, loop: bool) -> None:
        """Drives with faces `[n, 120]` from the next chunk on, instead of with those of the clip before."""
        self._player = ClipPlayer(faces, loop, self._player.shown if self._player else None)

    def stop(self) -> bool:
        """Whether there was one."""
        had, self._player = self._player is not None, None
        if had:
            self._drive(gone(), SENDER)
        return had

    def advance(self, first_frame: int) -> None:
        """By the chunk of `first_frame`."""
        for frame in range(first_frame, first_frame + CHUNK_FRAMES):
            if self._player:
                with suppress(Conflict):  # an operator sends frames of a clip of their own
                    self._drive(self._player.take(), SENDER, frame)
            if self._player and self._player.over:
                self._player = None


def gone() -> DriveFrame:
    return DriveFrame(SOURCE, SOURCE, tracked=False)


def frame_of(face: co.Array) -> DriveFrame:
    """Coefficients `[120]` as what a source sees."""
    shapes = {name: min(weight, 1.0) for name, weight in co.to_arkit(face).items() if weight > LEAST_WEIGHT}
    angles = np.clip(np.rad2deg(face[co.ROTATION].astype(np.float64)), -MAX_SEEN_DEG, MAX_SEEN_DEG)
    return DriveFrame(SOURCE, SOURCE, shapes, float(angles[co.YAW]), float(angles[co.PITCH]), float(angles[co.ROLL]))
