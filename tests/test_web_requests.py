"""Bodies come in full, in time and no longer than their door takes, or a sentence says what is wrong."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, make_mocked_request

from realtime.web.requests import error_response
from tests.test_server import SDP, refusal, with_server

COMMAND = {"type": "overlay.set", "text": "x" * 150}
SHOW = {"cues": [{"id": f"cue-{number}", "commands": [COMMAND] * 12} for number in range(200)]}


def test_the_longest_cue_sheet_that_is_promised_fits(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        session = (await (await http.post("/api/sessions")).json())["id"]
        kept = await http.put(f"/api/sessions/{session}/cues", json=SHOW)
        assert kept.status == 200
        assert len((await kept.json())["cues"]) == 200

    with_server(tmp_path, test)


def test_each_door_says_how_much_it_takes(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        session = await (await http.post("/api/sessions")).json()
        cues = f"/api/sessions/{session['id']}/cues"
        for answer, limit in (
            (await http.put(cues, json={"name": "x" * 530_000}), "512 KiB"),
            (await http.post("/api/sessions", json={"presenter": "x" * 132_000}), "128 KiB"),
            (await http.post(session["whep_url"], data="v" * 66_000, headers=SDP), "64 KiB"),
            (await http.post("/offer", json={"type": "offer", "sdp": "v" * 66_000}), "64 KiB"),
        ):
            status, code, sentence = await refusal(answer)
            assert (status, code) == (413, "too_large") and limit in sentence

    with_server(tmp_path, test)


@pytest.mark.parametrize("kind", ["application/json", "application/sdp"])
def test_a_body_that_does_not_come_in_time_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("realtime.web.requests.BODY_S", 0.2)

    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(5)
        yield b"}"

    async def test(http: TestClient) -> None:
        session = await (await http.post("/api/sessions")).json()
        door = "/api/sessions" if kind == "application/json" else session["whep_url"]
        started_s = time.monotonic()
        answer = await http.post(door, data=slow(), headers={"Content-Type": kind})
        status, code, sentence = await refusal(answer)
        assert (status, code) == (400, "bad_request") and "did not come within 0.2 s" in sentence
        assert time.monotonic() - started_s < 3
        answer.close()

    with_server(tmp_path, test)


def test_a_page_can_say_what_is_no_text() -> None:
    request = make_mocked_request("GET", "/", headers={"Accept": "text/html"})
    answer = error_response(request, 403, "forbidden", "a header is malformed: \udcff")
    assert isinstance(answer.body, bytes) and "malformed: ?" in answer.body.decode()


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_body_that_is_not_what_its_encoding_says_is_a_bad_request(tmp_path: Path, encoding: str) -> None:
    async def test(http: TestClient) -> None:
        session = await (await http.post("/api/sessions")).json()
        headers = {"Content-Encoding": encoding, "Content-Type": "audio/wav"}
        answer = await http.post(session["audio_url"], data=b"no such thing" * 100, headers=headers)
        status, code, sentence = await refusal(answer)
        assert (status, code) == (400, "bad_request") and "broke off" in sentence

    with_server(tmp_path, test)


def test_streams_are_not_sent_to_whoever_asks_for_their_head(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        session = (await (await http.post("/api/sessions")).json())["id"]
        for path in ("/watch.mjpeg", "/watch.ts", f"/api/sessions/{session}/events"):
            answer = await asyncio.wait_for(http.head(path), 5)
            assert (answer.status, answer.headers["Allow"]) == (405, "GET"), path

    with_server(tmp_path, test)


def test_a_misspelt_field_is_named_and_makes_no_session(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        for door, body in (
            ("/offer", {"type": "offer", "sdp": "v=0", "session": "x"}),
            ("/api/sessions", {"avatar": "ada"}),
        ):
            status, _, sentence = await refusal(await http.post(door, json=body))
            assert status == 400 and "unknown field" in sentence and "presenter" in sentence
        assert await (await http.get("/api/sessions")).json() == []

    with_server(tmp_path, test)
