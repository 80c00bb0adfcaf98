"""A session goes to an RTMP server as FLV, and a server that does not answer holds nothing up."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable

import av
import pytest

from realtime.media.disclosure import MARK
from realtime.outputs import destination, rtmp
from realtime.outputs.outputs import Outputs, Running
from realtime.outputs.rtmp import RtmpOutput
from realtime.places import Places
from tests.shows import Show


class Ingest(threading.Thread):
    """A server that takes one stream, `pictures` long."""

    def __init__(self, port: int, pictures: int):
        super().__init__(daemon=True)
        self.url, self.pictures = f"rtmp://127.0.0.1:{port}/live/secret-key", pictures
        self.shown: list[tuple[float, bool]] = []
        self.heard_s, self.comment, self.failure = 0.0, "", None
        self.size = (0, 0)
        self.start()

    def run(self) -> None:
        try:
            with av.open(self.url, options={"listen": "1"}, timeout=(30, 30)) as stream:
                self.comment = stream.metadata.get("comment", "")
                for packet in stream.demux():
                    if packet.stream.type == "audio":
                        self.heard_s = float(packet.pts * packet.time_base)
                    elif packet.size:
                        self.size = packet.stream.width, packet.stream.height
                        self.shown.append((float(packet.pts * packet.time_base), packet.is_keyframe))
                    if len(self.shown) >= self.pictures:
                        return
        except OSError as error:
            self.failure = error


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def outputs(show: Show) -> Outputs:
    return Outputs(show.hubs, Places(32), lambda: None)


async def until(true: Callable[[], bool], seconds: float = 40) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.05)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(destination.keep_connected, "__defaults__", ((0.2, 0.4), 30.0))


async def published(show: Show, running: Running, ingest: Ingest) -> None:
    await until(lambda: not ingest.is_alive())
    assert ingest.failure is None
    assert running.report.frames > 0


@pytest.mark.parametrize("size", [256, 512])
def test_a_server_gets_pictures_and_sound_with_a_key_frame_every_two_seconds(size: int) -> None:
    async def run() -> None:
        ingest = Ingest(free_port(), pictures=120)
        async with Show(size) as show:
            some = outputs(show)
            running = some.start(RtmpOutput(ingest.url, ("127.0.0.1",)))
            await until(lambda: running.report.state == "live")
            await published(show, running, ingest)
            assert "secret-key" not in str(running.describe())
            await some.close()
        times, keys = zip(*ingest.shown, strict=True)
        key_s = [second for second, is_key in ingest.shown if is_key]
        assert keys[0] and ingest.comment == MARK and ingest.size == (size, size)
        assert max(b - a for a, b in zip(key_s, key_s[1:], strict=False)) <= 2.5 and len(key_s) >= 2
        assert times == tuple(sorted(times)) and abs(times[-1] - ingest.heard_s) < 0.5

    asyncio.run(run())


def test_a_server_that_goes_away_is_connected_to_again() -> None:
    async def run() -> None:
        port = free_port()
        first = Ingest(port, pictures=10)
        async with Show() as show:
            some = outputs(show)
            running = some.start(RtmpOutput(first.url, ("127.0.0.1",)))
            await published(show, running, first)
            await until(lambda: running.report.state == "reconnecting")
            assert running.report.detail and "secret-key" not in running.report.detail
            second = Ingest(port, pictures=10)
            await published(show, running, second)
            await some.stop(running.id)
            assert not show.hubs.watched

    asyncio.run(run())


def test_a_server_that_takes_the_connection_and_says_nothing_holds_nothing_up() -> None:
    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"rtmp://127.0.0.1:{silent.getsockname()[1]}/live/key"
            async with Show() as show:
                some = outputs(show)
                running = some.start(RtmpOutput(url, ("*",), stalled_s=1.5))
                longest, last = 0.0, time.monotonic()

                def reconnecting() -> bool:
                    nonlocal longest, last
                    longest, last = max(longest, time.monotonic() - last), time.monotonic()
                    return running.report.state == "reconnecting"

                await until(reconnecting)
                assert longest < 0.5, "the loop went on"
                assert running.report.frames == 0
                await asyncio.wait_for(some.close(), 10)

    asyncio.run(run())


def test_a_process_that_cannot_be_started_just_now_is_started_later(monkeypatch: pytest.MonkeyPatch) -> None:
    start, refusals = rtmp.start_without_secrets, [OSError("no memory"), OSError("no memory")]

    async def start_at_last(arguments: list[str], stderr: int) -> asyncio.subprocess.Process:
        if refusals:
            raise refusals.pop()
        return await start(arguments, stderr)

    monkeypatch.setattr(rtmp, "start_without_secrets", start_at_last)

    async def run() -> None:
        ingest = Ingest(free_port(), pictures=30)
        async with Show() as show:
            some = outputs(show)
            running = some.start(RtmpOutput(ingest.url, ("127.0.0.1",)))
            await until(lambda: running.report.state == "reconnecting")
            assert "cannot be started: no memory" in (running.report.detail or "")
            await published(show, running, ingest)
            await some.close()

    asyncio.run(run())


def test_it_ends_whenever_it_is_told_to() -> None:
    """Python 3.11's wait_for goes on when it is cancelled just as what it waits for is done."""

    class Stdin:
        def write(self, data: bytes) -> None: ...

        async def drain(self) -> None:
            await asyncio.sleep(0)

    class Sender:
        stdin = Stdin()

    async def feed_for_ever() -> None:
        output = RtmpOutput("rtmp://127.0.0.1/live/key", ("127.0.0.1",))
        while True:
            await output._feed(Sender(), b"packet")  # type: ignore[arg-type]

    async def run() -> None:
        for turns in range(12):
            feeding = asyncio.create_task(feed_for_ever())
            for _ in range(turns):
                await asyncio.sleep(0)
            feeding.cancel()
            done, _ = await asyncio.wait([feeding], timeout=1)
            assert feeding in done, turns
            assert feeding.cancelled()

    asyncio.run(run())
