"""Whoever loses a few packets gets them twice; whoever loses none, or very many, does not."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest
from aiortc import RTCPeerConnection
from aiortc.rtp import RTCP_RTPFB_NACK, RtcpReceiverInfo, RtcpRrPacket, RtcpRtpfbPacket, RtpPacket

from realtime.media import repair
from realtime.media.repair import AGAIN_S, MOST_TIMES, WINDOW_S, Losses, Repair

PACKET_S = 0.02


def losses(packets: int, share: float) -> Losses:
    """After so many packets, of which a receiver has asked for a share; the last is sent now, at second 0."""
    seen, asked = Losses(), 0
    for number in range(packets):
        seen.sent(number, (number + 1 - packets) * PACKET_S)
        if asked < share * (number + 1):
            seen.asked([number], 0.0)
            asked += 1
    return seen


@pytest.mark.parametrize(("share", "worth"), [(0.0, False), (0.02, True), (0.05, True), (0.2, True), (0.4, False)])
def test_packets_are_worth_repeating_where_some_are_lost_and_the_way_is_not_full(share: float, worth: bool) -> None:
    assert losses(150, share).worth_repeating == worth


def test_one_loss_is_chance_and_what_is_long_ago_is_forgotten() -> None:
    seen = losses(150, 0.0)
    seen.asked([7, 7], 0.0)
    assert not seen.worth_repeating, "one packet that is asked for twice"
    seen.asked([8], 0.0)
    assert seen.worth_repeating
    for number in range(150, 200):
        seen.sent(number, WINDOW_S + 0.1)
    assert not seen.worth_repeating


def test_what_was_never_sent_is_no_loss_and_takes_no_memory() -> None:
    seen = losses(150, 0.0)
    assert not seen.asked(range(1000, 60_000), 0.0)
    assert not seen.worth_repeating and not seen._asked
    for number in range(65_536):
        seen.sent(number, number * PACKET_S)
    assert len(seen._sent_s) == WINDOW_S / PACKET_S + 1


def test_every_packet_is_sent_again_once_and_a_moment_later() -> None:
    async def run() -> None:
        again: list[int] = []

        async def retransmit(number: int) -> None:
            again.append(number)

        sending, repeated = Repair(retransmit, lambda: repeated.append(1)), list[int]()
        for number in range(20):
            sending.sent(number)
        await asyncio.sleep(2 * AGAIN_S)
        assert again == [], "nobody has asked"
        sending.asked([3, 9])
        for number in range(20, 30):
            sending.sent(number)
        assert again == [], "not in the same burst"
        await asyncio.sleep(3 * AGAIN_S)
        assert again == list(range(20, 30)) and len(repeated) == 10

    asyncio.run(run())


def test_a_receiver_that_has_gone_is_no_error() -> None:
    async def run() -> None:
        async def retransmit(number: int) -> None:
            raise ConnectionError

        sending, repeated = Repair(retransmit, lambda: repeated.append(1)), list[int]()
        for number in range(20):
            sending.sent(number)
        sending.asked([3, 9])
        sending.sent(20)
        await asyncio.sleep(2 * AGAIN_S)
        assert not repeated and not sending._repeating

    asyncio.run(run())


def test_aiortc_has_the_names_that_install_replaces() -> None:
    """What a sender of this aiortc sends is counted, what it is asked for is heard, and both go on as before."""

    async def run() -> None:
        connection = RTCPeerConnection()
        sender, handled = connection.addTransceiver("video").sender, []

        async def handle(packet: object) -> None:
            handled.append(packet)

        assert isinstance(sender._RTCRtpSender__rtp_history, dict) and callable(sender._retransmit)
        sender._handle_rtcp_packet = handle
        sending = repair.install(sender, lambda: None)
        for number in range(20):
            sender._RTCRtpSender__rtp_history[number % 128] = RtpPacket(sequence_number=number)
        assert len(sending._losses._sent_s) == 20
        assert sender._RTCRtpSender__rtp_history[19].sequence_number == 19
        asked = RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=1, media_ssrc=2, lost=[4, 5])
        await sender._handle_rtcp_packet(asked)
        assert handled == [asked] and sending._losses._asked == {4, 5}
        await connection.close()

    asyncio.run(run())


def test_however_often_a_packet_is_asked_for_it_is_sent_again_a_few_times_at_most() -> None:
    seen = losses(150, 0.0)
    assert seen.asked([7] * 6000, 0.0) == [7] and seen.asked([7], 0.001) == []
    assert [seen.asked([7], second) for second in (0.1, 0.2, 0.3, 0.4)] == [[7], [7], [], []]
    assert sum(len(seen.asked(range(150), second)) for second in range(1, 60)) == MOST_TIMES * 149
    seen.sent(7, 1.0)
    assert seen.asked([7], 1.1) == [7], "its number is another packet's now"


@pytest.mark.parametrize(("room", "repeats"), [(1.0, False), (1.7, False), (2.5, True)])
def test_where_sending_twice_fills_the_way_it_ends(room: float, repeats: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A way that takes `room` times what is sent once, drops what is more, and loses one in fifty by chance."""

    async def run() -> float:
        now_s, twice, begun = 0.0, 0, list[int]()
        monkeypatch.setattr("realtime.media.repair.time.monotonic", lambda: now_s)

        async def retransmit(number: int) -> None: ...

        sending = Repair(retransmit, lambda: None)
        monkeypatch.setattr(sending, "_repeat", lambda number: begun.append(number) or asyncio.sleep(0))
        through = 0.0
        for number in range(round(120 / PACKET_S)):
            now_s = number * PACKET_S
            begun.clear()
            sending.sent(number, now_s)
            load = 2 if begun else 1
            twice += bool(begun) and now_s > 60
            through += room / load
            lost = through < 1
            through -= not lost
            through = min(through, 1.0)
            if number % 50 == 0 and load == 1 or lost:
                sending.asked([number])
        await asyncio.sleep(0)
        return twice / (60 / PACKET_S)

    share = asyncio.run(run())
    assert share > 0.5 if repeats else share < 0.15


@pytest.mark.parametrize("chance", [0.02, 0.05, 0.15])
def test_where_losses_are_the_ways_own_sending_twice_goes_on(chance: float, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> float:
        now_s, twice, begun, rng = 0.0, 0, list[int](), np.random.default_rng(1)
        monkeypatch.setattr("realtime.media.repair.time.monotonic", lambda: now_s)

        async def retransmit(number: int) -> None: ...

        sending = Repair(retransmit, lambda: None)
        monkeypatch.setattr(sending, "_repeat", lambda number: begun.append(number) or asyncio.sleep(0))
        for number in range(round(120 / PACKET_S)):
            now_s = number * PACKET_S
            begun.clear()
            sending.sent(number, now_s)
            twice += bool(begun) and now_s > 60
            if rng.random() < chance:  # asked for at once, before the second has come
                sending.asked([number])
        await asyncio.sleep(0)
        return twice / (60 / PACKET_S)

    assert asyncio.run(run()) > 0.9


def test_reports_are_heard_and_sound_is_never_sent_again() -> None:
    async def run() -> None:
        connection = RTCPeerConnection()
        handled: list[object] = []

        async def handle(packet: object) -> None:
            handled.append(packet)

        pictures, sound = (connection.addTransceiver(kind).sender for kind in ("video", "audio"))
        lost: list[float] = []
        for sender in (pictures, sound):
            sender._handle_rtcp_packet = handle
        repair.hear_reports(pictures, lost.append)
        repair.refuse(sound)
        info = RtcpReceiverInfo(pictures._ssrc, 64, 3, 100, 0, 0, 0)
        await pictures._handle_rtcp_packet(RtcpRrPacket(ssrc=1, reports=[info, replace(info, ssrc=5)]))
        assert lost == [0.25] and len(handled) == 1
        await sound._handle_rtcp_packet(RtcpRtpfbPacket(RTCP_RTPFB_NACK, 1, sound._ssrc, [5]))
        assert len(handled) == 1
        await connection.close()

    asyncio.run(run())
