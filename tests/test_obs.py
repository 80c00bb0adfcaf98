"""The link to OBS, against a server that speaks obs-websocket 5 as OBS does."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets

from realtime.desk.obs import ObsLink, ObsScenes, authentication
from realtime.errors import NotFound, Unavailable

PASSWORD, SALT, CHALLENGE = (
    "secret",
    "lM1GncleQOaCu9lT1yeUZhFYnqhsLLP1G5lAGo3ixaI=",
    "+IxH4CnCiqpX1rM9scsNynZzbOe4KhDeYcTNS3PDaeY=",
)


class FakeObs:
    """Three scenes; remembers what it was asked. `says` sends to whoever is linked."""

    def __init__(self) -> None:
        self.scenes, self.current, self.asked = ["Wide", "Close-up", "Product"], "Wide", list[str]()
        self._linked: list[Any] = []

    async def serve(self, socket: Any) -> None:
        await self._send(
            socket, 0, obsWebSocketVersion="5.1.0", rpcVersion=1, authentication={"challenge": CHALLENGE, "salt": SALT}
        )
        identity = json.loads(await socket.recv())
        assert identity["op"] == 1 and identity["d"]["rpcVersion"] == 1
        if identity["d"].get("authentication") != authentication(PASSWORD, SALT, CHALLENGE):
            return await socket.close(4009, "Authentication failed.")
        await self._send(socket, 2, negotiatedRpcVersion=1)
        self._linked.append(socket)
        async for text in socket:
            request = json.loads(text)["d"]
            self.asked.append(request["requestType"])
            await self._answer(socket, request)

    async def _answer(self, socket: Any, request: dict[str, Any]) -> None:
        data: dict[str, Any] = {}
        if request["requestType"] == "GetSceneList":
            listed = [{"sceneIndex": i, "sceneName": name} for i, name in enumerate(reversed(self.scenes))]
            data = {"currentProgramSceneName": self.current, "scenes": listed}
        else:
            self.current = request["requestData"]["sceneName"]
        status = {"result": True, "code": 100}
        await self._send(
            socket,
            7,
            requestType=request["requestType"],
            requestId=request["requestId"],
            requestStatus=status,
            responseData=data,
        )
        if request["requestType"] == "SetCurrentProgramScene":
            await self.says("CurrentProgramSceneChanged", sceneName=self.current)

    async def says(self, event: str, **data: Any) -> None:
        for socket in self._linked:
            await self._send(socket, 5, eventType=event, eventIntent=4, eventData=data)

    async def leave(self) -> None:
        for socket in self._linked:
            await socket.close()
        self._linked.clear()

    async def _send(self, socket: Any, op: int, **data: Any) -> None:
        await socket.send(json.dumps({"op": op, "d": data}))


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def linked(password: str | None = PASSWORD) -> AsyncIterator[tuple[FakeObs, ObsLink, list[ObsScenes]]]:
    obs, told = FakeObs(), list[ObsScenes]()
    async with websockets.serve(obs.serve, "127.0.0.1", 0, subprotocols=["obswebsocket.json"]) as server:  # type: ignore[list-item]
        port = next(iter(server.sockets)).getsockname()[1]
        link = ObsLink(f"ws://127.0.0.1:{port}", password, lambda: told.append(link.scenes))
        running = asyncio.create_task(link.run())
        yield obs, link, told
        running.cancel()


def test_the_password_is_answered_as_the_protocol_says() -> None:
    # worked out by hand with `openssl dgst -sha256 -binary | base64` from the protocol's own salt and challenge
    assert authentication("supersecretpassword", SALT, CHALLENGE) == "1Ct943GAT+6YQUUX47Ia/ncufilbe6+oD6lY+5kaCu4="


def test_the_scenes_of_obs_are_known_from_the_top_of_its_list_and_switched() -> None:
    async def run() -> None:
        async with linked() as (obs, link, told):
            await until(lambda: link.scenes.current is not None)
            assert link.scenes == ObsScenes(("Wide", "Close-up", "Product"), "Wide")
            link.switch("Product")
            await until(lambda: link.scenes.current == "Product")
            assert obs.current == "Product" and told[-1].current == "Product"

    asyncio.run(run())


def test_what_happens_in_obs_itself_is_followed() -> None:
    async def run() -> None:
        async with linked() as (obs, link, _):
            await until(lambda: link.connected and link.scenes.names != ())
            await obs.says("CurrentProgramSceneChanged", sceneName="Close-up")
            await until(lambda: link.scenes.current == "Close-up")
            obs.scenes, obs.current = ["Wide", "Outside"], "Wide"
            await obs.says("SceneCreated", sceneName="Outside", isGroup=False)
            await until(lambda: link.scenes == ObsScenes(("Wide", "Outside"), "Wide"))

    asyncio.run(run())


def test_an_unknown_scene_and_a_missing_obs_are_refused_with_what_to_do() -> None:
    async def run() -> None:
        async with linked() as (_, link, _told):
            with pytest.raises(Unavailable, match="switch on its WebSocket server"):
                link.switch("Wide")
            await until(lambda: link.scenes.names != ())
            with pytest.raises(NotFound, match="choose one of Wide, Close-up, Product"):
                link.switch("Moon")

    asyncio.run(run())


def test_the_link_comes_back_and_forgets_what_was_asked_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        monkeypatch.setattr("realtime.desk.obs.RETRY_S", 0.05)
        async with linked() as (obs, link, told):
            await until(lambda: link.scenes.names != ())
            await obs.leave()
            await until(lambda: ObsScenes() in told)
            await until(lambda: link.scenes.names != ())
            assert "SetCurrentProgramScene" not in obs.asked

    asyncio.run(run())


@pytest.mark.parametrize(
    ("password", "says"), [("wrong", "FLAP_OBS_PASSWORD is wrong"), (None, "set FLAP_OBS_PASSWORD")]
)
def test_a_wrong_or_missing_password_is_named_in_the_log(
    password: str | None, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        async with linked(password) as (_, link, _told):
            await until(lambda: says in caplog.text)
            assert not link.connected

    asyncio.run(run())


@pytest.mark.parametrize("said", ["[]", '{"op": 0, "d": []}', "[" * 100_000, "7"])
def test_something_that_is_no_obs_is_named_in_the_log_and_asked_again(
    said: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.desk.obs.RETRY_S", 0.05)

    async def run() -> None:
        asked: list[str] = []

        async def say(socket: Any) -> None:
            asked.append(said)
            await socket.send(said)
            await socket.wait_closed()

        async with websockets.serve(say, "127.0.0.1", 0, subprotocols=["obswebsocket.json"]) as server:  # type: ignore[list-item]
            port = next(iter(server.sockets)).getsockname()[1]
            link = ObsLink(f"ws://127.0.0.1:{port}", None, lambda: None)
            running = asyncio.create_task(link.run())
            await until(lambda: len(asked) > 1)
            running.cancel()
        assert "obs-websocket 5" in caplog.text

    asyncio.run(run())
