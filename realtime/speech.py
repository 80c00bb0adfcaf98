"""Speech that is no microphone's: files, of a text-to-speech say, spoken one after the other."""

from collections import deque
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from flap.config import MEDIA_RATE_HZ
from realtime.errors import TooMany

MAX_CLIPS = 32
MAX_WAITING_S = 900  # 86 MB of samples
FADE_SAMPLES = MEDIA_RATE_HZ // 100  # an interrupted clip ends in 10 ms, without a click


@dataclass(frozen=True)
class SpeechClip:
    id: str
    samples: NDArray[np.int16]  # [n] at 48 kHz

    @property
    def seconds(self) -> float:
        return len(self.samples) / MEDIA_RATE_HZ


@dataclass(frozen=True)
class SpeechEvent:
    """`what` has happened to a clip: `started`, `ended` or `interrupted`."""

    clip_id: str
    what: Literal["started", "ended", "interrupted"]


class SpeechQueue:
    """Clips in the order in which they came; when it is full, new ones are refused."""

    def __init__(self) -> None:
        self._clips: deque[SpeechClip] = deque()
        self._at = 0  # samples of the first clip that have been taken
        self._stopping = False

    @property
    def waiting_s(self) -> float:
        """How long everything in line will take."""
        return sum(clip.seconds for clip in self._clips) - self._at / MEDIA_RATE_HZ

    def put(self, clip: SpeechClip) -> None:
        """Raises TooMany when MAX_CLIPS or MAX_WAITING_S wait already."""
        if self.waiting_s + clip.seconds > MAX_WAITING_S:
            raise TooMany(f"{MAX_WAITING_S} s of speech at most may wait: send this later, or send speech.stop")
        if len(self._clips) >= MAX_CLIPS:
            raise TooMany(f"{MAX_CLIPS} clips wait to be spoken: wait for some to end, or send speech.stop")
        self._clips.append(clip)

    def stop(self) -> None:
        """The clip that is being spoken ends with the next `take`; the others are never begun."""
        self._stopping = bool(self._clips)

    def take(self, count: int) -> tuple[NDArray[np.int16] | None, list[SpeechEvent]]:
        """The next `count` samples, None when nobody speaks, and what began or ended within them."""
        if not self._clips:
            return None, []
        out, events, filled = np.zeros(count, np.int16), [], 0
        while self._clips and filled < count and not self._stopping:
            clip = self._clips[0]
            if self._at == 0:
                events.append(SpeechEvent(clip.id, "started"))
            piece = clip.samples[self._at : self._at + count - filled]
            out[filled : filled + len(piece)] = piece
            filled, self._at = filled + len(piece), self._at + len(piece)
            if self._at >= len(clip.samples):
                events.append(SpeechEvent(clip.id, "ended"))
                self._next()
        if self._stopping:
            events += self._interrupt(out)
        return out, events

    def _interrupt(self, out: NDArray[np.int16]) -> list[SpeechEvent]:
        tail = self._clips[0].samples[self._at : self._at + FADE_SAMPLES] if self._at else np.zeros(0, np.int16)
        out[: len(tail)] = (tail * np.linspace(1, 0, len(tail))).astype(np.int16)
        events = [SpeechEvent(clip.id, "interrupted") for clip in self._clips]
        self._clips.clear()
        self._at, self._stopping = 0, False
        return events

    def _next(self) -> None:
        self._clips.popleft()
        self._at = 0
