"""A session goes to another server by WHIP, which sees and hears it until it is stopped."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest
from aiohttp.test_utils import TestServer

from realtime.errors import BadRequest
from realtime.media.ice import IceServer, IceSettings
from realtime.outputs import destination
from realtime.outputs.outputs import Outputs, Running
from realtime.outputs.whip import WhipOutput
from realtime.places import Places
from tests.shows import Show
from tests.whip_ingest import WhipIngest

TOKEN = "let-me-in"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(destination.keep_connected, "__defaults__", ((0.1,), 30.0))


@asynccontextmanager
async def publishing(
    path: str = "/whip/key", token: str | None = TOKEN, refusals: tuple[int, ...] = ()
) -> AsyncIterator[tuple[Show, WhipIngest, Outputs, Running]]:
    ingest = WhipIngest(TOKEN)
    ingest.refusals.extend(refusals)
    async with TestServer(ingest.application()) as server, Show() as show:
        some = Outputs(show.hubs, Places(32), lambda: None)
        running = some.start(WhipOutput(str(server.make_url(path)), token, ("127.0.0.1",)))
        yield show, ingest, some, running
        await some.close()
        assert not show.hubs.watched


async def until(true: Callable[[], bool], seconds: float = 40) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("path", ["/whip/key", "/moved"])
def test_the_other_server_gets_pictures_and_sound_and_is_told_of_the_end(path: str) -> None:
    async def run() -> None:
        async with publishing(path) as (show, ingest, some, running):
            await until(lambda: len(ingest.taken.pictures) > 10 and ingest.taken.sounds > 10)
            await until(lambda: running.report.state == "live" and running.report.frames > 10)
            assert np.abs(ingest.taken.pictures[10].astype(int) - show.picture()).mean() < 10
            assert "key" not in running.output.label
            await some.stop(running.id)
            assert ingest.deleted == 1

    asyncio.run(run())


def test_a_server_that_is_busy_or_hangs_up_is_asked_again() -> None:
    async def run() -> None:
        async with publishing(refusals=(503, 429)) as (_, ingest, _, running):
            await until(lambda: running.report.state == "live")
            assert ingest.offers == 3
            await ingest.hang_up()
            await until(lambda: ingest.offers == 4 and running.report.state == "live")

    asyncio.run(run())


def test_a_long_answer_in_pieces_is_read_to_its_end() -> None:
    async def run() -> None:
        ingest = WhipIngest(TOKEN)
        ingest.in_pieces = True
        async with TestServer(ingest.application()) as server, Show() as show:
            some = Outputs(show.hubs, Places(32), lambda: None)
            running = some.start(WhipOutput(str(server.make_url("/whip/key")), TOKEN, ("127.0.0.1",)))
            await until(lambda: running.report.state == "live")
            await some.close()

    asyncio.run(run())


def test_a_publication_whose_answer_breaks_off_is_ended_there_before_another_is_made() -> None:
    async def run() -> None:
        async with publishing(refusals=(503,)) as (_, ingest, _, running):
            ingest.breaks_off = 1
            await until(lambda: running.report.state == "live")
            assert (ingest.offers, ingest.deleted) == (3, 1)

    asyncio.run(run())


def test_nothing_is_encoded_for_a_server_that_has_not_answered() -> None:
    async def run() -> None:
        async with publishing(refusals=(503,) * 50) as (show, ingest, _, _):
            await until(lambda: ingest.offers > 5)
            assert not show.hubs.watched and not show.hubs.dropped("video")

    asyncio.run(run())


def test_a_login_in_the_address_is_refused() -> None:
    with pytest.raises(BadRequest, match="must not hold a login"):
        WhipOutput("https://user:pass@live.example.com/whip", None, ("*",))


@pytest.mark.parametrize(
    ("path", "token", "says"),
    [("/whip/key", "wrong", "answered 401"), ("/nowhere", TOKEN, "answered 404"), ("/away", TOKEN, "evil.example.org")],
)
def test_a_refusal_that_will_last_ends_it_and_says_why(path: str, token: str, says: str) -> None:
    async def run() -> None:
        async with publishing(path, token) as (_, ingest, _, running):
            await asyncio.wait([running.task], timeout=30)
            assert running.report.state == "failed" and says in (running.report.detail or "")
            assert ingest.offers <= 1

    asyncio.run(run())


def test_a_token_that_would_not_pass_as_a_header_is_refused() -> None:
    for token in ("a\r\nX-Evil: 1", "ключ"):
        with pytest.raises(BadRequest, match="token"):
            WhipOutput("https://live.example.com/whip", token, ("*",))


def test_each_connection_has_a_login_of_its_own_and_names_the_announced_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A TURN login lasts a day, and a stream for longer."""
    logins: list[int] = []

    class Counted(IceSettings):
        def servers(self, now_s: float | None = None) -> list[IceServer]:
            logins.append(len(logins))
            return []

    async def run() -> None:
        ingest = WhipIngest(TOKEN)
        ingest.refusals.extend((503, 503))
        async with TestServer(ingest.application()) as server, Show() as show:
            some = Outputs(show.hubs, Places(32), lambda: None)
            url = str(server.make_url("/whip/key"))
            running = some.start(WhipOutput(url, TOKEN, ("127.0.0.1",), Counted(announce="203.0.113.9")))
            await until(lambda: running.report.state == "live")
            assert len(logins) == 3
            private = re.findall(r"udp \d+ (?:10|172|192)\.\S+ \d+ typ host", ingest.offer)
            assert ingest.offer.count("203.0.113.9") == len(private)
            await some.close()

    asyncio.run(run())


@pytest.mark.parametrize("location", ["http://[", "//[::1"])
def test_an_address_of_the_other_server_that_is_none_leaves_the_connection_as_it_is(location: str) -> None:
    output = WhipOutput("http://127.0.0.1:9/whip", None, ("127.0.0.1",))
    assert output._resource("http://127.0.0.1:9/whip", location) is None
