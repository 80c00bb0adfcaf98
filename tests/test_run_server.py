"""Starting and ending: an address is printed, signals end it cleanly, and what cannot start says why."""

import asyncio
import datetime
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from realtime.web.access import Grant, Role, read_token
from tests.toy_bundle import write_bundle

ROOT = Path(__file__).parent.parent


def refused(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "run_server.py", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=180
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


def test_windows_is_told_of_its_linux() -> None:
    program = "import sys, run_server; sys.platform = 'win32'; run_server.main()"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "WSL 2" in done.stderr and "Traceback" not in done.stderr


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


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of localhost that nobody else has signed, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(1))
        .not_valid_after(now + datetime.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths


def test_https_and_a_small_range_of_udp_ports(tmp_path: Path) -> None:
    """One address speaks HTTPS with the given certificate; what is offered for sound and pictures lies within the range."""
    certificate, key = write_certificate(tmp_path)
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.serve_fake", "--udp-ports=50100-50149", "--tls-certificate", str(certificate), "--tls-key", str(key)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert server.stdout
        address = re.search(r"ready: https://127\.0\.0\.1:(\d+)/", server.stdout.readline())
        assert address
        url = f"https://localhost:{address[1]}/offer"

        async def candidates() -> list[str]:
            peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
            peer.addTransceiver("audio", direction="sendrecv")
            await peer.setLocalDescription(await peer.createOffer())
            await peer.close()
            body = json.dumps({"type": "offer", "sdp": peer.localDescription.sdp}).encode()
            request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
            trust = ssl.create_default_context(cafile=str(certificate))
            with urllib.request.urlopen(request, timeout=60, context=trust) as response:
                answer = json.load(response)["sdp"]
            return [line for line in answer.splitlines() if line.startswith("a=candidate:")]

        ports = [int(line.split()[5]) for line in asyncio.run(candidates())]
        assert ports and all(50_100 <= port < 50_150 for port in ports)
    finally:
        server.kill()
        server.wait()


def test_a_certificate_that_is_none_stops_the_start(tmp_path: Path) -> None:
    for name in ("certificate.pem", "key.pem"):
        (tmp_path / name).write_text("no")
    files = ("--tls-certificate", str(tmp_path / "certificate.pem"), "--tls-key", str(tmp_path / "key.pem"))
    assert re.search("cannot start: tls_certificate and tls_key .* cannot be used", refused(*files))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_cleanly(number: signal.Signals) -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.serve_fake"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout
        address = re.search(r"ready: (http://127\.0\.0\.1:\d+/)", server.stdout.readline())
        assert address
        urllib.request.urlopen(urllib.request.Request(address[1] + "api/sessions", method="POST"), timeout=60).close()
        server.send_signal(number)
        _, errors = server.communicate(timeout=60)
        assert server.returncode == 0
        assert "Traceback" not in errors
    finally:
        server.kill()


@pytest.mark.parametrize("hours", ["inf", "nan", "-1", "0"])
def test_a_token_is_good_for_some_time_and_not_for_ever(hours: str) -> None:
    done = subprocess.run(
        [sys.executable, "run_server.py", "token", "viewer", "--hours", hours],
        cwd=ROOT, capture_output=True, text=True, timeout=180, env=os.environ | {"FLAP_SECRET": "s" * 43},
    )  # fmt: skip
    assert done.returncode == 2 and "--hours must be more than 0" in done.stderr and not done.stdout
