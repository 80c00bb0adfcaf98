"""A session keeps its time when the renderer does not, and shares it fairly."""

import asyncio
import itertools
import json
import os
import random
import signal
import socket
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from aiohttp.test_utils import TestClient
from numpy.typing import NDArray

from flap import coefficients as co
from flap.config import FRAME_RATE_HZ
from realtime.config import ServerConfig
from realtime.desk.operators import Operator
from realtime.errors import NotFound
from realtime.media.encoder import VIDEO_CLOCK_HZ
from realtime.media.hub import Hubs
from realtime.media.peer import Peer
from realtime.outputs.outputs import Report
from realtime.render.link import launch_process
from realtime.render.portrait import Drawn, Frames
from realtime.server import SERVER
from realtime.session import Session
from tests.fakes import SKIN, FakePortraitStage, FineFakePortraitStage
from tests.live_client import living, serving


class SlowPortraitStage(FakePortraitStage):
    """Takes longer than real time for a chunk."""

    seconds = 0.06

    def step(self, faces: co.Array, state: str, steps: int | None = None) -> tuple[np.ndarray, str]:
        time.sleep(self.seconds)
        return super().step(faces, state)


class UnevenPortraitStage(FakePortraitStage):
    """Draws two chunks at once, as the portrait stage does; some take much longer than others, and than the delay gives them."""

    at_once = 2
    threads, random = ThreadPoolExecutor(at_once), random.Random(2)  # of the class, so that it can be pickled

    def begin(
        self, faces: co.Array, state: str, steps: int | None = None, finish: Callable[[Frames], Frames] = lambda frames: frames
    ) -> tuple[Future[Drawn], str]:  # fmt: skip
        seconds = self.random.uniform(0.005, 0.125)

        def draw() -> Drawn:
            time.sleep(seconds)
            return Drawn(finish(self.step(faces, state, steps)[0]), 1000 * seconds)

        return self.threads.submit(draw), state


async def chunks(http: TestClient, what: str) -> NDArray[np.int64]:
    """A count of chunks for each session."""
    lines = (await (await http.get("/metrics")).text()).splitlines()
    return np.array([int(line.split()[1]) for line in lines if line.startswith(f"flap_{what}_chunks_total{{")])


def test_a_renderer_that_is_too_slow_costs_pictures_but_not_sound_or_delay(tmp_path: Path) -> None:
    """At half the frame rate it is quick enough, which metrics and operators are told."""

    async def run() -> None:
        async with serving(tmp_path, portrait=SlowPortraitStage()) as http, living(http) as client:
            async with http.ws_connect(f"/api/sessions/{client.session_id}/control") as socket:
                while True:
                    message = json.loads((await asyncio.wait_for(socket.receive(), 30)).data)
                    if message["type"] == "stats" and message["target_frames_per_second"] == 12.5:
                        break
            watched = await client.see_at_least(23)  # held and blended pictures are sent too
            assert len(watched.levels) >= 45
            assert await chunks(http, "left_out") > 1
            metrics = await (await http.get("/metrics")).text()
            assert f'flap_quality_target_frames_per_second{{session="{client.session_id}"}} 12.5' in metrics
            p95_ms = float(metrics.split('quantile="0.95"} ')[1].split()[0])
            assert p95_ms <= 400, "the delay does not grow"

    asyncio.run(run())


def test_viewers_see_pictures_as_large_as_they_are_drawn_in_standby_too(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path, portrait=FineFakePortraitStage()) as http, living(http) as client:
            await client.see_at_least(5)
            assert client.seen.shape == (512, 512, 3)
            assert np.abs(client.seen[264, 256].astype(int) - SKIN["ada"]).max() < 12, "the face, in the middle"
            async with http.ws_connect(f"/api/sessions/{client.session_id}/control") as desk:
                await desk.send_json({"type": "standby", "id": "a", "on": True})
                await client.watch(1.0)
                assert client.seen.shape == (512, 512, 3)
                assert client.seen[460:500, 20:200].max() > 240, "the label's letters, in its corner"

    asyncio.run(run())


def slow(seconds: float) -> FakePortraitStage:
    stage = SlowPortraitStage()
    stage.seconds = seconds
    return stage


@pytest.mark.parametrize(
    ("stage", "period"), [(slow(0.0), 1), (UnevenPortraitStage(), 1), (slow(0.06), 2), (slow(0.25), 2)]
)
def test_the_acknowledged_frame_is_the_first_that_shows_a_command(
    tmp_path: Path, stage: FakePortraitStage, period: int
) -> None:
    """At the full frame rate, where pictures come too late now and then, at half the rate where chunks are left out, and where
    every picture comes too late."""
    pictures: dict[int, int] = {}  # frame -> checksum

    async def watch(session: Session) -> None:
        with session.outputs.watch("RGB", None) as tap:
            async for _, packet in tap.packets():
                pictures[packet.pts // (VIDEO_CLOCK_HZ // FRAME_RATE_HZ)] = zlib.crc32(bytes(packet))

    async def reach(frame: int) -> None:
        while max(pictures, default=0) < frame:
            await asyncio.sleep(0.02)

    async def acknowledged(operator: Operator) -> int:
        while (message := json.loads(await operator.outgoing.get() or "{}"))["type"] != "ack":
            pass
        return int(message["frame"])

    async def run() -> None:
        async with serving(tmp_path, portrait=stage) as http:
            session_id = (await (await http.post("/api/sessions", json={})).json())["id"]
            assert http.app
            session = http.app[SERVER].session(session_id)
            watching, operator, rng = asyncio.create_task(watch(session)), session.desk.join(""), random.Random(1)
            while session.metrics.level.period < period or len(pictures) < 5:
                await asyncio.sleep(0.02)
            for number in range(6):
                await asyncio.sleep(rng.uniform(0, 0.16))  # anywhere within two chunks
                turn = {"type": "pose.set", "id": str(number), "yaw_deg": 3 * (-1) ** number, "ease_ms": 0}
                assert session.desk.obey(operator, json.dumps(turn)) is None
                frame = await asyncio.wait_for(acknowledged(operator), 60)
                await asyncio.wait_for(reach(frame + 4), 60)
                shown = sorted(number for number in pictures if number >= frame - 4)
                first = next(number for number in shown if number >= frame)  # one may have been skipped
                changed = [b for a, b in itertools.pairwise(shown) if pictures[a] != pictures[b]]
                assert changed[:1] == [first], (frame, shown, changed)
            watching.cancel()

    asyncio.run(run())


def test_a_session_that_the_machine_cannot_sustain_is_refused_and_told_why(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path, portrait=SlowPortraitStage()) as http:
            assert (await (await http.get("/health")).json())["max_sessions"] == 1
            assert (await http.post("/api/sessions")).status == 201
            refused = await http.post("/api/sessions")
            assert refused.status == 503
            error = (await refused.json())["error"]
            assert error["code"] == "overloaded"
            assert "sustains 1 at 12.5 frames a second, and 1 run" in error["message"]

    asyncio.run(run())


def test_sessions_share_a_slow_renderer_evenly(tmp_path: Path) -> None:
    async def run() -> None:
        config = ServerConfig(port=0, admission="off")
        async with (
            serving(tmp_path, config, portrait=SlowPortraitStage()) as http,
            living(http) as one,
            living(http) as other,
        ):
            await asyncio.gather(one.watch(0), other.watch(0))
            drawn_before, dropped_before = await chunks(http, "drawn"), await chunks(http, "dropped")
            drawn = dropped = np.zeros(2, np.int64)
            while drawn.sum() < 24 or dropped.sum() < 24:
                await asyncio.sleep(0.1)
                drawn = await chunks(http, "drawn") - drawn_before
                dropped = await chunks(http, "dropped") - dropped_before
            assert drawn.min() > 0.4 * drawn.max()

    asyncio.run(run())


def test_a_killed_renderer_costs_a_pause_and_no_viewer(tmp_path: Path) -> None:
    """Sound and held pictures go on, the avatar is back within seconds, and its head is still turned."""

    async def run() -> None:
        async with serving(tmp_path, launch=launch_process) as http, living(http) as client:
            async with http.ws_connect(f"/api/sessions/{client.session_id}/control") as socket:
                await socket.send_json({"type": "pose.set", "id": "p", "yaw_deg": 8})
                await asyncio.sleep(1.5)
            turned = (await client.watch(0.5)).columns[-1]
            renderer = http.app[SERVER].renderer  # type: ignore[index]
            os.kill(renderer.process_id, signal.SIGKILL)
            while not renderer.restarts:
                await asyncio.sleep(0.02)
            refused = await http.get("/ready")
            assert (refused.status, (await refused.json())["reason"]) == (503, "renderer_down")
            paused = await client.see_at_least(20)
            came_s = [second for second, _ in paused.levels]
            assert np.diff(came_s).max() < 0.2, "sound goes on"
            assert len(came_s) > 0.9 * (came_s[-1] - came_s[0]) / 0.02 > 25, "and nothing of it is left out"
            for _ in range(100):
                if renderer.is_up:
                    break
                await asyncio.sleep(0.1)
            assert await (await http.get("/ready")).json() == {"ready": True, "reason": None, "renderer_restarts": 1}
            await asyncio.sleep(0.5)
            back = await client.watch(1.6)
            assert np.ptp(back.openings) > 10, "the mouth moves again"
            assert abs(back.columns[-1] - turned) < 3

    asyncio.run(run())


def test_a_process_that_stood_still_goes_on_where_the_clock_is(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as http, living(http) as client:
            session = http.app[SERVER].session(client.session_id)  # type: ignore[union-attr]
            await asyncio.sleep(0.3)
            before, heard = session.next_frame, session.desk.advance
            advanced: list[int] = []
            session.desk.advance = lambda frame: (advanced.append(frame), heard(frame))[1]
            time.sleep(4)
            await asyncio.sleep(0.5)
            assert session.next_frame >= before + 4 * FRAME_RATE_HZ
            assert len(advanced) < 2 * FRAME_RATE_HZ, "what was missed is not made up for"
            assert session.vitals().queued["sound_blocks"] < 20

    asyncio.run(run())


def test_a_peer_that_cannot_be_closed_does_not_keep_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with serving(tmp_path) as http, living(http) as client:
            server = http.app[SERVER]  # type: ignore[index]

            async def fail(peer: Peer) -> None:
                raise ValueError("half built")

            with monkeypatch.context() as failing:
                failing.setattr(Peer, "close", fail)
                assert (await http.delete(f"/api/sessions/{client.session_id}")).status == 204
            assert server.renderer.avatars == 0

    asyncio.run(run())


def test_nobody_joins_a_session_that_is_ending(tmp_path: Path) -> None:
    """While its outputs say good-bye it is still listed, and players that come back at once find it."""

    class SaysGoodbye:
        kind, label = "rtmp", "rtmp://example.com/..."

        async def run(self, hubs: Hubs, report: Report) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(1)

    async def run() -> None:
        async with serving(tmp_path) as http:
            description = await (await http.post("/api/sessions", json={})).json()
            session = http.app[SERVER].session(description["id"])  # type: ignore[union-attr]
            session.outputs.start(SaysGoodbye())
            await asyncio.sleep(0.1)
            ending = asyncio.create_task(http.delete(f"/api/sessions/{description['id']}"))
            while not session.ending:
                await asyncio.sleep(0.01)
            for url in (f"/watch.mjpeg?session={session.id}", f"/watch.ts?session={session.id}", "/watch.mjpeg"):
                assert (await http.get(url)).status == 404
            assert await (await http.get("/api/sessions")).json() == []
            with pytest.raises(NotFound, match="has ended"):
                await session.join("late", "v=0", sends_microphone=False, wants_avatar=True)
            await ending

    asyncio.run(run())


def test_sound_that_has_come_while_the_process_stood_still_is_heard(tmp_path: Path) -> None:
    """For a tenth of a second, as a busy machine does: it waits at the sockets, of which a turn of the loop reads one packet each."""

    async def run() -> None:
        async with serving(tmp_path) as http:
            session_id = (await (await http.post("/api/sessions", json={})).json())["id"]
            session = http.app[SERVER].session(session_id)  # type: ignore[index]
            speech = np.full(960, 5000, np.int16)

            class Network(asyncio.DatagramProtocol):
                def datagram_received(self, data: bytes, _: object) -> None:
                    session._hear(speech, int.from_bytes(data) * len(speech))

            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                Network, local_addr=("127.0.0.1", 0)
            )

            def speak(address: tuple[str, int], began_s: float) -> None:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
                    for number in range(150):
                        time.sleep(max(0.0, began_s + number * 0.02 - time.monotonic()))
                        wire.sendto(number.to_bytes(4), address)

            speaking = threading.Thread(target=speak, args=(transport.get_extra_info("sockname"), time.monotonic()))
            speaking.start()
            await asyncio.sleep(1.5)
            microphone = session._microphone
            before = microphone.concealed_samples + microphone.dropped_samples
            time.sleep(0.12)
            await asyncio.sleep(0.5)
            lost = microphone.concealed_samples + microphone.dropped_samples - before
            await asyncio.to_thread(speaking.join)
            transport.close()
            assert lost < 0.03 * 48_000

    asyncio.run(run())
