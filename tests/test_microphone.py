"""The host's sound becomes whole chunks on the session's clock, whatever network and sound card do to it."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from aiortc.jitterbuffer import JitterFrame

from flap.config import CHUNK_S, MEDIA_CHUNK_SAMPLES
from realtime.media.clock import BLOCK_SAMPLES
from realtime.sound.jitter_buffer import SoundBuffer
from realtime.sound.microphone import HISTORY_SAMPLES, MARGIN_STEP_SAMPLES, MOST_SAMPLES, Microphone

WIRE_S = 0.01


def voice(places: np.ndarray) -> np.ndarray:
    """A steady vowel of three partials, at places on the sender's clock."""
    seconds = places / 48_000
    partials = ((6000, 180, 0), (2500, 720, 1), (800, 2300, 0))
    return sum(level * np.sin(2 * np.pi * hertz * seconds + phase) for level, hertz, phase in partials)  # type: ignore[return-value]


STEEPEST = float(np.abs(np.diff(voice(np.arange(48_000)))).max())
SHARPEST = float(np.abs(np.diff(voice(np.arange(48_000)), 2)).max())


@dataclass
class Call:
    """A host who speaks into a network, and what a session hears."""

    drift_ppm: float = 0.0
    loss: float = 0.0
    jitter_s: float = 0.0
    swapped: float = 0.0
    later: tuple[float, float] = (np.inf, 0.0)  # from this second on everything takes so much longer
    origin: int = 2**32 - 48_000  # the sender's 32-bit clock wraps after a second
    microphone: Microphone = field(default_factory=Microphone)
    heard: list[np.ndarray] = field(default_factory=list)
    delays_ms: list[float] = field(default_factory=list)
    arrived_s: list[float | None] = field(default_factory=list)

    def packets(self, seconds: float) -> list[tuple[float, int]]:
        """(when it arrives, its number)."""
        rng, sent = np.random.default_rng(1), []
        for number in range(int(seconds * 50)):
            sent_s = (number + 1) * BLOCK_SAMPLES / self._rate_hz
            delay_s = WIRE_S + rng.exponential(self.jitter_s) + 0.03 * (rng.random() < self.swapped)
            delay_s += self.later[1] * (sent_s >= self.later[0])
            if rng.random() >= self.loss:
                sent.append((sent_s + delay_s, number))
        return sorted(sent)

    @property
    def _rate_hz(self) -> float:
        return 48_000 * (1 + self.drift_ppm / 1e6)

    def run(self, seconds: float) -> "Call":
        buffer, coming = SoundBuffer(), self.packets(seconds)
        for chunk in range(1, int(seconds / CHUNK_S)):
            now_s = chunk * CHUNK_S
            while coming and coming[0][0] <= now_s:
                arrival_s, number = coming.pop(0)
                for frame in buffer.push(number % 65_536, JitterFrame(b"", number * BLOCK_SAMPLES)):
                    samples = np.rint(voice(np.arange(frame.timestamp, frame.timestamp + BLOCK_SAMPLES)))
                    timestamp = (self.origin + frame.timestamp) % 2**32
                    self.microphone.push(samples.astype(np.int16), timestamp, arrival_s)
            taken = self.microphone.take(now_s)
            self.heard.append(taken.samples.astype(float))
            self.arrived_s += taken.arrived_s
            self.delays_ms.append(1000 * (now_s * self._rate_hz - self.microphone._read) / 48_000)
        return self

    def assert_no_clicks(self, sharper: float = 1.1) -> None:
        sound = np.concatenate(self.heard)
        assert np.abs(np.diff(sound)).max() < 1.1 * STEEPEST
        assert np.abs(np.diff(sound, 2)).max() < sharper * SHARPEST


def test_before_anybody_speaks_there_is_silence() -> None:
    chunk = Microphone().take(0.0)
    assert chunk.samples.shape == (MEDIA_CHUNK_SAMPLES,)
    assert not chunk.samples.any()
    assert chunk.arrived_s == (None,)


def test_on_a_good_network_sound_passes_unchanged_and_soon() -> None:
    call = Call().run(4)
    sound = np.concatenate(call.heard[3:])
    assert np.array_equal(sound, np.rint(voice(call.microphone._read - len(sound) + np.arange(len(sound)))))
    assert max(call.delays_ms[3:]) - 1000 * WIRE_S < 35
    assert call.microphone.concealed_samples == call.microphone.dropped_samples == 0


def test_frames_know_when_their_sound_came() -> None:
    call = Call().run(2)
    late_s = [(i + 1) * CHUNK_S - arrived_s for i, arrived_s in enumerate(call.arrived_s) if arrived_s]
    assert len(late_s) > 40
    assert 0.02 < min(late_s) <= max(late_s) < 0.13


@pytest.mark.parametrize("drift_ppm", [-200, 200])
def test_a_sound_card_that_drifts_is_followed_without_a_click_or_a_loss(drift_ppm: float) -> None:
    """In two minutes such a card is 24 ms off."""
    call = Call(drift_ppm=drift_ppm).run(120)
    call.assert_no_clicks()
    assert call.microphone.concealed_samples == call.microphone.dropped_samples == 0
    assert abs(call.delays_ms[-1] - call.delays_ms[10]) < 5
    assert max(call.delays_ms[10:]) < 50


@pytest.mark.parametrize("loss", [0.01, 0.05, 0.2])
def test_lost_packets_are_concealed_without_a_click_and_leave_no_delay(loss: float) -> None:
    call = Call(loss=loss).run(30)
    call.assert_no_clicks(sharper=10)
    concealed = call.microphone.concealed_samples / (30 * 48_000)
    assert 0.7 * loss < concealed < 1.6 * loss
    assert np.percentile(call.delays_ms[3:], 95) < 1000 * WIRE_S + 105
    level = np.sqrt((np.concatenate(call.heard[5:]) ** 2).mean())
    assert level > 0.9 * np.sqrt((voice(np.arange(48_000)) ** 2).mean()), "a gap is filled, not silent"


def test_jitter_and_packets_out_of_order_cost_a_little_delay_and_little_sound() -> None:
    call = Call(drift_ppm=200, loss=0.02, jitter_s=0.005, swapped=0.02).run(30)
    call.assert_no_clicks(sharper=10)
    assert call.microphone.dropped_samples < 0.005 * 30 * 48_000
    assert max(call.delays_ms[3:]) < 1000 * WIRE_S + 90


@pytest.mark.parametrize("step_s", [0.06, 0.3])
def test_a_network_that_becomes_slower_costs_a_moment_of_sound_and_no_more(step_s: float) -> None:
    call = Call(later=(10, step_s)).run(30)
    call.assert_no_clicks(sharper=10)
    gone = (call.microphone.concealed_samples + call.microphone.dropped_samples) / 48_000
    assert gone < 0.3 + 2.5 * step_s
    assert call.delays_ms[-1] < call.delays_ms[50] + 1000 * step_s + 50
    assert np.abs(call.heard[-1]).max() > 5000, "the voice is back"


@pytest.mark.parametrize("lost", [False, True])
def test_after_a_stall_no_delay_stays_behind(lost: bool) -> None:
    """Whether the packets of 0.8 s come all at once or never."""
    call = Call()
    held = [(10.8 if 10 < second < 10.8 else second, number) for second, number in call.packets(30)]
    call.packets = lambda seconds: [packet for packet in held if not lost or packet[0] != 10.8]  # type: ignore[method-assign]
    call.run(30)
    call.assert_no_clicks(sharper=10)
    assert abs(call.delays_ms[100] - call.delays_ms[-1]) < 50 + 800 * lost
    assert np.abs(call.heard[-1]).max() > 5000


@pytest.mark.parametrize("stall_s", [0.3, 1.0, 2.4])
@pytest.mark.parametrize("apart_s", [0.001, 0.004, 0.01])
def test_a_burst_after_a_stall_leaves_no_delay_behind_although_it_takes_a_moment(
    stall_s: float, apart_s: float
) -> None:
    call, held, free_s = Call(), [], 10 + stall_s
    for second, number in call.packets(30):
        arrival_s = max(second, free_s) if second > 10 else second
        held.append((arrival_s, number))
        free_s = arrival_s + apart_s if second > 10 else free_s
    call.packets = lambda seconds: held  # type: ignore[method-assign]
    call.run(30)
    call.assert_no_clicks(sharper=10)
    assert abs(call.delays_ms[100] - call.delays_ms[-1]) < 60
    assert np.abs(call.heard[-1]).max() > 5000


def test_a_third_of_a_second_without_packets_leaves_no_delay_behind_for_long() -> None:
    call, held = Call(), []
    for second, number in call.packets(30):
        held.append((10.3 if 10 < second < 10.3 else second, number))
    call.packets = lambda seconds: held  # type: ignore[method-assign]
    call.run(30)
    call.assert_no_clicks(sharper=10)
    assert call.delays_ms[int(22 / CHUNK_S)] < call.delays_ms[100] + 15


@pytest.mark.parametrize("later_s", [0.015, 0.018, 0.022])
def test_what_is_a_little_late_is_waited_for_once_and_no_longer_than_it_takes(later_s: float) -> None:
    call = Call(later=(10, later_s)).run(14)
    call.assert_no_clicks(sharper=10)
    before = Call().run(9).microphone.target_samples
    assert 0 < call.microphone.target_samples - before < 0.012 * 48_000
    assert call.microphone.concealed_samples + call.microphone.dropped_samples < 0.03 * 48_000
    assert all(np.abs(heard).max() > 5000 for heard in call.heard[2:]), "sound never stopped"


def test_a_stall_leaves_no_margin_that_jitter_has_not_asked_for() -> None:
    call = Call()
    held = [packet for packet in call.packets(30) if not 10 < packet[0] < 10.8]
    call.packets = lambda seconds: held  # type: ignore[method-assign]
    before = call.microphone.target_samples
    call.run(30)
    assert call.microphone.target_samples <= before + MARGIN_STEP_SAMPLES


def test_what_stands_in_for_lost_sound_is_over_within_a_tenth_of_a_second_however_long_the_stall() -> None:
    call = Call()
    held = [packet for packet in call.packets(3) if not 2 < packet[0] < 2.35]
    call.packets = lambda seconds: held  # type: ignore[method-assign]
    call.run(3)
    stalled = np.concatenate(call.heard)[round(2.18 * 48_000) : round(2.35 * 48_000)]
    assert not stalled.any()
    call.assert_no_clicks(2.0)


def test_a_new_host_does_not_wait_for_the_network_of_the_one_before() -> None:
    call = Call(jitter_s=0.03).run(10)
    before = Microphone().target_samples
    assert call.microphone.target_samples > before + MARGIN_STEP_SAMPLES
    call.microphone.clear()
    assert call.microphone.target_samples == before


def test_a_host_who_pauses_fades_out_and_begins_anew() -> None:
    call = Call().run(2)
    microphone, ends = call.microphone, []
    for chunk in range(round(0.64 / CHUNK_S)):
        ends.append(microphone.take(2 + chunk * CHUNK_S).samples)
    assert not np.concatenate(ends[-2:]).any()
    assert np.abs(np.diff(np.concatenate([call.heard[-1], *ends]))).max() < 1.1 * STEEPEST
    for block in range(20):
        microphone.push(np.full(BLOCK_SAMPLES, 100, np.int16), 7_000_000 + block * BLOCK_SAMPLES, 9 + block * 0.02)
    assert microphone.take(9.4).samples.max() == 100


def test_what_nobody_takes_is_bounded() -> None:
    microphone = Microphone()
    for block in range(200):
        microphone.push(np.zeros(BLOCK_SAMPLES, np.int16), block * BLOCK_SAMPLES, block * 0.02)
    assert len(microphone._sound) <= HISTORY_SAMPLES + MOST_SAMPLES
    assert microphone.take(4.0).samples.shape == (MEDIA_CHUNK_SAMPLES,)


def test_when_the_host_goes_its_sound_is_forgotten() -> None:
    call = Call().run(2)
    call.microphone.clear()
    assert not len(call.microphone._sound)
    fading, silence = (call.microphone.take(2.0 + chunk * CHUNK_S).samples.astype(float) for chunk in range(2))
    assert np.abs(np.diff(np.concatenate([call.heard[-1], fading, silence]))).max() < 1.1 * STEEPEST
    assert not silence.any()


def test_after_a_gap_without_packets_the_voice_is_back_with_the_next_chunk_that_is_whole() -> None:
    call = Call()
    held = [packet for packet in call.packets(14) if not 10 < packet[0] < 10.8]
    call.packets = lambda seconds: held  # type: ignore[method-assign]
    call.run(14)
    loud = [np.abs(heard).max() > 5000 for heard in call.heard]
    last_silent = max(i for i, is_loud in enumerate(loud) if not is_loud and i > 250)
    assert (last_silent + 1) * CHUNK_S < 10.8 + 3 * CHUNK_S
