"""A receive buffer for sound that forgives loss and adds no delay.

aiortc 1.16's own buffer always holds four packets (80 ms), and after one lost packet stays 260 ms late for good. This one
hands packets on in order at once and gives up on a gap when `patience` later packets have come.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from aiortc import RTCRtpReceiver
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtp import RtpPacket

SEQUENCE_MODULUS = 65_536
RESYNC_PACKETS = 100


@dataclass
class SoundBuffer:
    """Packets waiting for an earlier one; owned by one receiver."""

    patience: int = 2
    lost: int = 0
    _next: int | None = None
    _odd: int | None = None  # what would follow a packet that was far from the others
    _waiting: dict[int, JitterFrame] = field(default_factory=dict)

    def push(self, sequence_number: int, frame: JitterFrame) -> list[JitterFrame]:
        """Frames that can be decoded now, in order; late and repeated packets give none."""
        if self._next is None:
            self._next = sequence_number
        ahead = (sequence_number - self._next) % SEQUENCE_MODULUS
        follows, self._odd = sequence_number == self._odd, None
        if ahead > SEQUENCE_MODULUS // 2 or ahead > RESYNC_PACKETS:
            if ahead >= SEQUENCE_MODULUS - RESYNC_PACKETS:
                return []
            # a packet that took another way, or the sender has begun anew (RFC 3550, A.1): the next one says
            if not follows:
                self._odd = (sequence_number + 1) % SEQUENCE_MODULUS
                return []
            self._waiting.clear()
            self._next = sequence_number
        self._waiting[sequence_number] = frame
        ready = []
        while self._waiting:
            if self._next in self._waiting:
                ready.append(self._waiting.pop(self._next))
            elif len(self._waiting) < self.patience:
                break
            else:
                self.lost += 1
            self._next = (self._next + 1) % SEQUENCE_MODULUS
        return ready


class _ReceiverBuffer:
    """`SoundBuffer` behind the interface that aiortc's receiver calls."""

    def __init__(self, buffer: SoundBuffer, decode: Callable[[RtpPacket, JitterFrame], None]):
        self._buffer, self._decode = buffer, decode

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        pushed = self._buffer.push(packet.sequence_number, JitterFrame(packet._data, packet.timestamp))
        ready = [
            frame for frame in pushed if frame.data
        ]  # FFmpeg takes an empty one for the end, and decodes nothing more
        for frame in ready[:-1]:  # the receiver itself decodes one frame a packet
            self._decode(packet, frame)
        return False, ready[-1] if ready else None


def install(receiver: RTCRtpReceiver) -> SoundBuffer:
    """Gives `receiver` a `SoundBuffer`. Uses private names of aiortc 1.16, which tests/test_jitter_buffer.py pins."""
    buffer = SoundBuffer()

    def decode(packet: RtpPacket, frame: JitterFrame) -> None:
        codec = receiver._RTCRtpReceiver__codecs[packet.payload_type]
        # as the receiver does with the one frame that it is given back
        frame.timestamp = receiver._RTCRtpReceiver__timestamp_mapper.map(frame.timestamp)
        receiver._RTCRtpReceiver__decoder_queue.put((codec, frame))

    receiver._RTCRtpReceiver__jitter_buffer = _ReceiverBuffer(buffer, decode)
    return buffer
