"""Who may still watch: an audience keeps neither its own operators out nor everybody else."""

import asyncio
import time
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient

from realtime.config import ServerConfig
from realtime.errors import Unavailable
from realtime.places import STAFF_PLACES, Places
from realtime.web.access import Grant, Role, make_token
from tests.live_client import serving

SECRET = "s" * 43


def test_viewers_have_so_many_places_and_a_place_that_is_given_back_is_free() -> None:
    places = Places(2)
    first, _ = places.take("a"), places.take("b")
    with pytest.raises(Unavailable, match="2 viewers already"):
        places.take("c")
    places.give_back(first)
    places.give_back(first)
    places.take("c")
    assert len(places) == 2


def test_staff_and_the_host_come_to_a_show_that_is_full() -> None:
    places = Places(1)
    places.take("a")
    for _ in range(STAFF_PLACES):
        places.take("a", is_staff=True)
    with pytest.raises(Unavailable):
        places.take("a", is_staff=True)
    places.take_for_the_host()
    assert len(places) == STAFF_PLACES + 2


def test_one_network_does_not_get_the_last_places() -> None:
    places = Places(32)
    for _ in range(24):  # an office
        places.take("a")
    with pytest.raises(Unavailable, match="24 of 32"):
        places.take("a")
    for _ in range(7):
        places.take("b")
    places.take("a", is_staff=True)
    assert len(places) == 32


def test_without_a_network_all_places_are_anybodys() -> None:
    places = Places(8)
    for _ in range(8):
        places.take()
    with pytest.raises(Unavailable):
        places.take()


def test_an_operator_watches_a_show_whose_viewers_fill_it(tmp_path: Path) -> None:
    def token(role: Role) -> dict[str, str]:
        return {"Authorization": f"Bearer {make_token(SECRET, Grant(role), time.time() + 600)}"}

    async def run() -> None:
        config = ServerConfig(port=0, max_viewers=1, secret=SECRET)
        async with serving(tmp_path, config) as http:
            made = await http.post("/api/sessions", headers=token(Role.HOST))
            url = f"/watch.mjpeg?session={(await made.json())['id']}"
            async with http.get(url, headers=token(Role.VIEWER)) as viewer:
                assert viewer.status == 200
                assert await refused(http, url, token(Role.VIEWER)) == 503
                async with http.get(url, headers=token(Role.OPERATOR)) as operator:
                    assert operator.status == 200

    asyncio.run(run())


async def refused(http: TestClient, url: str, headers: dict[str, str]) -> int:
    async with http.get(url, headers=headers) as answer:
        return answer.status
