"""What peers and strangers send and nobody asked for takes neither memory nor the connection."""

import asyncio
import re
import socket
import struct
import time
from types import SimpleNamespace

import pytest
from aioice import Candidate
from aioice.ice import CandidatePair, Connection
from aioice.stun import Class, Message, Method
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription, clock
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack
from aiortc.rtp import RtcpByePacket, RtcpSenderInfo, RtcpSrPacket, RtpPacket

from realtime.media.hub import Hubs
from realtime.media.mends import MOST_STREAMS, MOST_WAITING_DATAGRAMS, hear_few_streams, mend, stay_for_more
from realtime.media.peer import Hear, Peer
from tests.webrtc_client import connected, viewer

STUN_COOKIE = 0x2112A442
PRIORITY = 0x0024


def stun_request(attribute: int, value: bytes) -> bytes:
    body = struct.pack("!HH", attribute, len(value)) + value
    return struct.pack("!HHI", 0x0001, len(body), STUN_COOKIE) + b"\x07" * 12 + body


def doors(answer: str) -> list[tuple[str, int]]:
    """Where a connection listens."""
    return [(host, int(port)) for host, port in re.findall(r"a=candidate:\S+ 1 udp \d+ (\d+\.\S+) (\d+)", answer)]


async def joined(client: RTCPeerConnection, microphone: Hear | None = None, hubs: Hubs | None = None) -> Peer:
    """A peer that `client` is connected to."""
    peer = Peer((), microphone, hubs, on_closed=lambda: None)
    await client.setLocalDescription(await client.createOffer())
    answer = await peer.answer(client.localDescription.sdp)
    await client.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    assert await connected(peer)
    return peer


async def wait_for_packets(peer: Peer, count: int) -> None:
    """Until so many have come of whatever the other side sends."""
    receiver = next(r for r in peer._connection.getReceivers() if r.track and r.track.kind == "video")
    for _ in range(200):
        stats = receiver.transport._get_stats()
        if any(stat.packetsReceived >= count for stat in stats.values()):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("nothing comes")


def test_stray_datagrams_neither_end_a_connection_nor_fill_the_log() -> None:
    """Port scanners send empty ones; aioice trips over STUN whose attributes have no value."""

    async def run() -> None:
        faults: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context))
        connection, peer = await viewer(), Peer((), None, Hubs.create(), on_closed=lambda: None)
        answer = await peer.answer(connection.localDescription.sdp)
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        assert await connected(peer)
        odd = (b"", b"\x80" * 1600, b"\x16" * 1400, b"\x80", stun_request(PRIORITY, b""))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for door in doors(answer):
                for datagram in odd:
                    stranger.sendto(datagram, door)
        await asyncio.sleep(0.3)
        assert doors(answer) and peer.state == "connected" and faults == []
        await asyncio.gather(connection.close(), peer.close())

    asyncio.run(run())


def test_datagrams_for_a_connection_that_is_never_made_do_not_pile_up() -> None:
    async def run() -> None:
        client = await viewer()
        without = "\r\n".join(line for line in client.localDescription.sdp.splitlines() if "candidate" not in line)
        peer = Peer((), None, Hubs.create(), on_closed=lambda: None)
        answer = await peer.answer(without + "\r\n")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for i in range(3 * MOST_WAITING_DATAGRAMS):
                stranger.sendto(b"\x80" * 100, doors(answer)[0])
                if i % 50 == 0:
                    await asyncio.sleep(0.001)
        await asyncio.sleep(0.2)
        transport = peer._connection.getTransceivers()[0].receiver.transport.transport
        assert transport._connection._queue.qsize() == MOST_WAITING_DATAGRAMS
        await asyncio.gather(client.close(), peer.close())

    asyncio.run(run())


def test_a_hosts_camera_is_not_decoded() -> None:
    """OBS and FFmpeg publish pictures with the sound."""

    async def run() -> None:
        client, heard = RTCPeerConnection(RTCConfiguration(iceServers=[])), []
        for track in (AudioStreamTrack(), VideoStreamTrack()):
            client.addTrack(track)
        peer = await joined(client, microphone=lambda samples, timestamp: heard.append(timestamp))
        await wait_for_packets(peer, 100)
        (camera,) = (r for r in peer._connection.getReceivers() if r.track.kind == "video")
        assert heard and camera.track._queue.empty() and not camera.getSynchronizationSources()
        await asyncio.gather(client.close(), peer.close())

    asyncio.run(run())


def test_pictures_that_a_viewer_sends_are_not_decoded() -> None:
    async def run() -> None:
        client = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        client.addTransceiver(VideoStreamTrack(), direction="sendrecv")
        peer = await joined(client, hubs=Hubs.create())
        await wait_for_packets(peer, 60)
        (receiver,) = peer._connection.getReceivers()
        assert receiver.track._queue.empty()
        await asyncio.gather(client.close(), peer.close())

    asyncio.run(run())


def test_messages_of_a_data_channel_are_not_kept() -> None:
    async def run() -> None:
        client = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        client.addTransceiver("video", direction="recvonly")
        channel = client.createDataChannel("talk")
        peer = await joined(client, hubs=Hubs.create())
        await asyncio.sleep(0.5)
        assert channel.readyState == "connecting" and peer._connection.sctp.state == "connecting"
        assert peer.state == "connected"
        await asyncio.gather(client.close(), peer.close())

    asyncio.run(run())


def test_of_a_host_with_ever_new_streams_a_few_are_heard() -> None:
    async def run() -> None:
        connection, heard = RTCPeerConnection(), []
        receiver = connection.addTransceiver("audio").receiver

        async def handle(packet: RtpPacket, arrival_time_ms: int) -> None:
            heard.append(packet.ssrc)

        receiver._handle_rtp_packet = handle
        hear_few_streams(receiver)
        for ssrc in (*range(100), 0, 99):
            await receiver._handle_rtp_packet(RtpPacket(ssrc=ssrc), 0)
        assert heard == [*range(MOST_STREAMS), 0]
        await connection.close()

    asyncio.run(run())


def test_a_host_who_says_bye_and_goes_on_is_heard_all_the_same() -> None:
    async def run() -> None:
        connection = RTCPeerConnection()
        receiver, handled = connection.addTransceiver("audio").receiver, []

        async def handle(packet: object) -> None:
            handled.append(packet)

        receiver._handle_rtcp_packet = handle
        stay_for_more(receiver)
        for packet in (RtcpByePacket([1]), RtcpSrPacket(1, RtcpSenderInfo(0, 0, 0, 0))):
            await receiver._handle_rtcp_packet(packet)
        assert len(handled) == 1 and isinstance(handled[0], RtcpSrPacket)
        await connection.close()

    asyncio.run(run())


def test_a_way_whose_check_was_cut_off_is_checked_again_when_the_other_side_tries_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A viewer who changes networks is then sent to where it is at once."""

    async def run() -> None:
        connection = Connection(ice_controlling=False)
        started: list[object] = []
        monkeypatch.setattr(connection, "check_start_task", started.append)
        address = ("192.0.2.7", 4000)
        candidate = Candidate.from_sdp(f"1 1 udp 2130706431 {address[0]} {address[1]} typ host")
        protocol = SimpleNamespace(local_candidate=candidate)
        pair = CandidatePair(protocol, candidate)
        pair.state, pair.remote_nominated = CandidatePair.State.IN_PROGRESS, True
        connection._remote_candidates.append(candidate)
        connection._check_list.append(pair)
        pair.task = asyncio.create_task(asyncio.sleep(30))
        tries = Message(message_method=Method.BINDING, message_class=Class.REQUEST)
        connection.check_incoming(tries, address, protocol)
        assert started == [], "it is being checked"
        pair.task.cancel()
        await asyncio.sleep(0)
        connection.check_incoming(tries, address, protocol)
        assert started == [pair] and pair.state is CandidatePair.State.WAITING
        assert not pair.remote_nominated, "that was of before"

    mend()
    asyncio.run(run())


def test_a_clock_that_is_set_while_it_runs_moves_no_sender_report(monkeypatch: pytest.MonkeyPatch) -> None:
    mend()
    before, later_s = clock.current_ntp_time(), time.monotonic() + 5
    monkeypatch.setattr(time, "monotonic", lambda: later_s)
    assert (clock.current_ntp_time() - before) / 2**32 == pytest.approx(5, abs=0.1), "it goes by the steady clock"
