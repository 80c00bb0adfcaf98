"""The link to OBS: what scenes it has, which one is on, and switching when an operator or a cue says so.

Speaks obs-websocket 5, RPC version 1 (https://github.com/obsproject/obs-websocket/blob/master/docs/generated/protocol.md).
"""

import asyncio
import base64
import hashlib
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp

from realtime.errors import NotFound, Unavailable

RPC_VERSION = 1
HELLO, IDENTIFY, IDENTIFIED, EVENT, REQUEST, RESPONSE = 0, 1, 2, 5, 6, 7
CONFIG_EVENTS, SCENE_EVENTS = 1 << 1, 1 << 2
WRONG_PASSWORD = 4009  # a close code
RETRY_S, PATIENCE_S, HEARTBEAT_S = 3.0, 5.0, 10.0
logger = logging.getLogger(__name__)


class ObsError(Exception):
    """OBS refuses the link, or says what obs-websocket 5 does not say."""


@dataclass(frozen=True)
class ObsScenes:
    """What OBS has and shows; `names` in the order of its list. Empty while there is no link."""

    names: tuple[str, ...] = ()
    current: str | None = None


class ObsLink:
    """Owns the connection. A wish that comes while the one before it waits replaces it: the last scene asked for counts."""

    def __init__(self, url: str, password: str | None, on_change: Callable[[], None]):
        self._url, self._password, self._on_change = url, password, on_change
        self._wish: str | None = None
        self._wished = asyncio.Event()
        self.connected = False
        self.scenes = ObsScenes()

    def switch(self, name: str) -> None:
        """Asks OBS for a scene. Raises Unavailable without OBS, NotFound when it has no such scene."""
        if not self.connected:
            raise Unavailable(f"OBS does not answer at {self._url}: start it and switch on its WebSocket server")
        if name not in self.scenes.names:
            raise NotFound(f"OBS has no scene {name!r}: choose one of {', '.join(self.scenes.names)}")
        self._wish = name
        self._wished.set()

    async def run(self) -> None:
        """Keeps the link up until it is cancelled; what goes wrong is logged once."""
        said = ""
        while True:
            try:
                async with aiohttp.ClientSession() as http:
                    await self._follow(http)
                problem = "it has closed the connection"
            except (aiohttp.ClientError, OSError, TimeoutError, ObsError) as error:
                problem = str(error) or type(error).__name__
            except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
                problem = f"it says what obs-websocket 5 does not say ({error!r})"
            was_connected, self.connected = self.connected, False
            self._become(ObsScenes())
            if was_connected or problem != said:
                logger.warning("no link to OBS at %s: %s; trying again every %g s", self._url, problem, RETRY_S)
            said = problem
            await asyncio.sleep(RETRY_S)

    async def _follow(self, http: aiohttp.ClientSession) -> None:
        async with http.ws_connect(self._url, protocols=("obswebsocket.json",), heartbeat=HEARTBEAT_S) as socket:
            async with asyncio.timeout(PATIENCE_S):
                await self._identify(socket)
            logger.info("linked to OBS at %s", self._url)
            self._wished.clear()  # a wish from before the link broke is no longer meant
            self.connected = True
            asking = asyncio.create_task(self._ask(socket), name="wishes to OBS")
            try:
                async for message in socket:
                    await self._hear(socket, message.json())
            finally:
                asking.cancel()

    async def _identify(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        hello = await _receive(socket, HELLO)
        identity: dict[str, Any] = {"rpcVersion": RPC_VERSION, "eventSubscriptions": CONFIG_EVENTS | SCENE_EVENTS}
        if challenge := hello.get("authentication"):
            if self._password is None:
                raise ObsError("it asks for a password: set FLAP_OBS_PASSWORD")
            identity["authentication"] = authentication(self._password, challenge["salt"], challenge["challenge"])
        await _send(socket, IDENTIFY, identity)
        await _receive(socket, IDENTIFIED)
        await _request(socket, "GetSceneList")

    async def _ask(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        with suppress(aiohttp.ClientError, ConnectionError):  # whoever listens hears that it is over
            while True:
                await self._wished.wait()
                self._wished.clear()
                await _request(socket, "SetCurrentProgramScene", {"sceneName": self._wish})

    async def _hear(self, socket: aiohttp.ClientWebSocketResponse, message: dict[str, Any]) -> None:
        match message:
            case {"op": 7, "d": {"requestStatus": {"result": False} as status, "requestType": kind}}:
                logger.warning("OBS refused %s: %s", kind, status.get("comment", status.get("code")))
            case {"op": 7, "d": {"requestType": "GetSceneList", "responseData": data}}:
                listed = sorted(data["scenes"], key=lambda scene: -scene["sceneIndex"])  # OBS counts from the bottom
                names = tuple(scene["sceneName"] for scene in listed)
                self._become(ObsScenes(names, data["currentProgramSceneName"]))
            case {"op": 5, "d": {"eventType": "CurrentProgramSceneChanged", "eventData": data}}:
                self._become(ObsScenes(self.scenes.names, data["sceneName"]))
            case {"op": 5, "d": {"eventType": kind}} if "Scene" in kind:  # made, renamed, removed, another collection
                await _request(socket, "GetSceneList")

    def _become(self, scenes: ObsScenes) -> None:
        changed, self.scenes = scenes != self.scenes, scenes
        if changed:
            self._on_change()


def authentication(password: str, salt: str, challenge: str) -> str:
    """What obs-websocket wants to hear instead of the password."""
    secret = base64.b64encode(hashlib.sha256((password + salt).encode()).digest())
    return base64.b64encode(hashlib.sha256(secret + challenge.encode()).digest()).decode()


async def _send(socket: aiohttp.ClientWebSocketResponse, op: int, data: dict[str, Any]) -> None:
    await socket.send_json({"op": op, "d": data})


async def _request(socket: aiohttp.ClientWebSocketResponse, kind: str, data: dict[str, Any] | None = None) -> None:
    await _send(socket, REQUEST, {"requestType": kind, "requestId": kind, "requestData": data or {}})


async def _receive(socket: aiohttp.ClientWebSocketResponse, op: int) -> dict[str, Any]:
    """The data of the next message, which must be of this kind."""
    message = await socket.receive()
    if message.type is not aiohttp.WSMsgType.TEXT:
        wrong = socket.close_code == WRONG_PASSWORD
        raise ObsError("the password in FLAP_OBS_PASSWORD is wrong" if wrong else "it has closed the connection")
    body = message.json()
    if body.get("op") != op:
        raise ObsError(f"it does not speak obs-websocket 5: no message {op} where one was due")
    data: dict[str, Any] = body["d"]
    return data
