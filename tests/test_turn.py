"""A viewer who has nothing but a relay watches through coturn, set up as docs/network.md says."""

import asyncio
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient
from aioice.ice import get_host_addresses
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription
from aiortc.rtcconfiguration import RTCIceTransportPolicy

from realtime.config import ServerConfig
from tests.live_client import LiveClient, living, serving
from tests.test_server import SDP, offer_of

SECRET = "what both sides know"
DOCUMENT = Path(__file__).parent.parent / "docs" / "network.md"
pytestmark = pytest.mark.slow


def coturn_settings(address: str, port: int, folder: Path) -> Path:
    """The file of the document, with this machine's address and without the lines that keep private networks out."""
    text = DOCUMENT.read_text().split("### coturn")[1].split("```")[1]
    lines = [line for line in text.strip().splitlines() if not line.startswith("denied-peer-ip")]
    settings = "\n".join(lines)
    settings = re.sub(
        "listening-port=.*", f"listening-port={port}\nlistening-ip={address}\nrelay-ip={address}", settings
    )
    settings = re.sub("static-auth-secret=.*", f"static-auth-secret={SECRET}", settings)
    file = folder / "turnserver.conf"
    file.write_text(
        f"{settings}\nlog-file=stdout\npidfile={folder}/turnserver.pid\nuserdb={folder}/turndb\nno-tls\nno-dtls\n"
    )
    return file


async def relayed_viewer(http: TestClient, session_id: str) -> LiveClient:
    """A viewer with the servers and logins that the session names, who offers nothing but the relay's address."""
    session = await (await http.get(f"/api/sessions/{session_id}")).json()
    servers = [RTCIceServer(**server) for server in session["ice_servers"]]
    viewer = LiveClient(http)
    viewer.connection = RTCPeerConnection(
        RTCConfiguration(iceServers=servers, iceTransportPolicy=RTCIceTransportPolicy.RELAY)
    )
    viewer.connection.on("track", viewer._track_came)
    for kind in ("audio", "video"):
        viewer.connection.addTransceiver(kind, direction="recvonly")
    offer = await offer_of(viewer.connection)
    candidates = re.findall("a=candidate:.*", offer)
    assert candidates and all(" typ relay" in candidate for candidate in candidates), offer
    answer = await http.post(f"/api/sessions/{session_id}/whep", data=offer, headers=SDP)
    await viewer.connection.setRemoteDescription(RTCSessionDescription(await answer.text(), "answer"))
    return viewer


def test_a_viewer_watches_through_the_relay_alone(tmp_path: Path) -> None:
    program = shutil.which("turnserver")
    if program is None:
        pytest.skip("coturn is not installed: sh requirements/system.sh foreign")
    address = get_host_addresses(use_ipv4=True, use_ipv6=False)[0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))
        port = probe.getsockname()[1]
    coturn = subprocess.Popen(
        [program, "-c", str(coturn_settings(address, port, tmp_path))],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    config = ServerConfig(port=0, ice_servers=(f"turn:{address}:{port}?transport=udp",), turn_secret=SECRET)

    async def run() -> None:
        async with serving(tmp_path, config) as http, living(http) as host:
            viewer = await relayed_viewer(http, host.session_id)
            await viewer.see_at_least(20)
            assert coturn.poll() is None
            await viewer.close()

    try:
        asyncio.run(run())
    finally:
        coturn.terminate()
        coturn.wait(10)
