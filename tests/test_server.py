"""The HTTP doors: what they give, and that every bad request gets a status, a code and a sentence."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from realtime.config import ServerConfig
from tests.fakes import FakePortraitStage
from tests.live_client import BurstMicrophone, LiveClient, living, serving

SDP = {"Content-Type": "application/sdp"}


def with_server(
    folder: Path, test: Callable[[TestClient], Awaitable[None]], config: ServerConfig | None = None
) -> None:
    async def run() -> None:
        async with serving(folder, config) as http:
            await test(http)

    asyncio.run(run())


async def refusal(response: Any) -> tuple[int, str, str]:
    error = (await response.json())["error"]
    return response.status, error["code"], error["message"]


def connection() -> RTCPeerConnection:
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


async def offer_of(peer: RTCPeerConnection) -> str:
    await peer.setLocalDescription(await peer.createOffer())
    return peer.localDescription.sdp


def test_a_session_is_made_described_and_deleted(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        response = await http.post("/api/sessions", json={"presenter": "bob"})
        assert response.status == 201
        session = await response.json()
        assert session["presenter"] == "bob"
        assert session["whip_url"] == f"/api/sessions/{session['id']}/whip"
        described = await (await http.get(f"/api/sessions/{session['id']}")).json()
        assert described["host_connected"] is False
        assert described["delay_ms"] == session["delay_ms"] < 260, "drawn faces take less than is allowed"
        assert await (await http.get("/api/sessions")).json() == [described]
        assert (await (await http.get("/health")).json())["sessions"] == 1
        assert f'flap_viewers{{session="{session["id"]}"}} 0' in await (await http.get("/metrics")).text()
        assert (await http.delete(f"/api/sessions/{session['id']}")).status == 204
        assert (await http.delete(f"/api/sessions/{session['id']}")).status == 404

    with_server(tmp_path, test)


def test_presenters_have_names_and_pictures(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        presenters = await (await http.get("/api/presenters")).json()
        assert [p["id"] for p in presenters] == ["ada", "bob"] and not any(p["added"] for p in presenters)
        picture = await http.get(presenters[0]["thumbnail_url"])
        assert picture.content_type == "image/png"
        assert (await http.get("/api/presenters/zed/thumbnail")).status == 404

    with_server(tmp_path, test)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"json": {"presenter": "zed"}}, 404, "not_found"),
        ({"json": {"presenter": 7}}, 400, "bad_request"),
        ({"json": ["ada"]}, 400, "bad_request"),
        ({"data": "{", "headers": {"Content-Type": "application/json"}}, 400, "bad_request"),
        ({"data": "{}", "headers": {"Content-Type": "text/plain"}}, 415, "wrong_type"),
    ],
)
def test_bad_sessions_are_refused(tmp_path: Path, body: dict[str, Any], status: int, code: str) -> None:
    async def test(http: TestClient) -> None:
        assert (await refusal(await http.post("/api/sessions", **body)))[:2] == (status, code)
        assert (await (await http.get("/health")).json())["sessions"] == 0

    with_server(tmp_path, test)


def test_sessions_have_a_limit(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        answers = await asyncio.gather(*(http.post("/api/sessions") for _ in range(4)))
        assert sorted(answer.status for answer in answers) == [201, 201, 503, 503]

    with_server(tmp_path, test, ServerConfig(port=0, max_sessions=2))


@pytest.mark.parametrize(
    "sdp", ["", "hello", "v=0\r\n", "v=0\r\nm=audio x\r\n", "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 96\r\n"]
)
def test_a_malformed_sdp_is_a_bad_request_everywhere(tmp_path: Path, sdp: str) -> None:
    async def test(http: TestClient) -> None:
        status, code, message = await refusal(await http.post("/offer", json={"type": "offer", "sdp": sdp}))
        assert (status, code) == (400, "bad_request")
        assert "SDP" in message
        assert (await (await http.get("/health")).json())["sessions"] == 0, "a refused offer leaves no session"
        session = await (await http.post("/api/sessions")).json()
        for door in ("whip_url", "whep_url"):
            assert (await refusal(await http.post(session[door], data=sdp, headers=SDP)))[0] == 400
        described = await (await http.get(f"/api/sessions/{session['id']}")).json()
        assert described["viewers"] == 0
        assert described["host_connected"] is False

    with_server(tmp_path, test)


def test_a_huge_sdp_and_a_wrong_type_are_refused(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        whip = (await (await http.post("/api/sessions")).json())["whip_url"]
        assert (await refusal(await http.post(whip, data="v" * 70_000, headers=SDP)))[:2] == (413, "too_large")
        assert (await refusal(await http.post(whip, data="v" * 700_000, headers=SDP)))[:2] == (413, "too_large")
        assert (await refusal(await http.post(whip, json={})))[:2] == (415, "wrong_type")
        assert (await refusal(await http.post("/offer", json={"type": "answer", "sdp": ""})))[0] == 400
        assert (await refusal(await http.get("/api/sessions/none/control")))[:2] == (404, "not_found")
        assert (await refusal(await http.get("/nowhere")))[0] == 404

    with_server(tmp_path, test)


def test_control_asks_for_a_websocket(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        session = await (await http.post("/api/sessions")).json()
        assert (await refusal(await http.get(session["control_url"])))[0] == 400

    with_server(tmp_path, test)


def test_whip_publishes_and_whep_watches(tmp_path: Path) -> None:
    """A microphone comes by WHIP, two viewers by WHEP (the second by VP8), each with a URL that ends it."""

    async def test(http: TestClient) -> None:
        session = await (await http.post("/api/sessions")).json()
        host, viewer = connection(), LiveClient(http)
        host.addTrack(BurstMicrophone())
        published = await http.post(session["whip_url"], data=await offer_of(host), headers=SDP)
        assert published.status == 201
        await host.setRemoteDescription(RTCSessionDescription(await published.text(), "answer"))
        for kind in ("audio", "video"):
            viewer.connection.addTransceiver(kind, direction="recvonly")
        watching = await http.post(session["whep_url"], data=await offer_of(viewer.connection), headers=SDP)
        await viewer.connection.setRemoteDescription(RTCSessionDescription(await watching.text(), "answer"))
        await viewer.see_at_least(23)
        watched = await viewer.watch(1.5)
        assert max(watched.openings) > 20
        assert (await refusal(await http.post(session["whip_url"], data=await offer_of(host), headers=SDP)))[0] == 409
        for where in (published.headers["Location"], watching.headers["Location"]):
            assert (await http.delete(where)).status == 200
            assert (await http.delete(where)).status == 404
        await asyncio.gather(host.close(), viewer.close())

    with_server(tmp_path, test)


def test_a_viewer_without_h264_gets_vp8(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        viewer = LiveClient(http)
        viewer.connection.addTransceiver("video", direction="recvonly")
        session = await (await http.post("/api/sessions")).json()
        sdp = (await offer_of(viewer.connection)).replace("H264/90000", "H999/90000")
        answer = await (await http.post(session["whep_url"], data=sdp, headers=SDP)).text()
        assert "VP8/90000" in answer
        assert "H264" not in answer
        await viewer.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await viewer.see_at_least(20)
        await viewer.close()

    with_server(tmp_path, test)


def test_viewers_have_a_limit(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        async with living(http) as client:
            viewer = connection()
            viewer.addTransceiver("video", direction="recvonly")
            path = f"/api/sessions/{client.session_id}/whep"
            response = await http.post(path, data=await offer_of(viewer), headers=SDP)
            assert (await refusal(response))[:2] == (503, "unavailable")
            await viewer.close()

    with_server(tmp_path, test, ServerConfig(port=0, max_viewers=1))


class Breaks(FakePortraitStage):
    """Cannot be made for bob."""

    def init_state(self, presenter_id: str, seed: int = 0) -> str:
        if presenter_id == "bob":
            raise RuntimeError("no memory")
        return super().init_state(presenter_id, seed)


def test_a_session_whose_model_fails_ends_alone(tmp_path: Path) -> None:
    """Operators hear why, and another session goes on."""

    async def run() -> None:
        async with serving(tmp_path, portrait=Breaks()) as http, living(http, presenter="ada") as good:
            session = await (await http.post("/api/sessions", json={"presenter": "bob"})).json()
            await asyncio.sleep(0.3)
            assert (await http.get(f"/api/sessions/{session['id']}")).status == 404
            await good.see_at_least(23)

    asyncio.run(run())


def test_a_sessions_id_can_be_given_to_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # what base64 would begin with a dash or a line
    monkeypatch.setattr(secrets, "token_bytes", lambda count: b"\xff" * count)

    async def test(http: TestClient) -> None:
        session = await (await http.post("/api/sessions", json={})).json()
        assert session["id"].isalnum()

    with_server(tmp_path, test)


def test_bodies_come_in_utf_8_or_not_at_all(tmp_path: Path) -> None:
    """Other charsets hold halves of characters, and some take Python seconds to read."""

    async def test(http: TestClient) -> None:
        for charset in ("utf-7", "unicode_escape", "undefined", "punycode"):
            for url, kind in (("/api/sessions", "application/json"), ("/api/sessions/x/whep", "application/sdp")):
                response = await http.post(url, data=b"{}", headers={"Content-Type": f"{kind}; charset={charset}"})
                assert response.status in (400, 404), charset
        session = await http.post(
            "/api/sessions", data=b"{}", headers={"Content-Type": "application/json; charset=UTF-8"}
        )
        assert session.status == 201

    with_server(tmp_path, test)


def test_a_host_comes_to_a_show_that_is_full(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        session = (await (await http.post("/api/sessions")).json())["id"]
        viewer = connection()
        viewer.addTransceiver("video", direction="recvonly")
        joined = await http.post(f"/api/sessions/{session}/whep", data=await offer_of(viewer), headers=SDP)
        assert joined.status == 201
        async with living(http, session_id=session) as client:
            await client.see_at_least(3)
        await viewer.close()

    with_server(tmp_path, test, ServerConfig(port=0, max_viewers=1))
