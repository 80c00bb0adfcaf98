"""A server that is told to end says so to everybody, takes no more sessions, and lets those that run come to an end."""

import asyncio
import json
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from tests.live_client import LiveClient, living
from tests.test_live import next_message
from tests.test_run_server import ROOT

PATIENCE_S = 60  # on a busy machine


@dataclass
class Serving:
    process: asyncio.subprocess.Process
    http: aiohttp.ClientSession

    async def ends(self) -> None:
        """Cleanly, before long."""
        assert self.process.stderr
        said = await asyncio.wait_for(self.process.stderr.read(), PATIENCE_S)
        assert await self.process.wait() == 0
        assert b"Traceback" not in said


@asynccontextmanager
async def serving(*options: str) -> AsyncIterator[Serving]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.serve_fake", *options, cwd=ROOT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout
    try:
        address = re.search(r"ready: (http://127\.0\.0\.1:\d+)/", (await process.stdout.readline()).decode())
        assert address
        async with aiohttp.ClientSession(address[1]) as http:
            yield Serving(process, http)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def event(events: aiohttp.ClientResponse, kind: str) -> dict:
    """The next of its kind that a viewer is told."""
    while line := (await asyncio.wait_for(events.content.readline(), PATIENCE_S)).decode():
        if line.startswith("data: ") and (message := json.loads(line[6:]))["type"] == kind:
            return dict(message)
    raise AssertionError(f"no {kind} was told")


def drained(test: Callable, drain_s: int) -> None:
    """A host, an operator and a viewer who listens are there when the signal comes."""

    async def run() -> None:
        async with serving(f"--drain-s={drain_s}") as server, living(server.http) as host:
            path = f"/api/sessions/{host.session_id}"
            async with (
                server.http.ws_connect(f"{path}/control") as operator,
                server.http.get(f"{path}/events") as events,
            ):
                await host.watch(0.2)
                server.process.send_signal(signal.SIGTERM)
                told = await next_message(operator, "draining")
                assert 0 < told["ends_in_ms"] <= 1000 * drain_s
                assert (await event(events, "draining"))["ends_in_ms"] == told["ends_in_ms"]
                await test(server, host, operator, events)

    asyncio.run(run())


def test_sessions_go_on_and_new_ones_are_refused_until_the_last_has_left() -> None:
    async def test(server: Serving, host: LiveClient, _: object, __: object) -> None:
        http = server.http
        refused = await http.post("/api/sessions")
        assert (refused.status, (await refused.json())["error"]["code"]) == (503, "shutting_down")
        unready = await http.get("/ready")
        assert (unready.status, (await unready.json())["reason"]) == (503, "draining")
        assert (await (await http.get("/health")).json())["status"] == "draining"
        path = f"/api/sessions/{host.session_id}"
        async with http.ws_connect(f"{path}/control") as late, http.get(f"{path}/events") as events:
            assert (await next_message(late, "draining"))["ends_in_ms"] > 1000 * (600 - PATIENCE_S)
            assert await event(events, "draining")
        await host.watch(0.5)
        await host.close()
        await server.ends()

    drained(test, drain_s=600)


def test_a_session_that_is_still_used_ends_when_the_time_is_over() -> None:
    async def test(
        server: Serving, _: object, operator: aiohttp.ClientWebSocketResponse, events: aiohttp.ClientResponse
    ) -> None:
        assert (await next_message(operator, "ended"))["reason"] == "shutdown"
        assert (await event(events, "ended"))["reason"] == "shutdown"
        assert await asyncio.wait_for(events.content.read(), PATIENCE_S) == b"\n", "the stream ends"
        await server.ends()

    drained(test, drain_s=1)


def test_a_second_signal_ends_it_at_once() -> None:
    async def test(server: Serving, _: object, operator: aiohttp.ClientWebSocketResponse, __: object) -> None:
        server.process.send_signal(signal.SIGINT)
        assert (await next_message(operator, "ended"))["reason"] == "shutdown"
        await server.ends()

    drained(test, drain_s=600)
