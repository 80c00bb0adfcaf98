"""While the networks are being opened the address answers already, and a signal is obeyed."""

import asyncio
import gc
import os
import signal
import socket
import threading
import time
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from realtime.config import ServerConfig
from realtime.pipeline import AvatarPipeline
from realtime.render.link import launch_process
from realtime.render.messages import Rendering
from realtime.render.renderer import Renderer
from realtime.web.serving import Signals, addresses, serve
from tests.fakes import fake_presenters, launch_thread, open_fakes

GATE = threading.Event()


def open_when_told(folder: Path) -> tuple[AvatarPipeline, dict]:
    GATE.wait(30)
    return open_fakes(folder)


def open_for_an_hour() -> tuple[AvatarPipeline, dict]:
    time.sleep(3600)
    raise AssertionError


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as door:
        return int(door.getsockname()[1])


async def readiness(http: aiohttp.ClientSession) -> dict:
    """As soon as somebody answers."""
    while True:
        try:
            async with http.get("/ready") as response:
                body = await response.json()
                assert (response.status == 200) == body["ready"]
                return dict(body)
        except aiohttp.ClientError:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_server_for_others_says_an_address_that_opens_and_how_others_come_in(host: str) -> None:
    here, there, microphone = addresses(host, 8080, is_secure=False)
    assert here == "FLAP Live is ready: http://localhost:8080/"
    assert socket.gethostname() in there and "?token=" in there and "https" in microphone
    assert len(addresses(host, 8443, is_secure=True)) == 2


def test_an_address_of_its_own_is_said_as_browsers_take_it() -> None:
    assert addresses("127.0.0.1", 8080, is_secure=False) == ["FLAP Live is ready: http://127.0.0.1:8080/"]
    assert addresses("::1", 8080, is_secure=True) == ["FLAP Live is ready: https://[::1]:8080/"]


def test_whoever_asks_while_the_networks_are_opened_is_told(tmp_path: Path) -> None:
    async def run() -> None:
        GATE.clear()
        renderer = Renderer(Rendering(partial(open_when_told, tmp_path)), 4, launch=launch_thread)
        config = ServerConfig(port=free_port())
        serving = asyncio.create_task(serve(renderer, config))
        async with aiohttp.ClientSession(f"http://127.0.0.1:{config.port}") as http, asyncio.timeout(30):
            assert (await readiness(http))["reason"] == "opening"
            assert (await (await http.get("/health")).json())["status"] == "opening"
            refused = await http.post("/api/sessions")
            assert (refused.status, (await refused.json())["error"]["code"]) == (503, "unavailable")
            seen = await http.get("/", headers={"Accept": "text/html"})
            assert (seen.status, seen.content_type) == (503, "text/html")
            assert "the networks are being opened: try again in a moment." in await seen.text()
            GATE.set()
            frozen = gc.get_freeze_count()
            while not (await readiness(http))["ready"]:
                await asyncio.sleep(0.02)
            assert gc.get_freeze_count() > frozen + 10_000, (
                "what lives as long as the server costs no garbage collection"
            )
            assert [p["id"] for p in await (await http.get("/api/presenters")).json()] == list(
                fake_presenters(tmp_path)
            )
            os.kill(os.getpid(), signal.SIGTERM)
            await serving

    asyncio.run(run())


def test_a_signal_while_the_networks_are_opened_ends_the_start() -> None:
    async def run() -> None:
        config = ServerConfig(port=free_port())
        serving = asyncio.create_task(serve(Renderer(Rendering(open_for_an_hour), 4, launch=launch_process), config))
        async with aiohttp.ClientSession(f"http://127.0.0.1:{config.port}") as http, asyncio.timeout(30):
            assert (await readiness(http))["reason"] == "opening"
            os.kill(os.getpid(), signal.SIGTERM)
            await serving

    asyncio.run(run())


async def result_of(work: asyncio.Future[str]) -> str:
    return await work


def test_a_signal_that_comes_just_as_the_work_is_done_is_not_lost() -> None:
    async def run() -> None:
        for turns in range(5):  # between the two, so that each is seen first once
            signals, work = Signals(), asyncio.get_running_loop().create_future()
            ending = asyncio.create_task(signals.end(result_of(work)))
            await asyncio.sleep(0.01)
            os.kill(os.getpid(), signal.SIGTERM)
            while not signals._came.is_set():
                await asyncio.sleep(0)
            for _ in range(turns):
                await asyncio.sleep(0)
            if not work.done():
                work.set_result("opened")
            if await ending == "opened":
                await asyncio.wait_for(signals.wait(), 1)

    asyncio.run(run())


async def close_s(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> float:
    """How long a connection stays open after an answered request."""
    writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"200 OK" in await reader.readline()
    started_s = time.monotonic()
    await reader.read()
    writer.close()
    return time.monotonic() - started_s


def test_an_idle_connection_is_closed_and_one_that_is_used_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.web.serving.KEEPALIVE_S", 1.0)

    async def run() -> None:
        GATE.clear()
        renderer = Renderer(Rendering(partial(open_when_told, tmp_path)), 4, launch=launch_thread)
        config = ServerConfig(port=free_port())
        serving = asyncio.create_task(serve(renderer, config))
        async with aiohttp.ClientSession(f"http://127.0.0.1:{config.port}") as http, asyncio.timeout(30):
            assert (await readiness(http))["reason"] == "opening"
            assert await close_s(*await asyncio.open_connection("127.0.0.1", config.port)) < 5
            GATE.set()
            while not (await readiness(http))["ready"]:
                await asyncio.sleep(0.02)
            session = await (await http.post("/api/sessions")).json()
            told = await http.get(f"/api/sessions/{session['id']}/events")
            async with http.ws_connect(session["control_url"]) as socket:
                assert await close_s(*await asyncio.open_connection("127.0.0.1", config.port)) < 5
                await asyncio.sleep(2)
                await socket.send_json({"type": "ping", "id": "a", "client_time_ms": 0})
                while (await socket.receive_json())["type"] != "pong":
                    pass
            assert await told.content.readline() == b": connected\n"
            await http.delete(f"/api/sessions/{session['id']}")
            assert b"ended" in await told.content.read()
            os.kill(os.getpid(), signal.SIGTERM)
            await serving

    asyncio.run(run())
