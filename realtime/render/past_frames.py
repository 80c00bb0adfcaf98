"""Keys and values of a stream's past frames, kept so that a new chunk is written beside them and nothing is shifted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flap.config import CHUNK_FRAMES, CONTEXT_FRAMES

Floats = NDArray[np.float32]
Empty = Callable[[tuple[int, ...], str], Floats]
ROOM_FRAMES = 16 * CHUNK_FRAMES  # one window is copied to the front in sixteen chunks


class _Strip:
    """Arrays `[1, context + room, ...]` that the states of one stream share; frames before `end` are written."""

    def __init__(self, window: Mapping[str, Floats], empty: Empty):
        self.arrays: dict[str, Floats] = {}
        for name, frames in window.items():
            self.arrays[name] = empty((1, CONTEXT_FRAMES + ROOM_FRAMES, *frames.shape[2:]), "float32")
            self.arrays[name][:, :CONTEXT_FRAMES] = frames
        self.end, self.empty = CONTEXT_FRAMES, empty


@dataclass(frozen=True)
class PastFrames:
    """The window of CONTEXT_FRAMES frames that ends at `end` of the strip; `held` of them are real, the others zeros."""

    strip: _Strip
    end: int
    held: int

    @staticmethod
    def none(shapes: Mapping[str, tuple[int, ...]], empty: Empty = np.empty) -> "PastFrames":
        """Before the first frame; `shapes` are `[1, context, ...]` by name, `empty` is the engine's that reads them."""
        strip = _Strip({name: np.zeros(shape, np.float32) for name, shape in shapes.items()}, empty)
        return PastFrames(strip, strip.end, 0)

    def window(self) -> dict[str, Floats]:
        """Views `[1, context, ...]`, oldest frame first."""
        return {name: frames[:, self.end - CONTEXT_FRAMES : self.end] for name, frames in self.strip.arrays.items()}

    def mask(self) -> Floats:
        """`[1, context]`, 1 where a past frame stands."""
        return (np.arange(CONTEXT_FRAMES) >= CONTEXT_FRAMES - self.held).astype(np.float32)[None]

    def extended(self) -> tuple[dict[str, Floats], "PastFrames"]:
        """Where the next chunk `[1, chunk, ...]` is to be written, by name, and the window that will end with it.

        A window that was extended before gets a strip of its own, so that both futures stay whole.
        """
        strip, end = self.strip, self.end
        if strip.end != end or end == CONTEXT_FRAMES + ROOM_FRAMES:
            strip = _Strip(self.window(), strip.empty)
            end = strip.end
        strip.end = end + CHUNK_FRAMES
        room = {name: frames[:, end : strip.end] for name, frames in strip.arrays.items()}
        return room, PastFrames(strip, strip.end, min(CONTEXT_FRAMES, self.held + CHUNK_FRAMES))
