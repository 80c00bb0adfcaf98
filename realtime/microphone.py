"""The host's sound on the session's clock: whole chunks, never growing delay."""

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flap.config import CHUNK_FRAMES, MEDIA_FRAME_SAMPLES, MEDIA_RATE_HZ
from realtime.clock import BLOCK_SAMPLES

MEDIA_CHUNK_SAMPLES = CHUNK_FRAMES * MEDIA_FRAME_SAMPLES  # 3840 at 48 kHz
MARGIN_SAMPLES = BLOCK_SAMPLES  # 20 ms held against jitter of the network
EXCESS_SAMPLES = 2 * BLOCK_SAMPLES  # more than this above the margin is dropped, oldest first
MOST_SAMPLES = MEDIA_CHUNK_SAMPLES + 15 * BLOCK_SAMPLES  # what may wait when nobody takes
LONGEST_GAP_SAMPLES = MEDIA_RATE_HZ // 2  # a larger step of the sender's clock is a new beginning
TIMESTAMP_MODULUS = 2**32  # RTP's timestamps wrap here


@dataclass(frozen=True)
class MicrophoneChunk:
    """80 ms of sound and when the first sample of each frame arrived (None for silence that stands in)."""

    samples: NDArray[np.int16]  # [3840] at 48 kHz
    arrived_s: tuple[float | None, ...]  # one a frame


@dataclass
class Microphone:
    """Bounded: drops the oldest sound when more waits than jitter explains; silence stands in for what is missing."""

    dropped_samples: int = 0
    missing_samples: int = 0
    _buffer: NDArray[np.int16] = field(default_factory=lambda: np.zeros(0, np.int16))
    _arrivals: deque[tuple[int, float]] = field(default_factory=deque)  # (number of the sample after a push, second)
    _read: int = 0  # samples that have left the buffer since the start
    _flowing: bool = False
    _expected_timestamp: int | None = None

    def push(self, samples: NDArray[np.int16], timestamp: int, now_s: float) -> None:
        """Mono sound at 48 kHz as it arrives; `timestamp` counts samples on the sender's clock."""
        gap = 0
        if self._expected_timestamp is not None:
            gap = (timestamp - self._expected_timestamp) % TIMESTAMP_MODULUS
        if not 0 < gap <= LONGEST_GAP_SAMPLES:
            gap = 0
        self._expected_timestamp = (timestamp + len(samples)) % TIMESTAMP_MODULUS
        self.missing_samples += gap
        self._buffer = np.concatenate([self._buffer, np.zeros(gap, np.int16), samples])
        self._arrivals.append((self._read + len(self._buffer), now_s))
        self._drop(len(self._buffer) - MOST_SAMPLES)

    def take(self) -> MicrophoneChunk:
        """The next 80 ms."""
        excess = len(self._buffer) - MEDIA_CHUNK_SAMPLES - MARGIN_SAMPLES
        if not self._flowing and excess < 0:
            return MicrophoneChunk(np.zeros(MEDIA_CHUNK_SAMPLES, np.int16), (None,) * CHUNK_FRAMES)
        if not self._flowing or excess > EXCESS_SAMPLES:
            self._drop(excess)
        arrived = tuple(self._arrival(self._read + i * MEDIA_FRAME_SAMPLES) for i in range(CHUNK_FRAMES))
        samples = self._advance(MEDIA_CHUNK_SAMPLES)
        # what comes late after a part was missing keeps its place in line, which adds just the margin that was lacking
        self._flowing = len(samples) > 0
        missing = MEDIA_CHUNK_SAMPLES - len(samples)
        self.missing_samples += missing
        return MicrophoneChunk(np.concatenate([samples, np.zeros(missing, np.int16)]), arrived)

    def clear(self) -> None:
        """Forgets what waits: the host has gone."""
        self._advance(len(self._buffer))
        self._flowing, self._expected_timestamp = False, None

    def _drop(self, count: int) -> None:
        if count > 0:
            self.dropped_samples += count
            self._advance(count)

    def _advance(self, count: int) -> NDArray[np.int16]:
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        self._read += len(taken)
        while self._arrivals and self._arrivals[0][0] <= self._read:
            self._arrivals.popleft()
        return taken

    def _arrival(self, sample: int) -> float | None:
        return next((second for end, second in self._arrivals if end > sample), None)
