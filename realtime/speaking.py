"""What a session speaks instead of its microphone: files and streams, and whoever sends them and hears how far they are."""

from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from flap.config import CHUNK_FRAMES, FRAME_RATE_HZ, MEDIA_CHUNK_SAMPLES, MEDIA_RATE_HZ
from realtime.errors import Unavailable
from realtime.media.playout import Playout
from realtime.protocol.events import Draining, Ended, Speech
from realtime.sound.speech import SpeechClip, SpeechEvent, SpeechQueue

LONGEST_DELAY_FRAMES = 10 * FRAME_RATE_HZ  # what was taken longer ago has left
MAX_LINES = 4


class Line(Protocol):
    """A channel on which somebody sends speech."""

    def tell(self, message: Draining | Ended | Speech) -> None: ...
    def close(self) -> None: ...


class Speaking:
    """Owns the queue and the channels that fill it."""

    def __init__(self, playout: Playout, tell_operators: Callable[[Speech], None]):
        self._playout, self._tell_operators = playout, tell_operators
        self._queue, self._lines = SpeechQueue(), list[Line]()
        self.stops = 0  # so often it was interrupted: what was read meanwhile is not spoken
        self._spoken: frozenset[int] = frozenset()  # of the last frames those whose sound was a file's or a stream's

    @property
    def is_used(self) -> bool:
        return bool(self._lines)

    @property
    def has_speech(self) -> bool:
        """Whether a file or a stream speaks, or waits to."""
        return not self._queue.is_empty

    def say(self, clip: SpeechClip) -> float:
        """Puts a clip in line; returns in how many seconds it begins. Raises TooMany."""
        waiting_s = self._queue.waiting_s
        self._queue.put(clip)
        return waiting_s + self._playout.clock.delay_s

    def say_more(self, clip: SpeechClip, samples: NDArray[np.int16]) -> None:
        """Adds to a clip in line. Raises TooMany."""
        self._queue.add(clip, samples)

    def take(self, first_frame: int) -> NDArray[np.int16] | None:
        """The sound of the chunk of `first_frame`; None when nothing is spoken."""
        samples, events = self._queue.take(MEDIA_CHUNK_SAMPLES)
        if samples is not None:
            lately = {frame for frame in self._spoken if frame > first_frame - LONGEST_DELAY_FRAMES}
            self._spoken = frozenset(lately | set(range(first_frame, first_frame + CHUNK_FRAMES)))
        self._tell_events(events, first_frame)
        return samples

    def stop(self, next_frame: int) -> None:
        """Interrupts files and streams. What of them has not left yet is not heard; the microphone is heard again at once."""
        self.stops += 1
        unheard = self._playout.hush(self._spoken)
        self._tell_events(self._queue.stop(), next_frame, unheard)

    def join(self, line: Line, farewell: Draining | None) -> None:
        """Raises Unavailable."""
        if len(self._lines) >= MAX_LINES:
            raise Unavailable(f"this session has its {MAX_LINES} speech channels already")
        self._lines.append(line)
        if farewell:
            line.tell(farewell)

    def leave(self, line: Line) -> None:
        self._lines.remove(line)

    def tell(self, message: Draining | Ended | Speech) -> None:
        for line in self._lines:
            line.tell(message)

    def close(self) -> None:
        for line in self._lines:
            line.close()

    def _tell_events(self, events: Iterable[SpeechEvent], frame: int, unheard: int = 0) -> None:
        for event in events:
            spoken_ms = 1000 * max(event.spoken - unheard, 0) / MEDIA_RATE_HZ
            message = Speech(event.clip_id, event.what, frame, round(spoken_ms))
            self._tell_operators(message)
            self.tell(message)
