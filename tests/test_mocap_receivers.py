"""Phones and VMC apps drive the avatar over UDP; everything else that comes to the ports is counted and forgotten."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from realtime.config import ConfigError, ServerConfig
from realtime.drive.mocap import live_link as read_live_link
from realtime.drive.osc import BadPacket
from realtime.drive.receivers import PACKETS_PER_S, MocapReceivers, _Port
from realtime.errors import Conflict
from realtime.protocol.directives import DriveFrame
from tests.live_client import serving
from tests.mocap_packets import ifacialmocap_packet, live_link_packet, vmc_packet
from tests.test_live import next_message


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def config(**changes: object) -> ServerConfig:
    ports = {name: free_port() for name in ("ifacialmocap_port", "live_link_port", "vmc_port")}
    return ServerConfig(port=0, **{**ports, **changes})  # type: ignore[arg-type]


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(500):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to that")


def send(port: int, *packets: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for packet in packets:
            out.sendto(packet, ("127.0.0.1", port))


def test_each_port_takes_the_packets_of_its_app_and_counts_the_others() -> None:
    async def run() -> None:
        seen: list[DriveFrame] = []
        receivers = MocapReceivers(config(), lambda frame, sender: seen.append(frame))
        await receivers.start()
        ports = receivers.ports
        send(ports["ifacialmocap"], ifacialmocap_packet({"jawOpen": 50}), b"hello")
        send(ports["live_link"], live_link_packet({"jawOpen": 0.5}), vmc_packet({"A": 1}))
        send(ports["vmc"], vmc_packet({"JawOpen": 0.5}), b"")
        await until(lambda: sum(receivers.received.values()) == 6)
        assert [frame.source for frame in sorted(seen, key=lambda f: f.source)] == ["ifacialmocap", "live_link", "vmc"]
        assert all(frame.shapes["jawOpen"] == pytest.approx(0.5) for frame in seen)
        assert receivers.refused == {"ifacialmocap": 1, "live_link": 1, "vmc": 1}
        receivers.close()

    asyncio.run(run())


def test_strangers_floods_and_second_senders_are_refused() -> None:
    async def run() -> None:
        def drive(frame: DriveFrame, sender: str) -> None:
            raise Conflict("somebody else drives with it")

        strangers = MocapReceivers(config(drive_senders=("192.0.2.1",)), lambda frame, sender: None)
        rivals = MocapReceivers(config(), drive)
        for receivers in (strangers, rivals):
            await receivers.start()
            send(receivers.ports["live_link"], live_link_packet({}))
            await until(lambda r=receivers: r.refused["live_link"] == 1)  # type: ignore[misc]
            receivers.close()
        flooded = MocapReceivers(config(), lambda frame, sender: None)
        await flooded.start()
        for _ in range(10):
            send(flooded.ports["live_link"], *[live_link_packet({})] * (PACKETS_PER_S // 8))
            await asyncio.sleep(0.005)
        await until(lambda: flooded.refused["live_link"] > 0)
        flooded.close()

    asyncio.run(run())


def test_a_phone_is_asked_to_send(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
            phone.bind(("127.0.0.1", 0))
            phone.setblocking(False)
            monkeypatch.setattr("realtime.drive.receivers.IFACIALMOCAP_PORT", phone.getsockname()[1])
            receivers = MocapReceivers(config(drive_senders=("127.0.0.1",)), lambda frame, sender: None)
            monkeypatch.setattr("realtime.drive.receivers.START_PERIOD_S", 0.05)
            await receivers.start()
            asked = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(phone, 200), 5)
            assert asked.startswith(b"iFacialMocap_") and asked.endswith(b"v2")
            receivers.close()

    asyncio.run(run())


def test_ports_that_others_can_reach_need_names_of_who_may_send() -> None:
    with pytest.raises(ConfigError, match="say with drive_senders whose packets are taken"):
        ServerConfig(drive_host="0.0.0.0", vmc_port=39539)
    assert ServerConfig(drive_host="0.0.0.0", vmc_port=39539, drive_senders=("192.0.2.1",)).vmc_port == 39539
    assert ServerConfig(drive_host="0.0.0.0").drive_senders == ()


def test_a_phone_turns_the_head_of_a_session_that_mixes_it_in(tmp_path: Path) -> None:
    async def run() -> None:
        settings = config()
        async with serving(tmp_path, settings) as http:
            session = await (await http.post("/api/sessions", json={})).json()
            async with http.ws_connect(session["control_url"]) as desk:
                groups = {"pose": 1, "jaw": 1}
                await desk.send_json({"type": "drive.mix", "id": "m", "source": "live_link", "groups": groups})
                await next_message(desk, "ack")
                for _ in range(100):
                    send(settings.live_link_port, live_link_packet({"jawOpen": 0.4}, (0.35, 0, 0)), b"junk")
                    face = await next_message(desk, "face")
                    if abs(face["pose"]["yaw_deg"] - 20) < 0.3 and face["shapes"].get("jawOpen", 0) > 0.35:
                        break
                else:
                    raise AssertionError(face)
            metrics = await (await http.get("/metrics")).text()
            assert 'flap_mocap_packets_refused_total{source="live_link"}' in metrics

    asyncio.run(run())


def test_an_operator_who_drives_one_session_stops_no_phone_for_another(tmp_path: Path) -> None:
    async def run() -> None:
        settings = config()
        async with serving(tmp_path, settings) as http:
            made = [await (await http.post("/api/sessions", json={})).json() for _ in range(2)]
            async with (
                http.ws_connect(made[0]["control_url"]) as first,
                http.ws_connect(made[1]["control_url"]) as second,
            ):
                for desk in (first, second):
                    mix = {"type": "drive.mix", "id": "m", "source": "live_link", "groups": {"jaw": 1}}
                    await desk.send_json(mix)
                    await next_message(desk, "ack")
                for number in range(100):
                    frame = {
                        "type": "drive.frame",
                        "id": f"f{number}",
                        "source": "live_link",
                        "shapes": {"jawOpen": 0.1},
                    }
                    await first.send_json(frame)
                    send(settings.live_link_port, live_link_packet({"jawOpen": 0.5}))
                    face = await next_message(second, "face")
                    if face["shapes"].get("jawOpen", 0) > 0.35:
                        break
                else:
                    raise AssertionError(face)

    asyncio.run(run())


def test_long_packets_count_as_several() -> None:
    """Reading one of 64 KiB takes as long as reading forty usual ones."""
    refused: list[bool] = []

    def take(source: str, parser: Callable[[bytes], object], packet: bytes, sender: str) -> None:
        try:
            parser(packet)
            refused.append(False)
        except BadPacket:
            refused.append(True)

    port = _Port("vmc", lambda packet: None, (), take)
    for size in (60_000, 60_000, 60_000, 200):
        port.datagram_received(bytes(size), ("127.0.0.1", 1))
    assert refused == [False, False, True, False]


def test_strangers_leave_the_phone_its_allowance() -> None:
    async def run() -> None:
        seen: list[str] = []
        receivers = MocapReceivers(config(drive_senders=("127.0.0.1",)), lambda frame, sender: seen.append(sender))
        await receivers.start()
        port = _Port("live_link", read_live_link, ("127.0.0.1",), receivers._take)
        for _ in range(2 * PACKETS_PER_S):
            port.datagram_received(live_link_packet({}), ("192.0.2.66", 9))
        port.datagram_received(live_link_packet({}), ("127.0.0.1", 9))
        assert seen == ["127.0.0.1"] and receivers.refused["live_link"] == 2 * PACKETS_PER_S
        receivers.close()

    asyncio.run(run())
