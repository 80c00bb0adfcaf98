"""Whoever comes and goes, and however, leaves nothing behind: no object, task, thread, socket or memory."""

import asyncio
import gc
import threading
from collections import Counter
from pathlib import Path

import psutil
import pytest
from aiohttp import WSMsgType
from aiohttp.test_utils import TestClient
from aiortc import RTCPeerConnection, RTCSessionDescription

from realtime.config import ServerConfig
from realtime.desk.desk import Desk
from realtime.media.hub import HubTrack
from realtime.media.peer import Peer
from realtime.media.playout import Playout
from realtime.session import Session
from tests.live_client import LiveClient, serving
from tests.test_server import SDP, connection, offer_of

OWNED = (Session, Peer, Desk, HubTrack, Playout, RTCPeerConnection)  # what a session's life makes
WARM_UP = 10
MOST_MB_PER_CYCLE = 0.05


async def host_leaves(http: TestClient) -> None:
    """A host speaks, sees itself and goes; then the session is ended."""
    client = LiveClient(http)
    await client.start()
    while not client.watched.seconds:
        await asyncio.sleep(0.02)
    await client.close()
    await http.delete(f"/api/sessions/{client.session_id}")


async def session_ends_under_everybody(http: TestClient) -> None:
    """A host, a viewer and an operator are there when the session is deleted."""
    host, viewer = LiveClient(http), LiveClient(http)
    await host.start()
    for kind in ("audio", "video"):
        viewer.connection.addTransceiver(kind, direction="recvonly")
    path = f"/api/sessions/{host.session_id}"
    answer = await http.post(f"{path}/whep", data=await offer_of(viewer.connection), headers=SDP)
    await viewer.connection.setRemoteDescription(RTCSessionDescription(await answer.text(), "answer"))
    async with http.ws_connect(f"{path}/control") as operator:
        while not viewer.watched.seconds:
            await asyncio.sleep(0.02)
        await http.delete(path)
        while (await operator.receive()).type is WSMsgType.TEXT:
            pass
    await asyncio.gather(host.close(), viewer.close())


async def nobody_connects(http: TestClient) -> None:
    """Offers are answered and their senders never heard of again; one more is refused."""
    session = await (await http.post("/api/sessions")).json()
    for door, kind, direction in (("whip_url", "audio", "sendrecv"), ("whep_url", "video", "recvonly")):
        peer = connection()
        peer.addTransceiver(kind, direction=direction)
        offer = await offer_of(peer)
        await peer.close()
        assert (await http.post(session[door], data=offer, headers=SDP)).status == 201
        assert (await http.post(session[door], data=offer[:-200], headers=SDP)).status in (201, 400, 409)
    await http.delete(f"/api/sessions/{session['id']}")


WAYS = (host_leaves, session_ends_under_everybody, nobody_connects)


def left_behind() -> dict[str, int]:
    """What is there now. Threads of asyncio's own pool come one by one until it is full, and are not counted."""
    gc.collect()
    objects = Counter(type(thing).__name__ for thing in gc.get_objects() if isinstance(thing, OWNED))
    threads = [thread for thread in threading.enumerate() if not thread.name.startswith("asyncio")]
    return {
        **objects, "tasks": len(asyncio.all_tasks()), "threads": len(threads), "descriptors": psutil.Process().num_fds()
    }  # fmt: skip


async def settle(before: dict[str, int]) -> dict[str, int]:
    """What is there once things that end by themselves have ended: connections close, within a few seconds."""
    for _ in range(150):
        now = left_behind()
        if all(now[name] <= before.get(name, 0) for name in now):
            break
        await asyncio.sleep(0.2)
    return now


def check(folder: Path, cycles: int) -> float:
    """Runs them; the megabytes that a cycle took and did not give back, after half of them."""

    async def run() -> float:
        config = ServerConfig(port=0, requests_per_minute=1_000_000)
        async with serving(folder, config) as http:
            for cycle in range(WARM_UP):
                await WAYS[cycle % len(WAYS)](http)
            await asyncio.sleep(1.0)
            before, middle = left_behind(), 0
            for cycle in range(cycles):
                await WAYS[cycle % len(WAYS)](http)
                if cycle == cycles // 2:
                    gc.collect()
                    middle = psutil.Process().memory_info().rss
            after = await settle(before)
            assert {name: count for name, count in after.items() if count > before.get(name, 0)} == {}
            return (psutil.Process().memory_info().rss - middle) / 2**20 / (cycles / 2)

    return asyncio.run(run())


def test_twenty_sessions_leave_nothing_behind(tmp_path: Path) -> None:
    check(tmp_path, 21)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_five_hundred_sessions_leave_nothing_behind(tmp_path: Path) -> None:
    assert check(tmp_path, 500) < MOST_MB_PER_CYCLE
