"""A browser's side of a session, in this process: speaks tone bursts, watches what comes back."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from aiohttp.test_utils import TestClient, TestServer
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from numpy.typing import NDArray

from realtime.config import ServerConfig
from realtime.render.link import Launch
from realtime.server import Server
from realtime.sound import jitter_buffer
from realtime.web.app import application
from tests.fakes import FakePortraitStage, face_column, fake_renderer, launch_thread, mouth_opening

BLOCK = 960
PERIOD_S, BURST_S = 0.8, 0.3


class BurstMicrophone(MediaStreamTrack):
    """A 400 Hz tone for 0.3 s out of every 0.8 s; `loud=False` says nothing."""

    kind = "audio"

    def __init__(self, loud: bool = True) -> None:
        super().__init__()
        self.loud, self._block, self._start_s = loud, 0, time.monotonic()

    async def recv(self) -> av.AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        await asyncio.sleep(max(0.0, self._start_s + self._block * 0.02 - time.monotonic()))
        seconds = (np.arange(BLOCK) + self._block * BLOCK) / 48_000
        tone = np.sin(2 * np.pi * 400 * seconds) * 12_000 * (seconds % PERIOD_S < BURST_S) * self.loud
        frame = av.AudioFrame.from_ndarray(tone.astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, self._block * BLOCK, Fraction(1, 48_000)
        self._block += 1
        return frame


@dataclass
class Watched:
    """What came back, each with the wall moment of its arrival."""

    seconds: list[float] = field(default_factory=list)
    openings: list[int] = field(default_factory=list)
    columns: list[float] = field(default_factory=list)
    levels: list[tuple[float, float]] = field(default_factory=list)  # (second, level of 20 ms of sound)

    def forget(self) -> None:
        for values in (self.seconds, self.openings, self.columns, self.levels):
            values.clear()  # type: ignore[attr-defined]

    @property
    def frames_per_second(self) -> float:
        if len(self.seconds) < 2:  # a key frame was lost, and the next one is waited for
            return 0.0
        return (len(self.seconds) - 1) / (self.seconds[-1] - self.seconds[0])

    def envelopes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mouth opening and sound level at every 10 ms."""
        times = np.arange(self.seconds[0] + 0.1, self.seconds[-1] - 0.1, 0.01)
        level_s, level = np.array(self.levels).T
        return np.interp(times, self.seconds, self.openings), np.interp(times, level_s, level)

    def mouth_lag_ms(self) -> tuple[float, float]:
        """(how much later than its sound the mouth opens, the correlation at that lag)."""
        mouth, level = self.envelopes()
        best = max(
            (float(np.corrcoef(mouth[30 + lag : len(mouth) - 30 + lag], level[30:-30])[0, 1]), lag)
            for lag in range(-30, 31)
        )
        return best[1] * 10.0, best[0]


class LiveClient:
    """One peer connection with microphone and avatar, as `POST /offer` makes it."""

    def __init__(self, http: TestClient, loud: bool = True) -> None:
        self.http, self.watched, self.session_id = http, Watched(), ""
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.microphone = BurstMicrophone(loud)
        self.seen = np.zeros((0, 0, 3), np.uint8)  # the last picture
        self._tasks: list[asyncio.Task[None]] = []
        self.connection.on("track", self._track_came)

    async def offer(self) -> RTCSessionDescription:
        self.connection.addTrack(self.microphone)
        self.connection.addTransceiver("video", direction="recvonly")
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription

    async def start(self, **body: str) -> None:
        offer = await self.offer()
        response = await self.http.post("/offer", json={"type": "offer", "sdp": offer.sdp, **body})
        assert response.status == 200, await response.text()
        answer = await response.json()
        self.session_id = answer["session_id"]
        await self.connection.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))

    async def watch(self, seconds: float) -> Watched:
        """What comes in the next `seconds`, after the first picture, and until another one has come."""
        await self._picture()
        self.watched.forget()
        await asyncio.sleep(seconds)
        await self._picture()
        return self.watched

    async def _picture(self) -> None:
        for _ in range(600):
            if self.watched.seconds:
                return
            await asyncio.sleep(0.05)
        raise AssertionError("no picture came in 30 s")

    async def see_at_least(self, frames_per_second: float) -> Watched:
        """A second at this rate, within ten of them: what else runs on a machine may take some, a fault takes all."""
        rates = []
        for _ in range(10):
            watched = await self.watch(1)
            rates.append(watched.frames_per_second)
            if rates[-1] >= frames_per_second:
                return watched
        raise AssertionError(f"never {frames_per_second} frames a second: {rates}")

    def _track_came(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio":  # aiortc's own buffer would hold sound 80 ms longer than pictures
            jitter_buffer.install(next(r for r in self.connection.getReceivers() if r.track is track))
        watch = self._see if track.kind == "video" else self._hear
        self._tasks.append(asyncio.create_task(watch(track)))

    async def _see(self, track: MediaStreamTrack) -> None:
        while True:
            frame = await track.recv()
            second = time.monotonic()
            self.seen = picture = frame.to_ndarray(format="rgb24")
            self.watched.seconds.append(second)
            self.watched.openings.append(mouth_opening(picture))
            self.watched.columns.append(face_column(picture))

    async def _hear(self, track: MediaStreamTrack) -> None:
        while True:
            frame = await track.recv()
            level = float(np.abs(frame.to_ndarray()).mean())
            self.watched.levels.append((time.monotonic(), level))

    async def close(self) -> None:
        await self.connection.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def serving(
    folder: Path,
    config: ServerConfig | None = None,
    portrait: FakePortraitStage | None = None,
    launch: Launch = launch_thread,
) -> AsyncIterator[TestClient]:
    """A server with drawn faces on a free port."""
    renderer = fake_renderer(folder, portrait, launch)
    server = Server(renderer, await renderer.start(), config or ServerConfig(port=0))
    async with TestClient(TestServer(application(server))) as client:
        yield client


@asynccontextmanager
async def living(http: TestClient, loud: bool = True, **body: str) -> AsyncIterator[LiveClient]:
    client = LiveClient(http, loud)
    try:
        await client.start(**body)
        yield client
    finally:
        await client.close()
