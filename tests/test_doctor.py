"""The doctor says what is wrong before the show, and what to do about it."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from realtime import doctor
from realtime.config import ServerConfig
from tests.toy_bundle import write_bundle

HEALTHY = ServerConfig(port=0)


def finding(config: ServerConfig, name: str) -> doctor.Finding:
    return next(found for found in doctor.examine(config) if found.name == name)


@pytest.mark.parametrize("name", ["processor", "memory", "H264 encoder", "VP8 encoder", "port", "reach"])
def test_on_a_healthy_machine_nothing_fails(name: str) -> None:
    assert finding(HEALTHY, name).state != "failed"


def test_a_port_in_use_is_named_with_advice() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = finding(replace(HEALTHY, port=taken.getsockname()[1]), "port")
    assert found.state == "failed"
    assert "--port" in found.advice


def test_a_server_that_others_can_reach_is_warned_of_tls_and_turn() -> None:
    reached = replace(HEALTHY, host="0.0.0.0", secret="s" * 43)
    found = finding(reached, "reach")
    assert found.state == "warning"
    assert all(word in found.advice for word in ("TLS", "TURN"))
    assert "TURN" not in finding(replace(reached, ice_servers=("turn:example.org",)), "reach").advice


def test_a_damaged_bundle_is_found_and_ends_the_examination(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "toy")
    (bundle / "doubler.onnx").write_bytes(b"damaged")
    *_, last = doctor.examine(replace(HEALTHY, bundle=bundle))
    assert (last.name, last.state) == ("bundle", "failed")
    assert "wrong checksum" in last.found


def test_the_shipped_bundle_gets_a_verdict_on_its_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "TRIAL_S", 0.3)
    found = finding(HEALTHY, "speed")
    assert "frames a second at 256 x 256" in found.found


@pytest.mark.parametrize(
    ("chunk_ms", "state", "sessions"), [(20.0, "ok", 3), (70.0, "warning", 0), (120.0, "failed", 0), (60.0, "ok", 1)]
)
def test_the_verdict_follows_the_time_of_a_chunk(chunk_ms: float, state: str, sessions: int) -> None:
    found = doctor._verdict([chunk_ms] * 9, HEALTHY)
    assert found.state == state
    assert found.found.endswith(f"sessions at once: {sessions}")
