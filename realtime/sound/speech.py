"""Speech that is no microphone's: files and streams, of a text-to-speech say, spoken one after the other."""

from collections import deque
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from flap.config import MEDIA_CHUNK_SAMPLES, MEDIA_RATE_HZ
from realtime.errors import TooMany
from realtime.sound.concealment import FADE_SAMPLES

MAX_CLIPS = 32
MAX_WAITING_S = 900  # 86 MB of samples
# what of a stream must be there before it is spoken, or goes on after a gap
HEAD_START_SAMPLES = 4 * MEDIA_CHUNK_SAMPLES
LONGEST_PAUSE_S = 2.0  # a stream that has not come for so long has ended

Samples = NDArray[np.int16]


class SpeechClip:
    """One utterance at 48 kHz: a file, whole from the beginning, or a stream that grows until it is complete."""

    def __init__(self, clip_id: str, samples: Samples | None = None):
        self.id = clip_id
        self.is_complete = samples is not None
        self.is_over = False  # it was spoken to its end, or interrupted
        self.taken = 0  # samples
        self.waiting = 0  # samples
        self._ran_dry = False
        self._pieces: deque[Samples] = deque()
        if samples is not None:
            self.add(samples)

    @property
    def seconds(self) -> float:
        """Of what has come so far."""
        return (self.taken + self.waiting) / MEDIA_RATE_HZ

    @property
    def has_begun(self) -> bool:
        return self.taken > 0

    def add(self, samples: Samples) -> None:
        if len(samples):
            self._pieces.append(samples)
            self.waiting += len(samples)

    def take(self, most: int) -> Samples:
        """The next samples, `most` of them if there are so many. A stream that has run dry fades out, and in again."""
        out, need = [], most
        while self._pieces and need:
            piece = self._pieces.popleft()
            if len(piece) > need:
                self._pieces.appendleft(piece[need:])
                piece = piece[:need]
            out.append(piece)
            need -= len(piece)
        self.taken, self.waiting = self.taken + most - need, self.waiting - (most - need)
        taken = np.concatenate(out) if out else np.zeros(0, np.int16)
        if len(taken):
            ran_dry, self._ran_dry = self._ran_dry, not self.waiting and not self.is_complete
            taken = _faded(taken, begins=ran_dry, ends=self._ran_dry)
        return taken


@dataclass(frozen=True)
class SpeechEvent:
    """`what` has happened to a clip after `spoken` samples of it: `started`, `ended` or `interrupted`."""

    clip_id: str
    what: Literal["started", "ended", "interrupted"]
    spoken: int = 0


class SpeechQueue:
    """Clips in the order in which they came; when it is full, new ones are refused."""

    def __init__(self) -> None:
        self._clips: deque[SpeechClip] = deque()
        self._flows = False  # the first clip has, or had, enough to be spoken
        self._starved = 0  # samples for which the first clip, a stream, has been waited for

    @property
    def waiting_s(self) -> float:
        """How long everything in line will take."""
        return sum(clip.waiting for clip in self._clips) / MEDIA_RATE_HZ

    @property
    def is_empty(self) -> bool:
        return not self._clips

    @property
    def is_speaking(self) -> bool:
        return bool(self._clips) and self._clips[0].has_begun

    def put(self, clip: SpeechClip) -> None:
        """Raises TooMany when MAX_CLIPS or MAX_WAITING_S wait already."""
        self._check_room(clip.waiting)
        if len(self._clips) >= MAX_CLIPS:
            raise TooMany(f"{MAX_CLIPS} clips wait to be spoken: wait for some to end, or interrupt them")
        self._clips.append(clip)

    def add(self, clip: SpeechClip, samples: Samples) -> None:
        """More of a clip in line. Raises TooMany when MAX_WAITING_S wait already."""
        self._check_room(len(samples))
        clip.add(samples)

    def _check_room(self, samples: int) -> None:
        if self.waiting_s + samples / MEDIA_RATE_HZ > MAX_WAITING_S:
            raise TooMany(f"{MAX_WAITING_S} s of speech at most may wait: send this later, or interrupt what waits")

    def stop(self) -> list[SpeechEvent]:
        """Forgets every clip, the one that is being spoken too."""
        events = [SpeechEvent(clip.id, "interrupted", clip.taken) for clip in self._clips]
        for clip in self._clips:
            clip.is_over = True
        self._clips.clear()
        self._flows, self._starved = False, 0
        return events

    def take(self, count: int) -> tuple[Samples | None, list[SpeechEvent]]:
        """The next `count` samples, None when nobody speaks, and what began or ended within them.

        A stream that has run dry in the middle is silent until HEAD_START_SAMPLES of it wait again.
        """
        out, events, filled = np.zeros(count, np.int16), [], 0
        speaks = self.is_speaking
        while self._clips and filled < count:
            clip = self._clips[0]
            if not self._can_flow(clip, count - filled):
                break
            speaks = True
            if not clip.has_begun:
                events.append(SpeechEvent(clip.id, "started"))
            piece = clip.take(count - filled)
            if clip.is_complete and not self._goes_on():
                piece = _ending(piece, clip.waiting)
            out[filled : filled + len(piece)] = piece
            filled += len(piece)
            if not clip.waiting and clip.is_complete:
                events.append(SpeechEvent(clip.id, "ended", clip.taken))
                self._next(clip)
        return (out if speaks else None), events

    def _can_flow(self, clip: SpeechClip, wanted: int) -> bool:
        """Whether there is enough of the first clip; one that is waited for in vain is complete in the end."""
        self._flows = clip.is_complete or clip.waiting >= HEAD_START_SAMPLES or (self._flows and clip.waiting > 0)
        self._starved = 0 if self._flows else self._starved + wanted
        if self._starved > LONGEST_PAUSE_S * MEDIA_RATE_HZ:
            clip.is_complete = self._flows = True
        return self._flows

    def _goes_on(self) -> bool:
        """Whether another clip will follow the first without a gap; else silence does, or the microphone."""
        following = self._clips[1] if len(self._clips) > 1 else None
        return following is not None and (following.is_complete or following.waiting >= HEAD_START_SAMPLES)

    def _next(self, clip: SpeechClip) -> None:
        clip.is_over = True
        self._clips.popleft()
        self._flows, self._starved = False, 0


def _faded(samples: Samples, *, begins: bool, ends: bool) -> Samples:
    """Without the step of a sound that begins or ends amid silence."""
    ramp = np.linspace(0, 1, min(FADE_SAMPLES, len(samples)), dtype=np.float32)
    gain = np.ones(len(samples), np.float32)
    if begins:
        gain[: len(ramp)] *= ramp
    if ends:
        gain[-len(ramp) :] *= ramp[::-1]
    return (samples * gain).astype(np.int16) if begins or ends else samples


def _ending(samples: Samples, left: int) -> Samples:
    """`samples` of a clip, behind which `left` more come: the last FADE_SAMPLES of all fade out."""
    if left >= FADE_SAMPLES:
        return samples
    gain = np.clip((left + np.arange(len(samples))[::-1]) / FADE_SAMPLES, 0, 1)
    return (samples * gain).astype(np.int16)
