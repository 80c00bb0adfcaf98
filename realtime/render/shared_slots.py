"""Memory that both processes see: a slot a session, for a chunk of sound one way and the pictures of a few the other."""

import math
import mmap
import os
import tempfile

import numpy as np
from numpy.typing import NDArray

from flap.config import CHUNK_FRAMES, FINE_SIZE, MEDIA_CHUNK_SAMPLES

SOUND_BYTES = MEDIA_CHUNK_SAMPLES * 2
PLACES = 2  # chunks of a session that are drawn or fetched at the same time
PLACE_BYTES = CHUNK_FRAMES * FINE_SIZE * FINE_SIZE * 3  # smaller pictures leave the rest untouched: it takes no memory
SLOT_BYTES = SOUND_BYTES + PLACES * PLACE_BYTES


def create_memory(slots: int) -> int:
    """A file descriptor of zeroed memory without a name, so that nothing is left behind however the processes end."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("flap-slots")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, slots * SLOT_BYTES)
    return descriptor


class SharedSlots:
    """One process's view. Whose turn it is to read or write follows from the messages.

    Sound is that of the one request that is not answered yet; a place of pictures is that of the chunk which is being drawn there,
    until its pictures are fetched.
    """

    def __init__(self, descriptor: int):
        """Closes the descriptor, which the view does not need any more."""
        self._memory = np.frombuffer(mmap.mmap(descriptor, 0), np.uint8).reshape(-1, SLOT_BYTES)
        os.close(descriptor)

    def sound(self, slot: int) -> NDArray[np.int16]:
        """`[1920]` at 48 kHz, to be read or written in place."""
        return self._memory[slot, :SOUND_BYTES].view(np.int16)

    def pictures(self, slot: int, place: int, size: int) -> NDArray[np.uint8]:
        """RGB `[1, size, size, 3]`, to be read or written in place."""
        shape, begin = (CHUNK_FRAMES, size, size, 3), SOUND_BYTES + place * PLACE_BYTES
        return self._memory[slot, begin : begin + math.prod(shape)].reshape(shape)
