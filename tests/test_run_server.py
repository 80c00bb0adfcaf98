"""Starting and ending: an address is printed, signals end it cleanly, and what cannot start says why."""

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from realtime.access import Grant, Role, read_token
from tests.toy_bundle import write_bundle

ROOT = Path(__file__).parent.parent


def refused(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "run_server.py", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_missing_bundle_stops_the_start(tmp_path: Path) -> None:
    assert re.search("cannot start: no bundle in .*nowhere", refused("--bundle", str(tmp_path / "nowhere")))


def test_a_bundle_with_a_wrong_checksum_stops_the_start(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "toy")
    (bundle / "doubler.onnx").write_bytes(b"damaged")
    assert re.search("doubler.onnx has a wrong checksum.*restore", refused("--bundle", str(bundle)))


def test_an_unknown_presenter_and_an_unknown_key_stop_the_start(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "toy")
    assert "no presenter 'zed': choose one of ada" in refused("--bundle", str(bundle), "--presenter", "zed")
    file = tmp_path / "flap.toml"
    file.write_text("colour = 1")
    assert "unknown key 'colour'" in refused("--config", str(file))


def test_a_server_that_others_can_reach_needs_a_secret() -> None:
    assert "needs a secret: set FLAP_SECRET" in refused("--host", "0.0.0.0")


def test_a_secret_and_a_token_are_made_on_the_command_line() -> None:
    def said(*arguments: str, **environment: str) -> str:
        program = [sys.executable, "run_server.py", *arguments]
        done = subprocess.run(
            program, cwd=ROOT, capture_output=True, text=True, env=os.environ | environment, check=True
        )
        return done.stdout.strip()

    secret = said("secret")
    token = said("token", "viewer", "--hours=1", "--session=show", FLAP_SECRET=secret)
    assert read_token(secret, token) == Grant(Role.VIEWER, "show")
    assert "signed with the server's secret" in refused("token", "viewer")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_cleanly(number: signal.Signals) -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.serve_fake"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout
        address = re.search(r"ready: (http://127\.0\.0\.1:\d+/)", server.stdout.readline())
        assert address
        urllib.request.urlopen(urllib.request.Request(address[1] + "api/sessions", method="POST"), timeout=10).close()
        server.send_signal(number)
        _, errors = server.communicate(timeout=20)
        assert server.returncode == 0
        assert "Traceback" not in errors
    finally:
        server.kill()
