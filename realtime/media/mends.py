"""What we do otherwise than aiortc 1.16 and aioice 0.13. Uses their private names, which tests/test_mends.py pins."""

import struct
import time
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aioice.ice import CandidatePair, Connection, StunProtocol
from aioice.stun import Message
from aiortc import RTCPeerConnection, RTCRtpReceiver, clock
from aiortc.rtp import AnyRtcpPacket, RtcpByePacket, RtpPacket

LARGEST_DATAGRAM_BYTES = 1500
MOST_WAITING_DATAGRAMS = 512  # of a connection; nobody reads them until it is made
MOST_STREAMS = 16  # of a microphone; aiortc reports on each, and from 56 on its reports are too long to be sent


@cache
def mend() -> None:
    """What holds for every connection, from now on."""
    leave_out_odd_datagrams()
    check_again()
    keep_time_steadily()


def check_again() -> None:
    """Connections check anew what they had begun to check when they found another way.

    aioice cancels such checks and never begins them again, so that a viewer who changes networks would be sent to where it was
    until that way is given up, half a minute later.
    """
    check = Connection.check_incoming

    def check_incoming(
        connection: Connection, message: Message, address: tuple[str, int], protocol: StunProtocol
    ) -> None:
        for pair in connection._check_list:
            cancelled = pair.state is CandidatePair.State.IN_PROGRESS and pair.task is not None and pair.task.done()
            # the side that controls would take every way that works, and so hop from one to another
            if (
                cancelled
                and pair.protocol is protocol
                and pair.remote_addr == address
                and not connection.ice_controlling
            ):
                pair.task, pair.remote_nominated, pair.state = None, False, CandidatePair.State.FAILED
        check(connection, message, address, protocol)

    Connection.check_incoming = check_incoming  # type: ignore[method-assign, assignment]


def keep_time_steadily() -> None:
    """Sender reports go by a clock that nobody sets.

    Sound and pictures report at different moments: between them a browser would take a step of the machine's clock for an
    offset of the lips.
    """
    began_s = time.time() - time.monotonic()
    clock.current_datetime = lambda: datetime.fromtimestamp(began_s + time.monotonic(), UTC)


def leave_out_odd_datagrams() -> None:
    """Connections do not see datagrams that nobody honest sends.

    Anybody may send some to an open port (port scanners send empty ones). aiortc 1.16 ends a connection over one that is empty or
    longer than its buffer, and aioice 0.13 trips over STUN whose attributes have no value, or are not there.
    """
    take, hear = Connection.data_received, StunProtocol.datagram_received

    def data_received(connection: Connection, data: bytes, component: int) -> None:
        if 0 < len(data) <= LARGEST_DATAGRAM_BYTES and connection._queue.qsize() < MOST_WAITING_DATAGRAMS:
            take(connection, data, component)

    def datagram_received(protocol: StunProtocol, data: bytes | str, address: tuple[Any, ...]) -> None:
        with suppress(struct.error, KeyError, AssertionError):
            hear(protocol, data, address)

    Connection.data_received = data_received  # type: ignore[method-assign, assignment]
    StunProtocol.datagram_received = datagram_received  # type: ignore[method-assign, assignment]


def ignore_media(receiver: RTCRtpReceiver) -> None:
    """For a track that nobody reads: aiortc would decode it into a queue without a bound."""

    async def handle_rtp_packet(packet: RtpPacket, arrival_time_ms: int) -> None:
        pass

    receiver._handle_rtp_packet = handle_rtp_packet


def ignore_data(connection: RTCPeerConnection) -> None:
    """For data channels, which nothing here uses: aiortc would keep pieces of messages without a bound."""

    async def handle_data(data: bytes) -> None:
        pass

    if connection.sctp:
        connection.sctp._handle_data = handle_data


def hear_few_streams(receiver: RTCRtpReceiver) -> None:
    handle, streams = receiver._handle_rtp_packet, set[int]()

    async def handle_rtp_packet(packet: RtpPacket, arrival_time_ms: int) -> None:
        if len(streams) < MOST_STREAMS:
            streams.add(packet.ssrc)
        if packet.ssrc in streams:
            await handle(packet, arrival_time_ms)

    receiver._handle_rtp_packet = handle_rtp_packet


def stay_for_more(receiver: RTCRtpReceiver) -> None:
    """Some browsers say BYE when a microphone is changed or paused (RFC 3550, 6.6), and go on with the same stream."""
    handle = receiver._handle_rtcp_packet

    async def handle_rtcp_packet(packet: AnyRtcpPacket) -> None:
        if not isinstance(packet, RtcpByePacket):
            await handle(packet)

    receiver._handle_rtcp_packet = handle_rtcp_packet
