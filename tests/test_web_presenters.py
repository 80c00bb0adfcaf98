"""Photographs by HTTP: added, offered, shown, removed; and refused with a status, a code and a sentence."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from aiohttp.test_utils import TestClient, TestServer

from flap.presenter_folder import PresenterFolder
from realtime.cast import Cast
from realtime.config import ServerConfig
from realtime.pipeline import AvatarPipeline
from realtime.render.messages import Rendering
from realtime.render.renderer import Renderer
from realtime.server import Server
from realtime.web import presenters as web_presenters
from realtime.web.app import application
from tests.fakes import fake_pipeline, fake_presenters, launch_thread
from tests.photographs import photograph_file, png
from tests.test_server import refusal

JPEG = {"Content-Type": "image/jpeg"}
QUERY = {"name": "Grace", "consent": "public domain"}


def open_with_added(folder: Path, added: Path) -> tuple[AvatarPipeline, Cast]:
    return fake_pipeline(), Cast(fake_presenters(folder), PresenterFolder(added))


def with_server(folder: Path, test: Callable[[TestClient], Awaitable[None]]) -> None:
    async def run() -> None:
        config = ServerConfig(port=0, presenters_folder=folder / "added")
        opens = partial(open_with_added, folder, config.presenters_folder)
        renderer = Renderer(Rendering(opens, measures=False), 4, launch=launch_thread)
        async with TestClient(TestServer(application(Server(renderer, await renderer.start(), config)))) as http:
            await test(http)

    asyncio.run(run())


def test_a_photograph_is_added_offered_and_removed(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        photograph = photograph_file().read_bytes()
        response = await http.post("/api/presenters", params=QUERY, data=photograph, headers=JPEG)
        assert response.status == 201, await response.text()
        added = await response.json()
        assert added["name"] == "Grace" and added["remarks"] == []
        listed = await (await http.get("/api/presenters")).json()
        assert [person["id"] for person in listed] == ["ada", "bob", added["id"]]
        assert [person["added"] for person in listed] == [False, False, True]
        assert (await http.get(added["thumbnail_url"])).content_type == "image/png"
        again = await http.post("/api/presenters", params=QUERY, data=photograph, headers=JPEG)
        assert (await refusal(again))[:2] == (409, "conflict")
        assert (await http.delete(f"/api/presenters/{added['id']}")).status == 204
        assert (await refusal(await http.delete(f"/api/presenters/{added['id']}")))[:2] == (404, "not_found")

    with_server(tmp_path, test)


def test_what_makes_no_presenter_is_refused(tmp_path: Path) -> None:
    grey = png(np.full((200, 200, 3), 128, np.uint8))

    async def test(http: TestClient) -> None:
        async def answer(data: bytes, headers: dict = JPEG, **query: str) -> tuple[int, str]:
            response = await http.post("/api/presenters", params=QUERY | query, data=data, headers=headers)
            return (await refusal(response))[:2]

        assert await answer(grey) == (422, "no_face")
        assert await answer(b"no picture") == (422, "unreadable")
        assert await answer(grey, {"Content-Type": "text/plain"}) == (415, "wrong_type")
        assert await answer(grey, consent="") == (400, "bad_request")
        assert await answer(grey, name="a\x00b") == (400, "bad_request")
        assert await answer(bytes(web_presenters.MAX_PICTURE_BYTES + 1)) == (413, "too_large")
        assert (await refusal(await http.delete("/api/presenters/ada")))[:2] == (409, "conflict")
        assert [person["id"] for person in await (await http.get("/api/presenters")).json()] == ["ada", "bob"]

    with_server(tmp_path, test)


def test_one_photograph_is_looked_at_at_a_time(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        photograph = photograph_file().read_bytes()
        both = [http.post("/api/presenters", params=QUERY, data=photograph, headers=JPEG) for _ in range(2)]
        assert sorted(response.status for response in await asyncio.gather(*both)) == [201, 429]

    with_server(tmp_path, test)


def test_a_worker_that_hangs_is_ended(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(web_presenters, "BOUNDS", replace(web_presenters.BOUNDS, seconds=0.05))

    async def test(http: TestClient) -> None:
        response = await http.post("/api/presenters", params=QUERY, data=photograph_file().read_bytes(), headers=JPEG)
        assert (await refusal(response))[:2] == (503, "unavailable")

    with_server(tmp_path, test)
