"""Media players get pictures and sound over plain HTTP, are told when there is no show, and see its end."""

import asyncio
import io
import socket
import sys
import threading
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from aiohttp.test_utils import TestClient

from realtime.config import ServerConfig
from realtime.media.hub import Hubs
from realtime.outputs.outputs import Report
from realtime.server import SERVER
from tests.test_server import refusal, with_server


async def new_session(http: TestClient) -> str:
    return (await (await http.post("/api/sessions", json={})).json())["id"]


def test_mjpeg_is_one_labelled_jpeg_after_the_other_and_ends_with_the_session(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        assert (await refusal(await http.get("/watch.mjpeg")))[:2] == (404, "not_found")
        session = await new_session(http)
        response = await http.get("/watch.mjpeg")
        assert response.content_type == "multipart/x-mixed-replace"
        data = b""
        while data.count(b"--frame\r\n") < 6:
            data += await response.content.readany()
        assert (await (await http.get(f"/api/sessions/{session}")).json())["viewers"] == 1
        frames = [int(part.split()[0]) for part in data.split(b"X-Frame: ")[1:]]
        assert frames == sorted(set(frames)), "each says which frame of the session it is"
        head, _, rest = data.partition(b"\r\n\r\n")
        jpeg = rest[: int(head.rpartition(b" ")[2])]
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape == (256, 256, 3)
        assert (picture[230:250, 10:60].min(-1) > 200).any(), "the label"
        await http.delete(f"/api/sessions/{session}")
        await asyncio.wait_for(response.content.read(), 60)

    with_server(tmp_path, test)


@pytest.mark.parametrize(("query", "kinds"), [("", {"video", "audio"}), ("?sound=no", {"video"})])
def test_mpeg_ts_can_be_played(tmp_path: Path, query: str, kinds: set[str]) -> None:
    async def test(http: TestClient) -> None:
        await new_session(http)
        response = await http.get(f"/watch.ts{query}")
        assert response.content_type == "video/mp2t"
        data = b""
        while len(data) < 25_000:
            data += await asyncio.wait_for(response.content.readany(), 60)
        response.close()
        with av.open(io.BytesIO(data), format="mpegts") as stream:
            assert {s.type for s in stream.streams} == kinds
            frames = list(stream.decode(video=0))
        assert len(frames) >= 5 and frames[0].width == 256

    with_server(tmp_path, test)


def test_who_watches_by_http_counts_and_keeps_the_session_alive(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        session = await new_session(http)
        watching = await http.get("/watch.mjpeg")
        assert (await refusal(await http.get("/watch.ts")))[:2] == (503, "unavailable")
        await asyncio.sleep(1.8)
        assert (await http.get(f"/api/sessions/{session}")).status == 200
        watching.close()

    with_server(tmp_path, test, ServerConfig(port=0, max_viewers=1, session_idle_s=1))


def test_an_output_that_cannot_be_is_refused_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)

    async def test(http: TestClient) -> None:
        path = f"/api/sessions/{await new_session(http)}/outputs"
        assert await (await http.get(path)).json() == []
        for body, code in (({"kind": "fax"}, 400), ({"kind": "virtual_camera", "size": 1}, 400)):
            assert (await http.post(path, json=body)).status == code
        status, _, says = await refusal(await http.post(path, json={"kind": "virtual_camera"}))
        assert status == 422 and "pip install pyvirtualcam" in says
        assert (await http.delete(f"{path}/nothing")).status == 404

    with_server(tmp_path, test)


def test_a_device_is_opened_by_a_thread_that_the_end_of_the_process_does_not_wait_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened_by = []

    class Package:
        @staticmethod
        def Camera(*_: object, **__: object) -> None:
            opened_by.append(threading.current_thread())
            raise RuntimeError("no driver")

    monkeypatch.setitem(sys.modules, "pyvirtualcam", Package)

    async def test(http: TestClient) -> None:
        path = f"/api/sessions/{await new_session(http)}/outputs"
        assert (await http.post(path, json={"kind": "virtual_camera"})).status == 422

    with_server(tmp_path, test)
    (thread,) = opened_by
    thread.join(5)
    assert thread.daemon and not thread.is_alive()


def test_a_session_is_published_where_the_server_may_and_its_key_is_not_told(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        path = f"/api/sessions/{await new_session(http)}/outputs"
        for kind, url in (("rtmp", "rtmp://live.example.com/app/key"), ("whip", "https://live.example.com/whip")):
            status, code, says = await refusal(await http.post(path, json={"kind": kind, "url": url}))
            assert (status, code) == (403, "forbidden") and "--publish-to live.example.com" in says
            assert (await http.post(path, json={"kind": kind})).status == 400
        order = {"kind": "rtmp", "url": "rtmp://127.0.0.1:1/app/secret-key"}
        started = await (await http.post(path, json=order)).json()
        assert started["target"] == "rtmp://127.0.0.1:1/..."
        async with asyncio.timeout(30):
            while (listed := await (await http.get(path)).json())[0]["state"] != "reconnecting":
                await asyncio.sleep(0.05)
        assert "secret-key" not in str(listed)
        assert (await http.delete(f"{path}/{started['id']}")).status == 204
        assert await (await http.get(path)).json() == []

    with_server(tmp_path, test, ServerConfig(port=0, publish_to=("127.0.0.1",)))


def test_a_session_that_is_deleted_twice_still_ends_all_its_outputs(tmp_path: Path) -> None:
    class Slow:
        kind, label = "whip", "https://slow.example.com/..."

        async def run(self, hubs: Hubs, report: Report) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.5)

    async def test(http: TestClient) -> None:
        path = f"/api/sessions/{await new_session(http)}"
        outputs = http.app[SERVER].session(path.rpartition("/")[2]).outputs
        started = [outputs.start(Slow()) for _ in range(3)]
        await asyncio.sleep(0.1)
        first = asyncio.create_task(http.delete(path))
        await asyncio.sleep(0.2)
        assert (await http.delete(path)).status in (204, 404) and (await first).status == 204
        assert all(running.task.done() for running in started)

    with_server(tmp_path, test)


def test_one_who_takes_nothing_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A paused player would keep its place, and its socket even after the session."""
    monkeypatch.setattr("realtime.web.requests.WRITE_S", 1.0)

    async def test(http: TestClient) -> None:
        session = await new_session(http)
        reader, writer = await asyncio.open_connection("127.0.0.1", http.server.port, limit=1024)  # type: ignore[union-attr]
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(b"GET /watch.mjpeg HTTP/1.1\r\nHost: localhost\r\n\r\n")

        async def viewers() -> int:
            return int((await (await http.get(f"/api/sessions/{session}")).json())["viewers"])

        async with asyncio.timeout(120):
            while await viewers() == 0:
                await asyncio.sleep(0.1)
            for connection in http.server.runner.server.connections:  # type: ignore[union-attr]
                ours = connection.transport.get_extra_info("socket")
                ours.setsockopt(
                    socket.SOL_SOCKET, socket.SO_SNDBUF, 4096
                )  # or the system takes the first 20 s of pictures
            while await viewers() == 1:
                await asyncio.sleep(0.1)
        writer.close()

    with_server(tmp_path, test)
