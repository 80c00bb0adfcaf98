"""Throws malformed requests at a running server and counts what it should never answer.

Offers, ICE fragments, JSON bodies, sound files, photographs, control messages and plain bytes where HTTP is expected: each
is one that a client might have sent, with a few things wrong. Input `n` of a seed is always the same.
"""

import argparse
import asyncio
import io
import json
import sys
import wave
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from urllib.parse import urlsplit

import aiohttp
import cv2
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection

from benchmarks.machine import REPOSITORY
from benchmarks.odd_inputs import odd_bytes, odd_json, odd_text

EXAMPLES = REPOSITORY / "tests" / "messages.json"  # one of every message of the control channel
AT_ONCE = 4
PATIENCE_S = 90.0  # a photograph is looked at for 60 s at most
RAW_PATIENCE_S = 1.0
CUES = {"name": "show", "cues": [{"id": "a", "name": "A", "at_ms": 10, "commands": [{"type": "blink.now"}]}]}
FRAGMENT = "a=ice-ufrag:{ufrag}\r\na=ice-pwd:x\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n"
RAW = (
    "{method} {target} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}",
    "{method} {target} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n",
    "{method} {target} HTTP/1.0\r\nHost: {host}\r\nCookie: flap_token_viewer=a.b.c\r\nRange: bytes=0-1\r\n\r\n",
    "GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\r\n",
)  # fmt: skip
TARGETS = (
    "/", "/watch?session=x", "/static/page.js", "/static/../run_server.py", "/api/presenters", "/api/presenters/%00/thumbnail",
    "/api/sessions", "/api/sessions/{session}", "/api/sessions/{session}/control", "/api/sessions/{session}/cues",
    "/api/sessions/{session}/whip", "/api/sessions/{session}/audio", "/watch.mjpeg?session=%ff", "/health", "/metrics", "/offer",
)  # fmt: skip
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "BREW")


@dataclass
class Fuzzed:
    """What came of it. `crashes`: times that the server did not answer `/health` any more, or broke a connection off."""

    inputs: int = 0
    crashes: int = 0
    http_500: int = 0
    answers: Counter[str] = field(default_factory=Counter)  # by status; "none" where none is owed
    faults: list[str] = field(default_factory=list)  # which inputs, of those counted above


async def offers() -> dict[str, str]:
    """Good SDP offers by what they ask for."""
    made = {}
    for name, kinds in {"host": ["audio"], "viewer": ["audio", "video"]}.items():
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        for kind in kinds:
            connection.addTransceiver(kind, direction="sendrecv" if name == "host" else "recvonly")
        await connection.setLocalDescription(await connection.createOffer())
        made[name] = connection.localDescription.sdp
        await connection.close()
    return made


def sound_file() -> bytes:
    """A tenth of a second as WAV."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(16_000)
        writer.writeframes(bytes(3200))
    return file.getvalue()


def photograph() -> bytes:
    _, png = cv2.imencode(".png", np.full((64, 64, 3), 128, np.uint8))
    return png.tobytes()


class Fuzzer:
    """Owns one session of the server, which its inputs go to, and removes whatever they happen to make."""

    def __init__(self, http: aiohttp.ClientSession, base_url: str, seed: int, good: dict[str, str], uploads: float):
        self._http, self._base_url, self._seed, self._offers = http, base_url.rstrip("/"), seed, good
        self._messages = json.loads(EXAMPLES.read_text())["client"]
        self._sound, self._photograph = sound_file(), photograph()
        self._session = ""
        self.result = Fuzzed()
        plain: list[tuple[float, Callable[[Random], Awaitable[str]]]] = [
            (30, self._sdp), (8, self._fragment), (12, self._json), (30, self._control), (20, self._raw),
            (2 * uploads, self._upload_sound), (0.5 * uploads, self._upload_photograph),
        ]  # fmt: skip
        self._weights, self._kinds = zip(*plain, strict=True)

    async def run(self, inputs: int) -> Fuzzed:
        """`inputs` of them, a few at a time."""
        waiting = iter(range(inputs))

        async def work() -> None:
            for number in waiting:
                await self._one(number)

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        if self._session:
            await self._ask("DELETE", f"/api/sessions/{self._session}")
        return self.result

    async def _one(self, number: int) -> None:
        rng, result = Random(f"{self._seed} {number}"), self.result
        send = rng.choices(self._kinds, self._weights)[0]
        name = f"{send.__name__.strip('_')} {number}"
        try:
            answer = await send(rng)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            answer = f"broken off: {error!r}"
        result.inputs += 1
        result.answers[answer] += 1
        if answer.startswith("broken off") or (number % 50 == 0 and await self._ask("GET", "/health") != "200"):
            result.crashes += 1
            result.faults.append(f"{name}: {answer}")
        elif answer[0] == "5" and answer != "503":
            result.http_500 += 1
            result.faults.append(f"{name}: {answer}")

    async def _ask(self, method: str, path: str, **request: object) -> str:
        """The status of the answer. What was made is removed again."""
        timeout = aiohttp.ClientTimeout(PATIENCE_S)
        async with self._http.request(method, self._base_url + path, timeout=timeout, **request) as response:  # type: ignore[arg-type]
            body = await response.read()
            made = response.headers.get("Location")
            if path == "/offer" and response.status == 200:
                made = f"/api/sessions/{json.loads(body)['session_id']}"
            elif path == "/api/sessions" and response.status == 201:
                made = f"/api/sessions/{json.loads(body)['id']}"
        if made and made.startswith("/api/"):
            async with self._http.delete(self._base_url + made):
                pass
        return str(response.status)

    async def _target(self) -> str:
        """The id of a session that is there."""
        if self._session and await self._ask("GET", f"/api/sessions/{self._session}") == "200":
            return self._session
        async with self._http.post(f"{self._base_url}/api/sessions") as response:
            if response.status == 201:
                self._session = (await response.json())["id"]
        return self._session or "none"

    async def _sdp(self, rng: Random) -> str:
        offer = odd_text(self._offers[rng.choice(("host", "viewer"))], rng)
        door = rng.choice(("/offer", "whip", "whep"))
        if door == "/offer":
            return await self._ask("POST", door, json={"type": "offer", "sdp": offer})
        path = f"/api/sessions/{await self._target()}/{door}"
        kind = "application/sdp" if rng.random() < 0.95 else rng.choice(("text/plain", "application/sdp; charset=x"))
        return await self._ask("POST", path, data=offer.encode(errors="surrogatepass"), headers={"Content-Type": kind})

    async def _fragment(self, rng: Random) -> str:
        """Trickled candidates for a connection that is there."""
        session = await self._target()
        url = f"{self._base_url}/api/sessions/{session}/whep"
        async with self._http.post(
            url, data=self._offers["viewer"], headers={"Content-Type": "application/sdp"}
        ) as response:
            where, etag = (
                response.headers.get("Location", f"/api/sessions/{session}/whep/x"),
                response.headers.get("ETag", '"x"'),
            )
        ufrag = self._offers["viewer"].split("a=ice-ufrag:")[1].split()[0]
        headers = {
            "Content-Type": "application/trickle-ice-sdpfrag",
            "If-Match": rng.choice((etag, etag, "*", '"x"', "W/")),
        }
        fragment = odd_text(FRAGMENT.format(ufrag=ufrag), rng).encode(errors="surrogatepass")
        try:
            return await self._ask("PATCH", where, data=fragment, headers=headers)
        finally:
            await self._ask("DELETE", where)

    async def _json(self, rng: Random) -> str:
        session = f"/api/sessions/{await self._target()}"
        method, path, body = rng.choice(
            (
                ("POST", "/api/sessions", {"presenter": "ada"}),
                ("POST", "/offer", {"type": "offer", "sdp": "v=0", "session_id": "x", "presenter": "ada"}),
                ("PUT", f"{session}/cues", CUES),
                ("POST", f"{session}/outputs", {"kind": "virtual_camera", "size": 256, "device": "x"}),
            )
        )
        data = odd_json(body, rng).encode(errors="surrogatepass")
        return await self._ask(method, path, data=data, headers={"Content-Type": "application/json"})

    async def _control(self, rng: Random) -> str:
        """A message between the session's hello and a ping: the pong says that the channel lives."""
        session = f"/api/sessions/{await self._target()}"
        try:
            async with self._http.ws_connect(
                f"{self._base_url}{session}/control", timeout=aiohttp.ClientWSTimeout(ws_close=1.0)
            ) as socket:
                message = odd_json(rng.choice(self._messages), rng)
                if rng.random() < 0.05:
                    await socket.send_bytes(message.encode(errors="surrogatepass"))
                else:
                    await socket.send_str(message.encode(errors="replace").decode())
                if len(message) > 16_384:  # ends the channel, by its code for a message that is too long
                    while (received := await socket.receive(PATIENCE_S)).type is aiohttp.WSMsgType.TEXT:
                        pass
                    return f"closed {received.data}"
                await socket.send_json({"type": "ping", "id": "alive", "client_time_ms": 1})
                async with asyncio.timeout(PATIENCE_S):
                    async for received in socket:
                        if received.type is aiohttp.WSMsgType.TEXT and json.loads(received.data)["type"] == "pong":
                            return "pong"
                if socket.close_code == aiohttp.WSCloseCode.OK and await self._ask("GET", session) == "404":
                    return "ended"  # another input has removed the session
                return "broken off: no pong"
        except aiohttp.WSServerHandshakeError as error:
            return str(error.status)

    async def _raw(self, rng: Random) -> str:
        """Bytes where HTTP is expected. A half-sent request is owed no answer."""
        address = urlsplit(self._base_url)
        target = rng.choice(TARGETS).format(session=await self._target())
        text = rng.choice(RAW).format(method=rng.choice(METHODS), target=target, host=address.netloc)
        data = odd_bytes(text.encode(), rng) if rng.random() < 0.5 else odd_text(text, rng).encode(errors="replace")
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        try:
            writer.write(data)
            writer.write_eof()
            async with asyncio.timeout(RAW_PATIENCE_S):
                words = (await reader.readline()).split()
        except (TimeoutError, ConnectionError, ValueError):
            return "none"
        finally:
            writer.close()
        return words[1].decode() if len(words) > 1 and words[1].isdigit() else "none"

    async def _upload_sound(self, rng: Random) -> str:
        path, data = f"/api/sessions/{await self._target()}/audio", odd_bytes(self._sound, rng)
        return await self._ask("POST", path, data=data, headers={"Content-Type": "audio/wav"})

    async def _upload_photograph(self, rng: Random) -> str:
        query = "?name=Fuzz&consent=mine" if rng.random() < 0.9 else "?name=%00&consent="
        data = odd_bytes(self._photograph, rng)
        return await self._ask("POST", f"/api/presenters{query}", data=data, headers={"Content-Type": "image/png"})


async def fuzz(base_url: str, inputs: int, seed: int = 1, uploads: float = 1.0) -> Fuzzed:
    """Sends `inputs` malformed inputs; `uploads` is the share of files among them relative to the usual 2.5 %.

    The server must take many requests of one address (`--requests-per-minute`), else most never reach a parser.
    """
    async with aiohttp.ClientSession() as http:
        return await Fuzzer(http, base_url, seed, await offers(), uploads).run(inputs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--uploads", type=float, default=1.0, help="share of files, relative to the usual 2.5 %%")
    options = parser.parse_args()
    result = vars(asyncio.run(fuzz(options.url, options.inputs, options.seed, options.uploads)))
    for fault in result.pop("faults"):
        print(fault, file=sys.stderr)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
