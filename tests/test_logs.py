"""Every line of the log can be read by a machine and says which session it is about."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator

import pytest

from realtime.telemetry.logs import LogFormat, about, set_up
from tests.test_drain import serving

logger = logging.getLogger("tests.logs")


@pytest.fixture(autouse=True)
def same_log_afterwards() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before, level


def logged(log_format: LogFormat, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    set_up(log_format)
    return stream


def test_a_line_of_json_has_the_session_and_the_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = logged("json", monkeypatch)
    with about("s1"):
        logger.warning('a "quoted" %s\nof two lines', "word")
    try:
        raise ValueError("no")
    except ValueError:
        logger.exception("failed")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert (first["level"], first["logger"], first["session"]) == ("WARNING", "tests.logs", "s1")
    assert first["message"] == 'a "quoted" word\nof two lines'
    assert "session" not in second and second["exception"].endswith("ValueError: no")


def test_a_line_of_text_names_the_session_too(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = logged("text", monkeypatch)
    with about("s1"), about("s2"):
        logger.info("hello")
    logger.info("bye")
    first, second = stream.getvalue().splitlines()
    assert first.endswith("INFO tests.logs [session s2] hello") and second.endswith("INFO tests.logs bye")


def test_tasks_that_begin_within_are_about_the_same_session(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = logged("json", monkeypatch)

    async def say() -> None:
        await asyncio.sleep(0)
        logger.info("later")

    async def run() -> None:
        with about("s1"):
            task = asyncio.create_task(say())
        await task

    asyncio.run(run())
    assert json.loads(stream.getvalue())["session"] == "s1"


def test_a_server_that_is_told_to_writes_nothing_but_json_and_names_its_sessions() -> None:
    async def run() -> None:
        async with serving("--log-format=json") as server:
            session = (await (await server.http.post("/api/sessions")).json())["id"]
            await server.http.delete(f"/api/sessions/{session}")
            server.process.terminate()
            assert server.process.stderr
            lines = (await asyncio.wait_for(server.process.stderr.read(), 30)).splitlines()
        said = [json.loads(line) for line in lines]
        assert [line["message"] for line in said if line.get("session") == session] == [
            "opened with ada", "closed: deleted"
        ]  # fmt: skip

    asyncio.run(run())


def test_what_a_stranger_writes_makes_no_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = logged("text", monkeypatch)
    logger.info("GET %s", "/x\n2026-11-28 INFO all is well \x1b[2J 你好")
    (line,) = stream.getvalue().splitlines()
    assert r"/x\n2026-11-28" in line and r"\x1b[2J" in line and line.endswith("你好")
