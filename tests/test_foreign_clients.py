"""Programs that share no code with this server speak to it: FFmpeg publishes by WHIP, GStreamer watches by WHEP."""

import asyncio
import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient
from aiortc import RTCSessionDescription

from realtime.config import ServerConfig
from realtime.web.access import Grant, Role, make_token
from tests.live_client import LiveClient, living, serving
from tests.test_server import SDP, offer_of

SECRET = "s" * 43
SYSTEM_PYTHON = "/usr/bin/python3"  # Debian's GStreamer is for Debian's Python
GSTREAMER_IS_THERE = (
    "import gi; gi.require_version('GstWebRTC', '1.0'); from gi.repository import Gst, GstWebRTC; Gst.init(None); "
    "assert all(map(Gst.ElementFactory.find, ('webrtcbin', 'nicesrc', 'avdec_h264', 'vp8dec', 'opusdec')))"
)
pytestmark = pytest.mark.slow


def ffmpeg_with_whip() -> str:
    """The path of an FFmpeg that publishes by WHIP (8 or newer), or a skip."""
    candidates = [shutil.which("ffmpeg")]
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        candidates.append(get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        pass
    for path in filter(None, candidates):
        muxers = subprocess.run([path, "-hide_banner", "-muxers"], capture_output=True, text=True).stdout
        if " whip " in muxers:
            return path
    pytest.skip("no FFmpeg with the WHIP muxer: pip install -r requirements/foreign.txt")


async def viewer_of(http: TestClient, session: dict[str, str], token: dict[str, str]) -> LiveClient:
    viewer = LiveClient(http)
    for kind in ("audio", "video"):
        viewer.connection.addTransceiver(kind, direction="recvonly")
    answer = await http.post(session["whep_url"], data=await offer_of(viewer.connection), headers=SDP | token)
    assert answer.status == 201, await answer.text()
    await viewer.connection.setRemoteDescription(RTCSessionDescription(await answer.text(), "answer"))
    return viewer


def test_ffmpeg_publishes_a_microphone_with_a_token(tmp_path: Path) -> None:
    """A viewer hears its tone and sees the mouth open; when it ends, it says so and the host has gone."""
    program = ffmpeg_with_whip()
    grant = make_token(SECRET, Grant(Role.HOST), time.time() + 600)
    token = {"Authorization": f"Bearer {grant}"}

    async def run() -> None:
        async with serving(tmp_path, ServerConfig(port=0, secret=SECRET)) as http:
            session = await (await http.post("/api/sessions", headers=token)).json()
            viewer = await viewer_of(http, session, token)
            arguments = (
                "-hide_banner -loglevel error -re -f lavfi -i testsrc=size=128x128:rate=15 -re -f lavfi -i sine=frequency=400 -t 8 "
                "-c:v libx264 -profile:v baseline -bf 0 -pix_fmt yuv420p -c:a libopus -ar 48000 -ac 2 -f whip -authorization"
            ).split()
            url = str(http.make_url(session["whip_url"]))
            ffmpeg = await asyncio.create_subprocess_exec(program, *arguments, grant, url, stderr=subprocess.PIPE)

            async def host_connected() -> bool:
                described = await (await http.get(f"/api/sessions/{session['id']}", headers=token)).json()
                return bool(described["host_connected"])

            try:
                async with asyncio.timeout(60):
                    while not await host_connected():
                        await asyncio.sleep(0.1)
                await viewer.watch(2.5)
                watched = await viewer.watch(2)
                assert max(level for _, level in watched.levels) > 500
                assert max(watched.openings) > 10
                _, errors = await asyncio.wait_for(ffmpeg.communicate(), 30)
                assert ffmpeg.returncode == 0, errors.decode()
                assert not await host_connected()
            finally:
                if ffmpeg.returncode is None:
                    ffmpeg.kill()
                await viewer.close()

    asyncio.run(run())


@pytest.mark.parametrize("codec", ["H264", "VP8"])
def test_gstreamer_watches(tmp_path: Path, codec: str) -> None:
    if (
        not Path(SYSTEM_PYTHON).exists()
        or subprocess.run([SYSTEM_PYTHON, "-c", GSTREAMER_IS_THERE], capture_output=True).returncode
    ):
        pytest.skip("GStreamer's webrtcbin or its Python is not installed: sh requirements/system.sh foreign")

    async def run() -> None:
        async with serving(tmp_path) as http, living(http) as host:
            url = str(http.make_url(f"/api/sessions/{host.session_id}/whep"))
            viewer = await asyncio.create_subprocess_exec(
                SYSTEM_PYTHON, str(Path(__file__).parent / "gstreamer_viewer.py"), url, "8", codec,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
            said, errors = await asyncio.wait_for(viewer.communicate(), 60)
            assert said, errors.decode()
            decoded = json.loads(said.splitlines()[-1])
            assert decoded.get("video", 0) > 75 and decoded.get("audio", 0) > 150, decoded

    asyncio.run(run())
