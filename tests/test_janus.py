"""A session goes through Janus, another project's SFU: published by WHIP, watched by somebody who has never heard of us."""

import asyncio
import shutil
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiortc import RTCPeerConnection, RTCSessionDescription

from realtime.outputs.outputs import Outputs
from realtime.outputs.whip import WhipOutput
from realtime.places import Places
from tests.shows import Show
from tests.taken import Taken

pytestmark = pytest.mark.slow
JANUS_CONFIG = Path("/etc/janus")
ROOM = 77


class Janus:
    """Its HTTP API, as far as a room with one publisher needs it."""

    def __init__(self, http: aiohttp.ClientSession, url: str):
        self._http, self._url = http, url

    async def _post(self, url: str, **body: Any) -> dict[str, Any]:
        async with self._http.post(url, json=body | {"transaction": uuid.uuid4().hex}) as response:
            return dict(await response.json())

    async def room_handle(self) -> "Handle":
        session = f"{self._url}/{(await self._post(self._url, janus='create'))['data']['id']}"
        attached = await self._post(session, janus="attach", plugin="janus.plugin.videoroom")
        return Handle(self, session, f"{session}/{attached['data']['id']}")


class Handle:
    def __init__(self, janus: Janus, session: str, url: str):
        self._janus, self._session, self.url = janus, session, url

    async def ask(self, jsep: dict[str, str] | None = None, **body: Any) -> dict[str, Any]:
        return await self._janus._post(self.url, janus="message", body=body, **({"jsep": jsep} if jsep else {}))

    async def event(self) -> dict[str, Any]:
        """The plugin's next event."""
        for _ in range(50):
            async with self._janus._http.get(self._session) as response:
                event = await response.json()
            if event.get("janus") == "event":
                return dict(event)
        raise AssertionError("Janus says nothing")


@asynccontextmanager
async def janus() -> AsyncIterator[Janus]:
    """A Janus of its own, with the configuration that comes with it; skips where there is none."""
    program = shutil.which("janus")
    if program is None or not JANUS_CONFIG.exists():
        pytest.skip("no Janus: sh requirements/system.sh foreign")
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 8088)) == 0:
            pytest.skip("something listens on Janus's port 8088")
    process = await asyncio.create_subprocess_exec(
        program, "-F", str(JANUS_CONFIG), "-o", stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with aiohttp.ClientSession() as http:
            made = Janus(http, "http://127.0.0.1:8088/janus")
            async with asyncio.timeout(20):
                while True:
                    try:
                        async with http.get("http://127.0.0.1:8088/janus/info"):
                            break
                    except aiohttp.ClientError:
                        await asyncio.sleep(0.1)
            yield made
    finally:
        process.terminate()
        await process.wait()


def whip_door(room: Handle) -> web.Application:
    """WHIP in front of a room of Janus, which has none of its own: an offer in, Janus's answer out."""

    async def publish(request: web.Request) -> web.Response:
        offer = {"type": "offer", "sdp": await request.text()}
        await room.ask(jsep=offer, request="publish", audiocodec="opus", videocodec="h264")
        while "jsep" not in (event := await room.event()):
            pass
        return web.Response(status=201, text=event["jsep"]["sdp"], content_type="application/sdp")

    app = web.Application()
    app.router.add_post("/whip", publish)
    return app


async def subscribe(connection: RTCPeerConnection, handle: Handle, publisher: int) -> None:
    """A connection to a publisher of the room."""
    await handle.ask(request="join", ptype="subscriber", room=ROOM, streams=[{"feed": publisher}])
    while "jsep" not in (event := await handle.event()):
        pass
    await connection.setRemoteDescription(RTCSessionDescription(event["jsep"]["sdp"], "offer"))
    await connection.setLocalDescription(await connection.createAnswer())
    await handle.ask(jsep={"type": "answer", "sdp": connection.localDescription.sdp}, request="start")


def test_janus_takes_a_session_by_whip_and_hands_it_on() -> None:
    async def run() -> None:
        async with janus() as sfu, Show() as show:
            room = await sfu.room_handle()
            await room.ask(request="create", room=ROOM, publishers=1, audiocodec="opus", videocodec="h264")
            await room.ask(request="join", ptype="publisher", room=ROOM, display="avatar")
            publisher = (await room.event())["plugindata"]["data"]["id"]
            taken, some = Taken(), Outputs(show.hubs, Places(32), lambda: None)
            async with TestServer(whip_door(room)) as door:
                running = some.start(WhipOutput(str(door.make_url("/whip")), None, ("127.0.0.1",)))
                async with asyncio.timeout(60):
                    while running.report.state != "live":
                        assert running.report.state != "failed", running.report.detail
                        await asyncio.sleep(0.1)
                    watcher = taken.connect()
                    await subscribe(watcher, await sfu.room_handle(), publisher)
                    while len(taken.pictures) < 50 or taken.sounds < 50:
                        await asyncio.sleep(0.1)
                assert np.abs(taken.pictures[-1].astype(int) - show.picture()).mean() < 12
                await watcher.close()
                taken.close()
                await some.close()

    asyncio.run(run())
