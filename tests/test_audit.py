"""The audit log says who did what and when, is rotated, and never makes anybody wait."""

import asyncio
import json
import logging
import threading
import time
from pathlib import Path

import pytest

from realtime.config import ServerConfig
from realtime.telemetry import audit
from realtime.telemetry.audit import AuditLog
from realtime.web.access import Grant, Role, make_token
from tests.live_client import serving
from tests.test_live import next_message

SECRET = "s" * 40


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_has_a_moment_an_event_and_what_is_known(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "new" / "audit.jsonl")
    log.note("session_opened", session="s1", presenter="ada", reason=None)
    log.of_session("s1").command({"operator": "o1"}, {"type": "neutral", "text": "你好"}, "locked")
    log.close()
    first, second = lines(tmp_path / "new" / "audit.jsonl")
    assert first.pop("time").endswith("+00:00")
    assert first == {"event": "session_opened", "session": "s1", "presenter": "ada"}
    assert second["command"]["text"] == "你好" and second["refused"] == "locked"


def test_without_a_path_nothing_is_kept(tmp_path: Path) -> None:
    log = AuditLog()
    log.note("x")
    log.close()
    assert list(tmp_path.iterdir()) == []


def test_a_full_file_is_followed_by_a_new_one_and_the_oldest_go(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl", max_bytes=500)
    for number in range(200):
        log.note("command", number=number)
    log.close()
    files = sorted(tmp_path.iterdir())
    assert len(files) == 1 + audit.KEPT_FILES
    assert all(path.stat().st_size <= 500 for path in files)
    assert lines(tmp_path / "audit.jsonl")[-1]["number"] == 199


def test_lines_that_the_disk_cannot_take_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "WAITING_LINES", 3)
    log = AuditLog(tmp_path / "audit.jsonl")
    assert log._listener
    log._listener.stop()
    for _ in range(5):
        log.note("command")
    assert log.dropped == 2
    log._listener.start()
    log.close()


def test_a_file_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        AuditLog(tmp_path)


def test_a_show_can_be_read_in_the_log(tmp_path: Path) -> None:
    """Sessions, operators by name, role and address, commands with their frames, refusals, requests; no token, no flood."""

    async def run() -> list[dict]:
        path = tmp_path / "audit.jsonl"
        config = ServerConfig(port=0, audit_log=path, secret=SECRET)
        token = make_token(SECRET, Grant(Role.OPERATOR, None), 4e9)
        headers = {"Authorization": f"Bearer {token}"}
        async with serving(tmp_path, config) as http:
            session = await (await http.post("/api/sessions", json={}, headers=headers)).json()
            async with http.ws_connect(f"{session['control_url']}?name=Anna", headers=headers) as desk:
                await desk.send_json({"type": "pose.set", "id": "p", "yaw_deg": 5})
                await next_message(desk, "ack")
                await desk.send_json({"type": "look.at", "id": "l", "target": "moon"})
                await desk.send_json({"type": "gesture.play", "id": "g", "name": "cartwheel"})
                await desk.send_json({"type": "drive.frame", "id": "d", "source": "webcam"})
                await next_message(desk, "error")
                await next_message(desk, "error")
                for number in range(200):
                    await desk.send_json({"type": "blink.now", "id": str(number)})
                await desk.send_json({"type": "ping", "id": "end", "client_time_ms": 0})
                await asyncio.sleep(0.3)
            await http.delete(f"/api/sessions/{session['id']}?token={token}", headers=headers)
            await http.post("/api/sessions", json={"presenter": "nobody"}, headers=headers)
        assert token not in path.read_text()
        return lines(path)

    said = asyncio.run(run())
    events = [line["event"] for line in said]
    assert events[:2] == ["session_opened", "request"] or events[:2] == ["request", "session_opened"]
    commands = {line["command"]["id"]: line for line in said if line["event"] == "command"}
    assert commands["p"]["name"] == "Anna" and commands["p"]["command"]["yaw_deg"] == 5 and commands["p"]["address"]
    assert commands["g"]["refused"] == "not_found"
    assert next(line for line in said if line["event"] == "applied")["id"] == "p"
    assert next(line for line in said if line["event"] == "refused")["id"] == "l"
    assert next(line for line in said if line["event"] == "driving")["source"] == "webcam"
    assert "d" not in commands and len(commands) < 100, "neither frames nor floods fill the log"
    assert next(line for line in said if line["event"] == "operator_left")["unread"] > 50
    requests = [line for line in said if line["event"] == "request"]
    assert [(line["method"], line["status"], line["role"]) for line in requests] == [
        ("POST", 201, "operator"), ("DELETE", 204, "operator"), ("POST", 404, "operator"),
    ]  # fmt: skip
    assert next(line for line in said if line["event"] == "session_closed")["reason"] == "deleted"


def test_no_text_keeps_a_line_out_of_the_log(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl")
    log.note("command", id="\ud800")
    log.close()
    assert "ud800" in (tmp_path / "audit.jsonl").read_text()


def test_a_file_that_may_not_be_renamed_goes_on_and_what_the_disk_refuses_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(*_: object) -> None:
        raise OSError(16, "busy")

    monkeypatch.setattr("os.rename", refused)
    log = AuditLog(tmp_path / "audit.jsonl", max_bytes=300)
    for number in range(50):
        log.note("command", number=number)
    log.close()
    assert [line["number"] for line in lines(tmp_path / "audit.jsonl")] == list(range(50))
    assert len([record for record in caplog.records if "audit log" in record.message]) == 1
    full = AuditLog(tmp_path / "full.jsonl")
    monkeypatch.setattr(full._file, "flush", refused)
    for _ in range(4):
        full.note("command")
    assert full._listener
    full._listener.stop()
    assert full.dropped == 4


def test_a_disk_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "CLOSING_S", 0.1)
    log, hangs = AuditLog(tmp_path / "audit.jsonl"), threading.Event()
    monkeypatch.setattr(log._file, "emit", lambda record: hangs.wait(30))
    log.note("command")
    began_s = time.monotonic()
    log.close()
    assert time.monotonic() - began_s < 5
    waited_for = [known() for known in logging._handlerList]  # type: ignore[attr-defined]
    assert log._file not in waited_for, "or the end of the process would wait"
    hangs.set()
