"""Who may still watch: an audience keeps neither its own operators out nor everybody else."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient

from realtime.config import ServerConfig
from realtime.errors import Unavailable
from realtime.places import STAFF_PLACES, Places
from realtime.web.access import Grant, Role, make_token
from tests.live_client import serving
from tests.test_server import SDP, connection, offer_of

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


def test_staff_who_come_first_leave_viewers_theirs() -> None:
    places = Places(2)
    for _ in range(STAFF_PLACES):
        places.take("office", is_staff=True)
    places.take("office")
    places.take("a")
    with pytest.raises(Unavailable, match="2 viewers already"):
        places.take("b")


def test_one_network_does_not_get_the_last_places() -> None:
    places = Places(32)
    crowd = [places.take("a") for _ in range(24)]
    with pytest.raises(Unavailable, match="24 of 32"):
        places.take("a")
    for _ in range(7):
        places.take("b")
    places.give_back(crowd[0])
    with pytest.raises(Unavailable, match="23 of 32"):
        places.take("a")
    places.take("c")


def test_without_a_network_all_places_are_anybodys() -> None:
    places = Places(8)
    for _ in range(8):
        places.take()
    with pytest.raises(Unavailable):
        places.take()


def token(role: Role, session: str | None = None) -> dict[str, str]:
    return {"Authorization": f"Bearer {make_token(SECRET, Grant(role, session), time.time() + 600)}"}


def in_a_show(tmp_path: Path, test: Callable[[TestClient, str], Awaitable[None]], max_viewers: int) -> None:
    """Runs `test` with a server that has a secret, and the id of a session."""

    async def run() -> None:
        config = ServerConfig(port=0, max_viewers=max_viewers, secret=SECRET, trusted_proxies=("127.0.0.1",))
        async with serving(tmp_path, config) as http:
            made = await http.post("/api/sessions", headers=token(Role.HOST))
            await test(http, (await made.json())["id"])

    asyncio.run(run())


def test_an_operator_watches_a_show_whose_viewers_fill_it(tmp_path: Path) -> None:
    async def test(http: TestClient, session: str) -> None:
        peers = [connection() for _ in range(3)]
        for peer, role, status in zip(peers, (Role.VIEWER, Role.VIEWER, Role.OPERATOR), (201, 503, 201), strict=True):
            peer.addTransceiver("video", direction="recvonly")
            url, headers = f"/api/sessions/{session}/whep", token(role, session) | SDP
            assert (await http.post(url, data=await offer_of(peer), headers=headers)).status == status
        for role, status in ((Role.VIEWER, 503), (Role.OPERATOR, 200)):
            async with http.get(f"/watch.mjpeg?session={session}", headers=token(role)) as answer:
                assert answer.status == status
        for peer in peers:
            await peer.close()

    in_a_show(tmp_path, test, max_viewers=1)


def test_a_token_for_another_show_makes_nobody_staff_here(tmp_path: Path) -> None:
    async def test(http: TestClient, session: str) -> None:
        viewer = token(Role.VIEWER)
        shown = {"viewer": viewer, "operator": token(Role.OPERATOR, "another")}
        cookies = (
            f"flap_token_{http.port}_{name}={one['Authorization'].removeprefix('Bearer ')}"
            for name, one in shown.items()
        )
        url = f"/watch.mjpeg?session={session}"
        both = {"Cookie": "; ".join(cookies)}
        async with http.get(url, headers=viewer) as first, http.get(url, headers=both) as second:
            assert (first.status, second.status) == (200, 503)

    in_a_show(tmp_path, test, max_viewers=1)


def test_the_last_place_is_for_another_network(tmp_path: Path) -> None:
    async def test(http: TestClient, session: str) -> None:
        url = f"/watch.mjpeg?session={session}"
        here, elsewhere = (
            token(Role.VIEWER) | {"X-Forwarded-For": address} for address in ("198.51.100.1", "203.0.113.9")
        )
        async with http.get(url, headers=here), http.get(url, headers=here), http.get(url, headers=here):
            async with http.get(url, headers=here) as same, http.get(url, headers=elsewhere) as other:
                assert (same.status, other.status) == (503, 200)

    in_a_show(tmp_path, test, max_viewers=4)
