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
from dataclasses import dataclass, field, replace

from aiortc import RTCRtpSender
from aiortc.rtp import RTCP_RTPFB_NACK, AnyRtcpPacket, RtcpRrPacket, RtcpRtpfbPacket, RtcpSrPacket, RtpPacket

AGAIN_S = 0.02  # later: a burst that has taken the first packet is over, the next picture has not come
WINDOW_S = 4.0  # what was sent in the last seconds counts
LEAST_ASKED = 2
MOST_SHARE = 0.25  # of what was sent
FULL_SHARE = 0.12  # more, while everything is sent twice and not while it is sent once, and the way is full
MOST_TIMES = 3  # that one packet is sent again on request
FIRST_REST_S, LONGEST_REST_S = 10.0, 160.0


@dataclass
class Losses:
    """What one receiver has lately been sent and has asked for again; bounded by what was sent, whatever is asked for."""

    _sent_s: dict[int, float] = field(default_factory=dict)  # sequence number -> when, oldest first
    _asked: set[int] = field(default_factory=set)  # of those
    _again: dict[int, tuple[int, float]] = field(default_factory=dict)  # of those: how often granted, and when

    def sent(self, number: int, now_s: float) -> None:
        self._forget(number)
        self._sent_s[number] = now_s
        while self._sent_s[oldest := next(iter(self._sent_s))] < now_s - WINDOW_S:
            self._forget(oldest)

    def _forget(self, number: int) -> None:
        self._sent_s.pop(number, None)
        self._asked.discard(number)
        self._again.pop(number, None)

    def asked(self, numbers: Iterable[int], now_s: float) -> list[int]:
        """A packet that is asked for twice is lost once. Returns those that are to be sent again now: each a few times at most,
        however often one datagram names it."""
        granted = []
        for number in dict.fromkeys(numbers):
            if number not in self._sent_s:
                continue
            self._asked.add(number)
            times, last_s = self._again.get(number, (0, float("-inf")))
            if times < MOST_TIMES and now_s - last_s >= AGAIN_S:
                self._again[number] = times + 1, now_s
                granted.append(number)
        return granted

    @property
    def share(self) -> float:
        """Of what was sent, that was asked for."""
        return len(self._asked) / max(1, len(self._sent_s))

    @property
    def worth_repeating(self) -> bool:
        """Whether everything is to be sent twice."""
        return len(self._asked) >= LEAST_ASKED and self.share <= MOST_SHARE


class Repair:
    """Sends one receiver's packets again by `retransmit`; bounded, as each is sent again once, AGAIN_S later.

    Where much is lost while everything is sent twice, and not as much while it is sent once, the way is full: it rests for a
    while, each time longer.
    """

    def __init__(self, retransmit: Callable[[int], Awaitable[None]], on_repeated: Callable[[], None]):
        self._retransmit, self._on_repeated, self._losses = retransmit, on_repeated, Losses()
        self._repeating: set[asyncio.Task[None]] = set()
        # when it began to send twice, and what was asked for while it rested
        self._begun: tuple[float, float] | None = None
        self._rests_until_s, self._rest_s = 0.0, FIRST_REST_S

    def _repeats(self, now_s: float) -> bool:
        losses = self._losses
        if self._begun is None:
            if now_s >= self._rests_until_s and losses.worth_repeating:
                has_rested = self._rests_until_s > 0
                self._begun = now_s, losses.share if has_rested else 0.0
            return self._begun is not None
        begun_s, before = self._begun
        is_settled = now_s - begun_s >= WINDOW_S  # nothing of before is counted any more
        if losses.share > MOST_SHARE or (is_settled and losses.share > max(FULL_SHARE, 1.5 * before)):
            self._rests_until_s, self._begun = now_s + self._rest_s, None
            self._rest_s = min(2 * self._rest_s, LONGEST_REST_S)
        elif not losses.worth_repeating:
            self._begun = None
        elif is_settled:
            self._begun, self._rest_s = (now_s, before), FIRST_REST_S
        return self._begun is not None

    def sent(self, number: int, now_s: float | None = None) -> None:
        now_s = time.monotonic() if now_s is None else now_s
        self._losses.sent(number, now_s)
        if self._repeats(now_s):
            task = asyncio.create_task(self._repeat(number), name="repair")
            self._repeating.add(task)
            task.add_done_callback(self._repeating.discard)

    def asked(self, numbers: Iterable[int]) -> list[int]:
        """Which of them are to be sent again now."""
        return self._losses.asked(numbers, time.monotonic())

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
            packet = replace(packet, lost=repair.asked(packet.lost))
        await handle(packet)

    sender._handle_rtcp_packet = handle_rtcp_packet
    sender._RTCRtpSender__rtp_history = _History(repair.sent)
    return repair


def refuse(sender: RTCRtpSender) -> None:
    """Of sound nothing is sent again: it would come too late, and nobody who keeps to the answer asks for it."""
    handle = sender._handle_rtcp_packet

    async def handle_rtcp_packet(packet: AnyRtcpPacket) -> None:
        if not (isinstance(packet, RtcpRtpfbPacket) and packet.fmt == RTCP_RTPFB_NACK):
            await handle(packet)

    sender._handle_rtcp_packet = handle_rtcp_packet


def hear_reports(sender: RTCRtpSender, on_lost: Callable[[float], None]) -> None:
    """Tells `on_lost` which share of the packets of `sender` its receiver has lately lost, whenever it reports that."""
    handle = sender._handle_rtcp_packet

    async def handle_rtcp_packet(packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpRrPacket | RtcpSrPacket):
            for report in packet.reports:
                if report.ssrc == sender._ssrc:
                    on_lost(report.fraction_lost / 256)
        await handle(packet)

    sender._handle_rtcp_packet = handle_rtcp_packet
