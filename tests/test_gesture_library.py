"""Gesture files are offered, read again when they change, and named when they cannot be used."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient

from realtime.config import ServerConfig
from realtime.errors import BadCommand, Conflict, NotFound
from realtime.gestures import library as gesture_library
from realtime.gestures.curve import GestureCurve
from realtime.gestures.library import MAX_FILE_BYTES, GestureLibrary
from tests.live_client import living, serving
from tests.test_gesture_file import GOOD
from tests.test_live import next_message

WAVE = GestureCurve(1.0, {"yaw_deg": ((0.5, 10.0),)})


def write(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def test_a_folder_is_read_and_read_again_when_a_file_changes(tmp_path: Path) -> None:
    library = GestureLibrary(tmp_path / "none")
    library.look()
    assert library.gestures == {} and library.problems == ()
    library = GestureLibrary(tmp_path)
    path = write(tmp_path, "wave.json", json.dumps(GOOD))
    library.look()
    before = library.gestures
    assert library.curve("wave").duration_s == 1.2 and library.curve("nod") is None  # type: ignore[union-attr]
    library.look()
    assert library.gestures is before, "nothing has changed"
    path.write_text(json.dumps({**GOOD, "duration_s": 1.25}))
    library.look()
    assert library.gestures["wave"].duration_s == 1.25
    path.unlink()
    library.look()
    with pytest.raises(NotFound, match="no gesture 'wave': choose one of nod"):
        library.curve("wave")


def test_a_file_that_breaks_is_named_and_the_gesture_stays_as_it_was(tmp_path: Path) -> None:
    library = GestureLibrary(tmp_path)
    path = write(tmp_path, "wave.json", json.dumps(GOOD))
    library.look()
    path.write_text('{"duration_s": 1')
    library.look()
    assert library.problems[0].startswith("wave.json: not JSON")
    assert library.gestures["wave"].duration_s == 1.2
    write(tmp_path, "other.json", json.dumps(GOOD))
    library.look()
    assert library.problems[0].startswith("wave.json: not JSON"), "it is still broken"
    path.write_text(json.dumps(GOOD))
    library.look()
    assert library.problems == ()


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("nod.json", json.dumps(GOOD), "built-in"),
        ("-x.json", json.dumps(GOOD), "a gesture's name is"),
        ("big.json", " " * (MAX_FILE_BYTES + 1), "more than"),
        ("list.json", "[]", "must be an object"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, name: str, text: str, says: str) -> None:
    library = GestureLibrary(tmp_path)
    write(tmp_path, name, text)
    library.look()
    assert says in library.problems[0] and library.gestures == {}


def test_gestures_are_kept_and_deleted_and_names_cannot_leave_the_folder(tmp_path: Path) -> None:
    library = GestureLibrary(tmp_path / "gestures")
    library.save("my wave", WAVE)
    assert library.gestures == {"my wave": WAVE}
    assert [path.name for path in (tmp_path / "gestures").iterdir()] == ["my wave.json"]
    library.delete("my wave")
    assert library.gestures == {}
    for name in ("../x", "a/b", "", ".", "x" * 41):
        with pytest.raises(BadCommand):
            library.save(name, WAVE)
    with pytest.raises(Conflict):
        library.save("bow", WAVE)
    with pytest.raises(NotFound):
        library.delete("my wave")
    with pytest.raises(NotFound, match="--gestures-folder"):
        GestureLibrary(None).save("wave", WAVE)


def test_two_who_look_at_the_same_time_lose_no_gesture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library, read = GestureLibrary(tmp_path / "gestures"), gesture_library._read
    reads, looked = threading.Event(), threading.Event()

    def read_while_another_looks(path: Path) -> GestureCurve:
        if not reads.is_set():
            reads.set()
            looked.wait(1)  # it waits for this one, where it must
        return read(path)

    monkeypatch.setattr(gesture_library, "_read", read_while_another_looks)
    for name in ("a", "b"):
        write(tmp_path / "gestures", f"{name}.json", json.dumps(GOOD))
    with ThreadPoolExecutor(2) as threads:
        threads.submit(library.look)
        reads.wait()
        threads.submit(library.look).add_done_callback(lambda _: looked.set())
    assert set(library.gestures) == {"a", "b"}


async def next_catalog(socket: object) -> dict[str, bool]:
    catalog = await next_message(socket, "catalog")
    return {gesture["name"]: gesture["custom"] for gesture in catalog["gestures"]}


def test_a_gesture_is_recorded_at_the_desk_played_and_seen_by_everybody(tmp_path: Path) -> None:
    async def run() -> None:
        config = ServerConfig(port=0, gestures_folder=tmp_path / "gestures")
        async with serving(tmp_path, config) as http, living(http, loud=False) as client:
            async with http.ws_connect(f"/api/sessions/{client.session_id}/control") as desk:
                await next_catalog(desk)
                await desk.send_json({"type": "gesture.record", "id": "r", "on": True})
                await desk.send_json({"type": "pose.set", "id": "p", "yaw_deg": 20, "hold_ms": 200})
                while (await next_message(desk, "done"))["id"] != "p":
                    pass
                await asyncio.sleep(0.5)
                await desk.send_json({"type": "gesture.record", "id": "k", "on": False, "name": "glance"})
                assert (await next_catalog(desk))["glance"] is True
                await desk.send_json({"type": "gesture.play", "id": "g", "name": "glance"})
                turned = 0.0
                while (message := await next_message(desk, "face")) and turned < 15:
                    turned = max(turned, message["pose"]["yaw_deg"])

    asyncio.run(run())


def test_a_file_that_appears_is_offered_while_the_show_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gesture_library, "LOOK_PERIOD_S", 0.05)

    async def run() -> None:
        config = ServerConfig(port=0, gestures_folder=tmp_path / "gestures")
        async with serving(tmp_path, config) as http:
            session = await (await http.post("/api/sessions", json={})).json()
            async with http.ws_connect(session["control_url"]) as desk:
                assert "wave" not in await next_catalog(desk)
                write(tmp_path / "gestures", "wave.json", json.dumps(GOOD))
                while "wave" not in await next_catalog(desk):
                    pass

    asyncio.run(run())


def test_gestures_are_listed_read_kept_and_deleted_by_http(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        assert await (await http.get("/api/gestures")).json() == {"gestures": [], "problems": []}
        assert (await http.put("/api/gestures/my wave", json=GOOD)).status == 201
        assert (await http.put("/api/gestures/nod", json=GOOD)).status == 409
        bad = await http.put("/api/gestures/other", json={"duration_s": 1})
        assert bad.status == 400 and "needs channels" in (await bad.json())["error"]["message"]
        assert (await (await http.get("/api/gestures/my wave")).json())["duration_s"] == 1.2
        assert await (await http.get("/api/gestures")).json() == {"gestures": ["my wave"], "problems": []}
        assert (await http.delete("/api/gestures/my wave")).status == 204
        assert (await http.get("/api/gestures/my wave")).status == 404

    async def run() -> None:
        async with serving(tmp_path, ServerConfig(port=0, gestures_folder=tmp_path / "gestures")) as http:
            await test(http)

    asyncio.run(run())


def test_a_full_disk_leaves_nothing_behind_and_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    async def run() -> None:
        folder = tmp_path / "gestures"
        async with serving(tmp_path, ServerConfig(port=0, gestures_folder=folder)) as http:
            monkeypatch.setattr("realtime.gestures.library.json.dump", full)
            refused = await http.put("/api/gestures/wave", json=GOOD)
            assert refused.status == 503 and "No space left" in (await refused.json())["error"]["message"]
            assert list(folder.iterdir()) == []

    asyncio.run(run())


def test_no_more_gestures_are_kept_than_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gesture_library, "MAX_FILES", 2)
    library = GestureLibrary(tmp_path)
    for name in ("a", "b", "b"):
        library.save(name, WAVE)
    with pytest.raises(Conflict, match="2 gestures are kept already: delete one first"):
        library.save("c", WAVE)
    library.delete("a")
    library.save("c", WAVE)
    assert set(library.gestures) == {"b", "c"}


def test_a_folder_that_cannot_be_read_for_a_while_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(gesture_library, "LOOK_PERIOD_S", 0.01)
    library, look, broken = GestureLibrary(tmp_path), GestureLibrary.look, [OSError("stale file handle")]

    def look_at_last(self: GestureLibrary) -> None:
        if broken:
            raise broken.pop()
        look(self)

    monkeypatch.setattr(GestureLibrary, "look", look_at_last)

    async def run() -> None:
        found = asyncio.Event()
        watching = asyncio.create_task(library.watch(found.set))
        write(tmp_path, "wave.json", json.dumps(GOOD))
        await asyncio.wait_for(found.wait(), 5)
        watching.cancel()

    asyncio.run(run())
    assert "cannot be read: stale file handle" in caplog.text
