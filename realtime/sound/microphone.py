"""The host's sound on the session's clock: late by a margin that follows the network, in step with the host's own clock.

Every sample has its place on the sender's clock, by its RTP timestamp. The place that is read goes on at the session's rate,
up to half a percent faster or slower to stay `target_samples` behind the packets that came soonest; so the sender's sound card
may drift, and no delay stays behind after trouble. What has not come when it is read is concealed, and dropped if it comes later.
"""

from collections import deque
from dataclasses import dataclass, field
from math import floor

import numpy as np
from numpy.typing import NDArray

from flap.config import CHUNK_FRAMES, MEDIA_CHUNK_SAMPLES, MEDIA_FRAME_SAMPLES, MEDIA_RATE_HZ
from realtime.media.clock import BLOCK_SAMPLES
from realtime.sound.concealment import FADE_SAMPLES, HISTORY_SAMPLES, conceal, cross_fade
from realtime.sound.interpolation import REACH, read_between

LEAST_MARGIN_SAMPLES = 288  # 6 ms against jitter of the network, beside the length of a packet
MOST_MARGIN_SAMPLES = 2880
MARGIN_STEP_SAMPLES = 480  # at most so much more after a chunk that was not complete
MARGIN_DECAY_SAMPLES = 1  # a chunk: 0.5 ms a second
MOST_SAMPLES = 25 * BLOCK_SAMPLES  # what may wait; then the oldest is left out
LEAP_SAMPLES = 5 * BLOCK_SAMPLES  # behind by more, what lies between is left out: reading faster would take 20 s
LONGEST_GAP_SAMPLES = MEDIA_RATE_HZ // 2  # a larger step of the sender's clock is a new beginning
STALLED_S = 0.4  # without a packet the host is taken for silent, and sound begins anew with the next
LEVEL_WINDOW_S = 2.0
LATE_CHUNKS, RECENT_S = 3, 0.3  # after so many incomplete chunks only packets of so long ago count
AT_EASE_SAMPLES = 96  # 2 ms off the target nothing is corrected, and sound passes unchanged
CORRECTION_PER_SAMPLE = 0.002 / 480  # 10 ms off are made up for within seconds
MOST_CORRECTION = 0.005  # less than ears notice
TIMESTAMP_MODULUS = 2**32  # RTP's timestamps wrap here
Sound = NDArray[np.float32]


@dataclass(frozen=True)
class MicrophoneChunk:
    """A chunk of sound and when the first sample of each frame arrived (None for silence that stands in)."""

    samples: NDArray[np.int16]  # [1920] at 48 kHz
    arrived_s: tuple[float | None, ...]  # one a frame


SILENT = MicrophoneChunk(np.zeros(MEDIA_CHUNK_SAMPLES, np.int16), (None,) * CHUNK_FRAMES)


@dataclass
class Microphone:
    """Bounded. Places are counted in samples of the sender's clock since it began."""

    dropped_samples: int = 0  # came too late, or too much waited
    concealed_samples: int = 0
    _sound: Sound = field(default_factory=lambda: np.zeros(0, np.float32))
    _start: int = 0  # the place of its first sample
    _read: float = 0.0  # the place that is heard next
    _flowing: bool = False
    _leaving: Sound | None = None  # what would have gone on where the next chunk begins earlier
    _parting: MicrophoneChunk | None = None  # in which the sound of a host who has gone fades
    _made_up: int = 0  # samples at the end of `_sound` that were concealed
    _breaks: bool = False  # the next packet does not go on from what came before
    _last_timestamp: int | None = None
    _end_of_last: int = 0  # the place after the newest packet
    _packet_samples: int = BLOCK_SAMPLES
    _incomplete: int = 0  # chunks in a row of which a part had not come though packets came meanwhile
    _came: bool = False  # a packet, since the last chunk
    _margin_samples: float = LEAST_MARGIN_SAMPLES
    _margin_that_was_enough: float = LEAST_MARGIN_SAMPLES  # for the last complete chunk
    # (second, place after a packet less our samples by then)
    _leads: deque[tuple[float, float]] = field(default_factory=deque)
    _arrivals: deque[tuple[int, float]] = field(default_factory=deque)  # (place after a packet, second)

    @property
    def target_samples(self) -> float:
        """How far what is read stays behind what would have come without any jitter."""
        return self._packet_samples + self._margin_samples + REACH + 1

    def push(self, samples: NDArray[np.int16], timestamp: int, now_s: float) -> None:
        """Mono sound at 48 kHz as it arrives, in order; `timestamp` counts samples on the sender's clock."""
        place = self._place(timestamp)
        self._packet_samples, self._came = len(samples), True
        self._end_of_last = place + len(samples)
        self._leads.append((now_s, self._end_of_last - now_s * MEDIA_RATE_HZ))
        self._arrivals.append((self._end_of_last, now_s))
        self._write(place, samples.astype(np.float32))
        self._drop(len(self._sound) - HISTORY_SAMPLES - MOST_SAMPLES)

    def take(self, now_s: float) -> MicrophoneChunk:
        """The next chunk, at second `now_s` of the clock that `push` goes by."""
        if self._parting is not None:
            parting, self._parting = self._parting, None
            return parting
        while self._leads and self._leads[0][0] < now_s - LEVEL_WINDOW_S:
            self._leads.popleft()
        if not self._leads or now_s - self._leads[-1][0] > STALLED_S:
            return self._stop()
        if self._incomplete >= LATE_CHUNKS:  # the network has become slower by more than the margin
            self._leads = deque([(s, lead) for s, lead in self._leads if s > now_s - RECENT_S] or [self._leads[-1]])
            return self._stop()
        lead = max(lead for _, lead in self._leads) + now_s * MEDIA_RATE_HZ
        wanted = lead - MEDIA_CHUNK_SAMPLES - self.target_samples
        if not self._flowing:
            return self._begin(wanted)
        off = wanted - self._read
        if off > LEAP_SAMPLES:
            return self._leap(wanted)
        return self._advance(1 + _correction(off))

    def clear(self) -> None:
        """Forgets what waits: the host has gone."""
        self._parting = self._stop()
        self._margin_samples = self._margin_that_was_enough = LEAST_MARGIN_SAMPLES  # the next one has another network
        self._leads.clear()
        self._arrivals.clear()
        self._last_timestamp = None

    def _place(self, timestamp: int) -> int:
        """Of the first sample of a packet; after a leap of the sender's clock the place where the last one ended."""
        step = 0
        if self._last_timestamp is not None:
            step = (timestamp - self._last_timestamp) % TIMESTAMP_MODULUS
        if not self._packet_samples <= step <= LONGEST_GAP_SAMPLES:
            step = 0
            self._breaks = True  # a fade leads over
            self._leads.clear()  # they told where samples would have been without the gap
        place = self._end_of_last + max(0, step - self._packet_samples)
        self._last_timestamp = timestamp
        return place

    def _write(self, place: int, samples: Sound) -> None:
        end = self._start + len(self._sound)
        first = max(place, floor(self._read) + REACH) if self._flowing else place
        late = min(max(first - place, 0), len(samples))
        self.dropped_samples += late
        samples = samples[late:]
        if not len(samples):
            return
        first = place + late
        if first > end:
            self._conceal(first - end)
        kept = self._sound[: first - self._start]
        if self._made_up or self._breaks:
            fade = min(FADE_SAMPLES, len(samples))
            samples = cross_fade(conceal(kept, fade), samples)
        rest = self._sound[len(kept) + len(samples) :]  # what was made up beyond this packet goes on from it
        self._sound = np.concatenate([kept, samples])
        self._made_up, self._breaks = 0, False
        if len(rest):
            self._conceal(len(rest))

    def _conceal(self, count: int) -> None:
        self.concealed_samples += count
        self._sound = np.concatenate([self._sound, conceal(self._sound, count, self._made_up)])
        self._made_up += count

    def _begin(self, wanted: float) -> MicrophoneChunk:
        """From silence, once enough has come."""
        if wanted < self._start:
            return SILENT
        self._read, self._flowing = float(floor(wanted)), True
        return blend(SILENT, self._advance(1.0))

    def _leap(self, wanted: float) -> MicrophoneChunk:
        """Leaves out what is too much."""
        leaving = self._advance(1.0)
        self.dropped_samples += floor(wanted - self._read) + MEDIA_CHUNK_SAMPLES
        self._read = float(floor(wanted))
        return blend(leaving, self._advance(1.0))

    def _advance(self, rate: float) -> MicrophoneChunk:
        """The next chunk.

        Where a part of them lacks, what is made up is put in between as far as the margin grows by it, and not put in the
        place of what may come yet: so the next chunk is complete.
        """
        read, end = self._read, self._start + len(self._sound)
        places = read + rate * np.arange(MEDIA_CHUNK_SAMPLES, dtype=np.float64) - self._start
        missing = floor(read + rate * MEDIA_CHUNK_SAMPLES) + REACH + 2 - end
        grown = self._adapt(missing)
        self._incomplete = self._incomplete + self._came if missing > 0 else 0
        self._came = False
        if missing > 0:
            self._conceal(missing)
        if self._start > read - REACH:  # nothing is known of before the first sample
            lacking = self._start - floor(read) + REACH
            self._sound = np.concatenate([np.zeros(lacking, np.float32), self._sound])
            self._start -= lacking
            places += lacking
        first = floor(places[0])
        if rate == 1 and places[0] == first:
            samples = self._sound[first : first + MEDIA_CHUNK_SAMPLES]
        else:
            samples = read_between(self._sound, places)
        if self._leaving is not None:
            samples = cross_fade(self._leaving, samples)
            self._leaving = None
        arrived = tuple(self._arrival(read + i * MEDIA_FRAME_SAMPLES) for i in range(CHUNK_FRAMES))
        self._read = read + rate * MEDIA_CHUNK_SAMPLES
        if grown > 0:
            self._leaving = conceal(self._sound[: floor(self._read) - self._start], FADE_SAMPLES)
            self._read -= grown
        self._forget()
        return MicrophoneChunk(np.clip(np.rint(samples), -32768, 32767).astype(np.int16), arrived)

    def _adapt(self, missing: int) -> float:
        """To a chunk that lacked `missing` samples; by how much the margin has grown."""
        before = self._margin_samples
        if missing <= 0:  # what a stall had added chunk after chunk says nothing of jitter
            before = min(before, self._margin_that_was_enough + MARGIN_STEP_SAMPLES)
        more = min(missing, MARGIN_STEP_SAMPLES) if missing > 0 else -MARGIN_DECAY_SAMPLES
        self._margin_samples = float(np.clip(before + more, LEAST_MARGIN_SAMPLES, MOST_MARGIN_SAMPLES))
        if missing <= 0:
            self._margin_that_was_enough = self._margin_samples
        return max(0.0, self._margin_samples - before)

    def _stop(self) -> MicrophoneChunk:
        """Lets the last sound fade out, then silence."""
        fading = SILENT
        if self._flowing:
            last = self._advance(1.0)
            faded = last.samples * np.linspace(1, 0, MEDIA_CHUNK_SAMPLES)
            fading = MicrophoneChunk(faded.astype(np.int16), last.arrived_s)
        # what a whole chunk lacked says nothing of jitter, and would stay for minutes
        self._margin_samples = min(self._margin_samples, self._margin_that_was_enough + MARGIN_STEP_SAMPLES)
        self._flowing = False
        self._sound, self._start = np.zeros(0, np.float32), self._end_of_last
        self._made_up, self._breaks, self._incomplete, self._leaving = 0, False, 0, None
        return fading

    def _forget(self) -> None:
        """What lies further back than concealment looks."""
        old = floor(self._read) - HISTORY_SAMPLES - self._start
        if old > 0:
            self._sound, self._start = self._sound[old:], self._start + old
        while self._arrivals and self._arrivals[0][0] <= self._read:
            self._arrivals.popleft()

    def _drop(self, count: int) -> None:
        """Keeps memory bounded when nobody takes."""
        if count > 0:
            self.dropped_samples += count
            read = max(self._read, float(self._start + count + REACH))
            if self._flowing and read > self._read and self._leaving is None:
                self._leaving = self._sound[floor(self._read) - self._start :][:FADE_SAMPLES]
            self._sound, self._start, self._read = self._sound[count:], self._start + count, read

    def _arrival(self, place: float) -> float | None:
        return next((second for end, second in self._arrivals if end > place), None)


def _correction(off_samples: float) -> float:
    """By how much faster what is `off_samples` too late is read."""
    excess = max(0.0, abs(off_samples) - AT_EASE_SAMPLES)
    return float(np.sign(off_samples)) * min(excess * CORRECTION_PER_SAMPLE, MOST_CORRECTION)


def blend(leaving: MicrophoneChunk, coming: MicrophoneChunk) -> MicrophoneChunk:
    """`coming`, into which the beginning of `leaving` fades."""
    mixed = cross_fade(leaving.samples[:FADE_SAMPLES].astype(np.float32), coming.samples.astype(np.float32))
    return MicrophoneChunk(mixed.astype(np.int16), coming.arrived_s)
