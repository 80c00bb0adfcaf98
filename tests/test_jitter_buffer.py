"""The receive buffer for sound, and the private names of aiortc that it stands on."""

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest
from aiortc import RTCPeerConnection
from aiortc.jitterbuffer import JitterFrame

from realtime.sound import jitter_buffer
from realtime.sound.jitter_buffer import SoundBuffer


def heard(order: list[int], buffer: SoundBuffer | None = None) -> list[int]:
    """Sequence numbers as they come out."""
    buffer = buffer or SoundBuffer()
    return [frame.timestamp for n in order for frame in buffer.push(n % 65_536, JitterFrame(b"", n))]


def test_packets_in_order_pass_at_once() -> None:
    buffer = SoundBuffer()
    for n in range(5):
        assert heard([n], buffer) == [n]


def test_swapped_packets_are_put_in_order() -> None:
    assert heard([0, 2, 1, 3]) == [0, 1, 2, 3]


def test_a_lost_packet_is_given_up_after_two_later_ones() -> None:
    buffer = SoundBuffer()
    assert heard([0, 2], buffer) == [0]
    assert heard([3], buffer) == [2, 3]
    assert buffer.lost == 1
    assert heard([4], buffer) == [4], "and no delay stays behind"


def test_late_and_repeated_packets_are_dropped() -> None:
    assert heard([0, 1, 1, 3, 4, 2, 5]) == [0, 1, 3, 4, 5]


def test_sequence_numbers_wrap() -> None:
    assert heard([65_534, 65_535, 65_536, 65_537]) == [65_534, 65_535, 65_536, 65_537]


@pytest.mark.parametrize("first", [500, 60_000], ids=["ahead", "behind"])
def test_a_jump_begins_anew_once_a_second_packet_confirms_it(first: int) -> None:
    assert heard([10_000, 10_001, first, first + 1, first + 2]) == [10_000, 10_001, first + 1, first + 2]


def test_old_packets_that_come_between_new_ones_are_dropped() -> None:
    assert heard([10_000, 9_000, 10_001, 9_001, 10_002]) == [10_000, 10_001, 10_002]


@pytest.mark.parametrize("loss", [0.0, 0.05, 0.3])
def test_whatever_the_network_does_order_is_kept_and_little_waits(loss: float) -> None:
    rng, buffer, out = np.random.default_rng(3), SoundBuffer(), []
    for n in range(2000):
        if rng.random() >= loss:
            out += heard([n], buffer)
            assert len(buffer._waiting) < buffer.patience
    assert out == sorted(set(out))
    assert len(out) > 2000 * (1 - loss) * 0.9


def test_aiortc_has_the_names_that_install_replaces() -> None:
    """A receiver of this aiortc takes the buffer, and several frames of one packet all reach its decoder, dated alike."""

    async def run() -> None:
        connection = RTCPeerConnection()
        receiver = connection.addTransceiver("audio").receiver
        assert hasattr(receiver, "_RTCRtpReceiver__jitter_buffer")
        queue = receiver._RTCRtpReceiver__decoder_queue
        receiver._RTCRtpReceiver__codecs[96] = "opus"
        jitter_buffer.install(receiver)
        buffer = receiver._RTCRtpReceiver__jitter_buffer
        dated = receiver._RTCRtpReceiver__timestamp_mapper.map  # which the receiver applies to what it is given back
        came = []
        for n in (0, 2, 3):
            packet = SimpleNamespace(sequence_number=n, timestamp=3_000_000_000 + n * 960, payload_type=96, _data=b"x")
            came.append(buffer.add(packet)[1])
            if came[-1]:
                came[-1].timestamp = dated(came[-1].timestamp)
        assert [frame and frame.timestamp for frame in came] == [0, None, 3 * 960]
        assert queue.get_nowait()[1].timestamp == 2 * 960
        await connection.close()

    asyncio.run(run())


def test_a_packet_of_padding_alone_is_not_decoded() -> None:
    """FFmpeg takes an empty packet for the end of the stream, and decodes nothing after it."""
    decoded: list[int] = []
    buffer = jitter_buffer._ReceiverBuffer(SoundBuffer(), lambda packet, frame: decoded.append(frame.timestamp))
    came = [
        buffer.add(SimpleNamespace(sequence_number=n, timestamp=n, payload_type=96, _data=b"" if n == 2 else b"x"))[1]
        for n in range(5)
    ]
    assert [frame and frame.timestamp for frame in came] == [0, 1, None, 3, 4] and decoded == []
