"""A session's outputs are counted, described, and end with it."""

import asyncio

import pytest

from realtime.errors import NotFound, TooMany, Unavailable
from realtime.media.hub import Hubs
from realtime.outputs.outputs import MAX_OUTPUTS, Outputs, Report
from realtime.places import Places


class Endless:
    kind, label = "virtual_camera", "/dev/video9"

    async def run(self, hubs: Hubs, report: Report) -> None:
        report.state = "live"
        await asyncio.Event().wait()


class Failing(Endless):
    async def run(self, hubs: Hubs, report: Report) -> None:
        raise RuntimeError("the device was unplugged")


def outputs(room: int = 2, heard: list[int] | None = None) -> Outputs:
    places = Places(room)
    return Outputs(Hubs.create(), places, lambda: heard is None or heard.append(len(places)))


def test_an_output_is_listed_until_it_is_stopped() -> None:
    async def run() -> None:
        some = outputs()
        assert not some.used
        running = some.start(Endless())
        await asyncio.sleep(0)
        expected = {"kind": "virtual_camera", "target": "/dev/video9", "state": "live", "detail": None, "frames": 0}
        assert [r.describe() for r in some.list()] == [{"id": running.id, **expected}]
        assert some.used
        await some.stop(running.id)
        assert some.list() == [] and running.task.cancelled()
        with pytest.raises(NotFound):
            await some.stop(running.id)

    asyncio.run(run())


def test_one_that_fails_says_why_and_the_others_go_on() -> None:
    async def run() -> None:
        some = outputs()
        bad, good = some.start(Failing()), some.start(Endless())
        await asyncio.wait([bad.task])
        assert (bad.report.state, bad.report.detail) == ("failed", "the device was unplugged")
        assert good.report.state == "live" and some.used
        await some.stop(good.id)
        assert good.task.cancelled() and not some.used, "one that has failed keeps no session"
        await some.close()

    asyncio.run(run())


def test_all_end_together_when_the_session_does_and_none_begins_afterwards() -> None:
    class Slow(Endless):
        async def run(self, hubs: Hubs, report: Report) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.3)

    async def run() -> None:
        some = outputs()
        started = [some.start(Slow()) for _ in range(5)]
        await asyncio.sleep(0)
        begun_s = asyncio.get_running_loop().time()
        await some.close()
        assert all(running.task.done() for running in started)
        assert asyncio.get_running_loop().time() - begun_s < 1
        with pytest.raises(NotFound, match="has ended"):
            some.start(Endless())

    asyncio.run(run())


def test_too_many_are_refused() -> None:
    async def run() -> None:
        some = outputs()
        for _ in range(MAX_OUTPUTS):
            some.start(Endless())
        with pytest.raises(TooMany):
            some.start(Endless())
        await some.close()

    asyncio.run(run())


def test_who_watches_by_http_is_counted_and_let_go_at_the_end() -> None:
    async def run() -> None:
        heard: list[int] = []
        some = outputs(room=1, heard=heard)
        with some.watch("JPEG", None) as tap:
            assert heard == [1] and some.used
            with pytest.raises(Unavailable), some.watch("H264", "AAC"):
                pass
            await some.close()
            assert [packet async for packet in tap.packets()] == []
        assert not some.used and heard == [1, 0]

    asyncio.run(run())


def test_nobody_begins_to_watch_a_session_that_has_ended() -> None:
    async def run() -> None:
        some = outputs()
        await some.close()
        with pytest.raises(NotFound, match="has ended"), some.watch("JPEG", None):
            pass

    asyncio.run(run())
