"""The doctor says what is wrong before the show, and what to do about it."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from engines.engine import EngineError
from realtime import doctor
from realtime.config import ServerConfig
from realtime.media import ice_probe
from tests.toy_bundle import write_bundle

HEALTHY = ServerConfig(port=0)


def finding(config: ServerConfig, name: str) -> doctor.Finding:
    return next(found for found in doctor.examine(config) if found.name == name)


@pytest.mark.parametrize("name", ["H264 encoder", "VP8 encoder", "port", "reach"])
def test_on_a_healthy_machine_nothing_fails(name: str) -> None:
    assert finding(HEALTHY, name).state == "ok"


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
    assert "TURN" not in finding(replace(reached, ice_servers=("turn:127.0.0.1:9",), turn_secret="c"), "reach").advice


def test_a_damaged_bundle_is_found_and_ends_the_examination(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "toy")
    (bundle / "doubler.onnx").write_bytes(b"damaged")
    *_, last = doctor.examine(replace(HEALTHY, bundle=bundle))
    assert (last.name, last.state) == ("bundle", "failed")
    assert "wrong checksum" in last.found


def test_networks_that_open_and_do_not_run_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise EngineError("cudaMalloc failed: cudaErrorMemoryAllocation")

    monkeypatch.setattr(doctor, "_time_chunks", fail)
    *_, last = doctor.examine(HEALTHY)
    assert (last.name, last.state) == ("bundle", "failed") and "cudaMalloc failed" in last.found


@pytest.mark.parametrize("size", ["256", "512"])
def test_the_shipped_bundle_gets_a_verdict_on_its_speed(monkeypatch: pytest.MonkeyPatch, size: str) -> None:
    monkeypatch.setattr(doctor, "TRIAL_S", 0.3)
    found = finding(replace(HEALTHY, picture_size=size), "speed")
    assert f"frames a second at {size} x {size}" in found.found


def test_the_verdict_is_on_the_size_that_the_server_would_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "TRIAL_S", 0.1)
    for has_room, size in ((True, 512), (False, 256)):
        monkeypatch.setattr(doctor, "leaves_room", lambda *_, has_room=has_room: has_room)
        assert f"at {size} x {size}" in finding(HEALTHY, "speed").found


@pytest.mark.parametrize(
    ("one_step_ms", "two_steps_ms", "state", "sustains"),
    [
        (10.0, 15.0, "ok", "3 sessions with 1 step, 2 sessions with 2 steps"),
        (30.0, 35.0, "ok", "1 session with 1 step, 0 sessions with 2 steps"),
        (35.0, 45.0, "warning", "0 sessions with 1 step, 0 sessions with 2 steps"),
        (60.0, 75.0, "failed", "0 sessions with 1 step, 0 sessions with 2 steps"),
    ],
)
def test_the_verdict_follows_the_time_of_a_frame(
    one_step_ms: float, two_steps_ms: float, state: str, sustains: str
) -> None:
    found = doctor._verdict({1: [one_step_ms] * 9, 2: [two_steps_ms] * 9}, HEALTHY, 2, 256)
    assert found.state == state and found.found.endswith(f"sustains {sustains}")


def test_more_sessions_than_the_machine_sustains_are_named() -> None:
    times_ms = {1: [15.0] * 9, 2: [22.5] * 9}
    assert "--max-sessions 2" in doctor._verdict(times_ms, replace(HEALTHY, max_sessions=4), 2, 256).advice
    assert not doctor._verdict(times_ms, replace(HEALTHY, max_sessions=2), 2, 256).advice


def test_where_large_pictures_leave_too_little_time_smaller_ones_are_named() -> None:
    for one_step_ms, is_named in ((15.0, True), (35.0, True), (60.0, True), (5.0, False)):
        found = doctor._verdict({1: [one_step_ms] * 9, 2: [70.0] * 9}, replace(HEALTHY, max_sessions=4), 2, 512)
        assert ("--picture-size 256" in found.advice) == is_named


def test_two_steps_on_a_machine_that_only_sustains_one_are_told_so() -> None:
    found = doctor._verdict({1: [25.0] * 9, 2: [35.0] * 9}, replace(HEALTHY, steps=2), 2, 256)
    assert found.state == "warning" and "--steps 1" in found.advice


def test_ice_servers_that_answer_and_those_that_do_not_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ice_probe, "TIMEOUT_S", 0.2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        url = f"turn:127.0.0.1:{silent.getsockname()[1]}"
        found = finding(replace(HEALTHY, ice_servers=(url,), turn_secret="c"), "ICE server")
    assert found.state == "warning" and f"{url} does not answer" in found.found


def test_memory_that_files_are_kept_in_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for available, state in ((6_000_000, "ok"), (1_000_000, "warning")):
        (tmp_path / "meminfo").write_text(f"MemTotal: 8000000 kB\nMemFree: 300000 kB\nMemAvailable: {available} kB\n")
        monkeypatch.setattr(doctor, "MEMORY_INFO", tmp_path / "meminfo")
        assert finding(HEALTHY, "memory").state == state


def test_what_would_stop_the_start_is_found(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("no key")
    unfit = replace(HEALTHY, tls_certificate=tmp_path / "key.pem", tls_key=tmp_path / "key.pem")
    assert finding(unfit, "certificate").state == "failed"
    *_, last = doctor.examine(replace(HEALTHY, presenter="nobody"))
    assert (last.name, last.state) == ("bundle", "failed") and "no presenter 'nobody'" in last.found


def test_an_address_of_ipv6_is_one() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    assert finding(replace(HEALTHY, host="::1"), "port").state == "ok"
