"""A gesture that is being recorded at the desk: what operators and driving sources add to the face, chunk by chunk."""

import numpy as np

from realtime.errors import Conflict
from realtime.gestures.motion import MAX_FRAMES, SIZE, Added


class GestureTake:
    """What comes after `MAX_FRAMES` is left out."""

    def __init__(self) -> None:
        self._recorded: list[Added] | None = None

    @property
    def on(self) -> bool:
        return self._recorded is not None

    def begin(self) -> None:
        """Raises Conflict."""
        if self.on:
            raise Conflict("a gesture is being recorded already")
        self._recorded = []

    def add(self, added: Added) -> None:
        """A chunk `[1, 115]`; nothing unless a gesture is being recorded."""
        if self._recorded is not None and sum(map(len, self._recorded)) < MAX_FRAMES:
            self._recorded.append(added)

    def end(self) -> Added:
        """What was recorded `[n, 115]`, one frame at rest if nothing was. Raises Conflict."""
        if self._recorded is None:
            raise Conflict("no gesture is being recorded")
        recorded, self._recorded = self._recorded, None
        return np.concatenate(recorded or [np.zeros((1, SIZE), np.float32)])
