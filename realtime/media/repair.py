"""Packets that are sent again before they are asked for, to whoever loses some.

A receiver asks again for what it lacks (NACK, RFC 4585, 6.2.1). Where one packet in twenty is lost, one in ten of these requests
is lost or not answered either; then its picture stands until it asks once more, or for a key frame. So whoever has lately asked
gets every packet of pictures twice, the second a moment later as a retransmission (RFC 4588, or the packet itself where that is
not agreed on), which receivers leave aside when they have the first. Whoever loses too much does not: there the way is full, and
more would fill it further.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from aiortc import RTCRtpSender
from aiortc.rtp import RTCP_RTPFB_NACK, AnyRtcpPacket, RtcpRtpfbPacket, RtpPacket

AGAIN_S = 0.02  # later: a burst that has taken the first packet is over, the next picture has not come
WINDOW_S = 4.0  # what was sent in the last seconds counts
LEAST_ASKED = 2
MOST_SHARE = 0.25  # of what was sent


@dataclass
class Losses:
    """What one receiver has lately been sent and has asked for again; bounded by what was sent, whatever is asked for."""

    _sent_s: dict[int, float] = field(default_factory=dict)  # sequence number -> when, oldest first
    _asked: set[int] = field(default_factory=set)  # of those

    def sent(self, number: int, now_s: float) -> None:
        self._asked.discard(number)
        self._sent_s.pop(number, None)
        self._sent_s[number] = now_s
        while self._sent_s[oldest := next(iter(self._sent_s))] < now_s - WINDOW_S:
            del self._sent_s[oldest]
            self._asked.discard(oldest)

    def asked(self, numbers: Iterable[int]) -> None:
        """A packet that is asked for twice is lost once."""
        self._asked.update(number for number in numbers if number in self._sent_s)

    @property
    def worth_repeating(self) -> bool:
        """Whether everything is to be sent twice."""
        return LEAST_ASKED <= len(self._asked) <= MOST_SHARE * len(self._sent_s)


class Repair:
    """Sends one receiver's packets again by `retransmit`; bounded, as each is sent again once, AGAIN_S later."""

    def __init__(self, retransmit: Callable[[int], Awaitable[None]], on_repeated: Callable[[], None]):
        self._retransmit, self._on_repeated, self._losses = retransmit, on_repeated, Losses()
        self._repeating: set[asyncio.Task[None]] = set()

    def sent(self, number: int) -> None:
        self._losses.sent(number, time.monotonic())
        if self._losses.worth_repeating:
            task = asyncio.create_task(self._repeat(number), name="repair")
            self._repeating.add(task)
            task.add_done_callback(self._repeating.discard)

    def asked(self, numbers: Iterable[int]) -> None:
        self._losses.asked(numbers)

    async def _repeat(self, number: int) -> None:
        await asyncio.sleep(AGAIN_S)
        with suppress(ConnectionError):  # it has gone meanwhile
            await self._retransmit(number)
            self._on_repeated()


class _History(dict[int, RtpPacket]):
    """What an aiortc sender keeps of what it has sent, in whose order `sent` hears of it."""

    def __init__(self, sent: Callable[[int], None]):
        super().__init__()
        self._sent = sent

    def __setitem__(self, place: int, packet: RtpPacket) -> None:
        super().__setitem__(place, packet)
        self._sent(packet.sequence_number)


def install(sender: RTCRtpSender, on_repeated: Callable[[], None]) -> Repair:
    """Repairs what `sender` sends from now on; `on_repeated` is told of each packet.

    Uses private names of aiortc 1.16, which tests/test_repair.py pins.
    """
    repair, handle = Repair(sender._retransmit, on_repeated), sender._handle_rtcp_packet

    async def handle_rtcp_packet(packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpRtpfbPacket) and packet.fmt == RTCP_RTPFB_NACK:
            repair.asked(packet.lost)
        await handle(packet)

    sender._handle_rtcp_packet = handle_rtcp_packet
    sender._RTCRtpSender__rtp_history = _History(repair.sent)
    return repair
