"""Sound becomes whole chunks on the session's clock: bounded, with silence for what is missing."""

import numpy as np

from realtime.clock import BLOCK_SAMPLES
from realtime.microphone import MARGIN_SAMPLES, MEDIA_CHUNK_SAMPLES, MOST_SAMPLES, Microphone

RAMP = np.arange(1, 30_001).astype(np.int16)


def speak(microphone: Microphone, first_block: int, blocks: int, origin: int = 0) -> None:
    for block in range(first_block, first_block + blocks):
        samples = RAMP[block * BLOCK_SAMPLES : (block + 1) * BLOCK_SAMPLES]
        microphone.push(samples, (origin + block * BLOCK_SAMPLES) % 2**32, now_s=block * 0.02)


def test_before_anybody_speaks_there_is_silence() -> None:
    chunk = Microphone().take()
    assert chunk.samples.shape == (MEDIA_CHUNK_SAMPLES,)
    assert not chunk.samples.any()
    assert chunk.arrived_s == (None, None)


def test_chunks_follow_each_other_without_a_gap_and_know_when_they_came() -> None:
    microphone = Microphone()
    speak(microphone, 0, 5)
    first = microphone.take()
    speak(microphone, 5, 4)
    second = microphone.take()
    both = np.concatenate([first.samples, second.samples])
    assert np.array_equal(both, RAMP[: 2 * MEDIA_CHUNK_SAMPLES])
    assert first.arrived_s == (0.0, 0.04)
    assert second.arrived_s == (0.08, 0.12)
    assert microphone.dropped_samples == microphone.missing_samples == 0


def test_a_burst_is_cut_to_the_margin_oldest_first() -> None:
    microphone = Microphone()
    speak(microphone, 0, 12)
    chunk = microphone.take()
    assert chunk.samples[0] == RAMP[12 * BLOCK_SAMPLES - MEDIA_CHUNK_SAMPLES - MARGIN_SAMPLES]
    assert microphone.dropped_samples == 12 * BLOCK_SAMPLES - MEDIA_CHUNK_SAMPLES - MARGIN_SAMPLES


def test_what_nobody_takes_is_bounded() -> None:
    microphone = Microphone()
    for _ in range(100):
        microphone.push(RAMP[:BLOCK_SAMPLES], 0, 0.0)
    assert microphone.dropped_samples == 100 * BLOCK_SAMPLES - MOST_SAMPLES


def test_a_lost_packet_is_silence_of_its_length() -> None:
    """Also where the sender's 32-bit clock wraps."""
    for origin in (0, 2**32 - 2 * BLOCK_SAMPLES):
        microphone = Microphone()
        speak(microphone, 0, 2, origin)
        speak(microphone, 3, 2, origin)
        chunk = microphone.take()
        assert not chunk.samples[2 * BLOCK_SAMPLES : 3 * BLOCK_SAMPLES].any()
        assert np.array_equal(chunk.samples[3 * BLOCK_SAMPLES :], RAMP[3 * BLOCK_SAMPLES : 4 * BLOCK_SAMPLES])
        assert microphone.missing_samples == BLOCK_SAMPLES


def test_a_new_clock_of_the_sender_is_no_gap() -> None:
    microphone = Microphone()
    speak(microphone, 0, 2)
    speak(microphone, 2, 3, origin=7_000_000)
    assert np.array_equal(microphone.take().samples, RAMP[:MEDIA_CHUNK_SAMPLES])


def test_sound_that_is_late_leaves_a_hole_and_then_goes_on() -> None:
    microphone = Microphone()
    speak(microphone, 0, 5)
    microphone.take()
    speak(microphone, 5, 1)
    starved = microphone.take()
    assert np.array_equal(starved.samples[: 2 * BLOCK_SAMPLES], RAMP[4 * BLOCK_SAMPLES : 6 * BLOCK_SAMPLES])
    assert not starved.samples[2 * BLOCK_SAMPLES :].any()
    speak(microphone, 6, 4)
    assert np.array_equal(microphone.take().samples, RAMP[6 * BLOCK_SAMPLES : 10 * BLOCK_SAMPLES])


def test_when_the_host_goes_its_sound_is_forgotten() -> None:
    microphone = Microphone()
    speak(microphone, 0, 6)
    microphone.clear()
    assert not microphone.take().samples.any()
