"""WHIP and WHEP by the book: RFC 9725 and draft-ietf-wish-whep, verb by verb."""

import asyncio
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient

from realtime.config import ServerConfig
from tests.live_client import BurstMicrophone, living, serving
from tests.test_server import SDP, connection, offer_of, refusal, with_server

FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
CANDIDATE = "a=mid:0\r\na=candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host\r\n"


async def new_session(http: TestClient) -> dict[str, str]:
    return await (await http.post("/api/sessions")).json()  # type: ignore[no-any-return]


def test_candidates_are_for_one_ice_session(tmp_path: Path) -> None:
    """The 201 names it; a fragment for another, or for none, is refused, and so is an ICE restart."""

    async def test(http: TestClient) -> None:
        session, host = await new_session(http), connection()
        host.addTrack(BurstMicrophone())
        published = await http.post(session["whip_url"], data=await offer_of(host), headers=SDP)
        where, tag = published.headers["Location"], {"If-Match": published.headers["ETag"]}
        assert tag["If-Match"].startswith('"'), "a strong tag"

        async def patch(data: str, headers: dict[str, str]) -> int:
            return (await http.patch(where, data=data, headers=headers)).status

        taken = await http.patch(where, data=CANDIDATE + "a=end-of-candidates\r\n", headers=FRAGMENT | tag)
        assert (taken.status, await taken.text(), "ETag" in taken.headers) == (204, "", False)
        assert await patch(CANDIDATE, FRAGMENT | {"If-Match": "*"}) == 204
        assert await patch(CANDIDATE, FRAGMENT) == 428
        assert await patch(CANDIDATE, FRAGMENT | {"If-Match": '"another"'}) == 412
        assert await patch(CANDIDATE, {"Content-Type": "application/sdp"} | tag) == 415
        for malformed in ("a=mid:0\r\na=candidate:nonsense\r\n", "hello"):
            assert await patch(malformed, FRAGMENT | tag) == 400
        restart = await http.patch(
            where, data="a=ice-ufrag:other\r\na=ice-pwd:x\r\n", headers=FRAGMENT | {"If-Match": "*"}
        )
        assert (await refusal(restart))[:2] == (422, "not_supported")
        assert (await http.delete(where, headers={"If-Match": '"another"'})).status == 200, "ending needs no tag"
        assert await patch(CANDIDATE, FRAGMENT | tag) == 404
        await host.close()

    with_server(tmp_path, test)


def test_ice_servers_come_with_the_answer_and_with_the_session(tmp_path: Path) -> None:
    config = ServerConfig(
        port=0, ice_servers=("turn:127.0.0.1:9?transport=udp",), turn_username="flap", turn_password="pass"
    )

    async def test(http: TestClient) -> None:
        session, viewer = await new_session(http), connection()
        login = {"username": "flap", "credential": "pass"}
        assert session["ice_servers"] == [{"urls": "turn:127.0.0.1:9?transport=udp"} | login]
        viewer.addTransceiver("video", direction="recvonly")
        watching = await http.post(session["whep_url"], data=await offer_of(viewer), headers=SDP)
        assert watching.headers["Link"] == (
            '<turn:127.0.0.1:9?transport=udp>; rel="ice-server"; username="flap"; credential="pass"; credential-type="password"'
        )
        await viewer.close()

    with_server(tmp_path, test, config)


def test_doors_have_nothing_to_show_and_say_what_they_take(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        session = await new_session(http)
        for door in ("whip_url", "whep_url"):
            looked = await http.get(session[door])
            assert (looked.status, await looked.text()) == (204, "")
            options = await http.options(session[door])
            assert (options.status, options.headers["Accept-Post"]) == (200, "application/sdp")
            assert (await http.options(session[door] + "/x")).headers["Accept-Patch"] == FRAGMENT["Content-Type"]
            assert (await http.get(session[door] + "/x")).status == 404
            refused = await http.put(session[door])
            assert (refused.status, refused.headers["Allow"]) == (405, "GET,HEAD,OPTIONS,POST")

    with_server(tmp_path, test)


@pytest.mark.parametrize(
    ("door", "direction", "reason"),
    [
        ("whip_url", "recvonly", "send the microphone"),
        ("whep_url", "sendonly", "a=recvonly"),
        ("whep_url", "inactive", "a=recvonly"),
    ],
)
def test_an_offer_of_the_wrong_direction_is_refused_as_a_whole(
    tmp_path: Path, door: str, direction: str, reason: str
) -> None:
    async def test(http: TestClient) -> None:
        session, peer = await new_session(http), connection()
        peer.addTransceiver("audio", direction="recvonly")
        offer = (await offer_of(peer)).replace("a=recvonly", f"a={direction}")
        status, _, message = await refusal(await http.post(session[door], data=offer, headers=SDP))
        assert status == 400 and reason in message
        await peer.close()

    with_server(tmp_path, test)


def test_a_host_who_has_lost_its_connections_address_can_be_sent_away(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as http, living(http) as client:
            session = f"/api/sessions/{client.session_id}"
            described = await (await http.get(session)).json()
            assert described["host_connected"] and described["control_url"] == f"{session}/control"
            for _ in range(2):
                assert (await http.delete(f"{session}/host")).status == 204
            assert not (await (await http.get(session)).json())["host_connected"]

    asyncio.run(run())


def test_candidates_that_come_after_an_offer_are_taken_at_its_connection(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        peer = connection()
        peer.addTransceiver("audio", direction="sendrecv")
        peer.addTransceiver("video", direction="recvonly")
        answer = await http.post("/offer", json={"type": "offer", "sdp": await offer_of(peer)})
        url = (await answer.json())["connection_url"]
        late = "a=mid:0\r\na=candidate:1 1 udp 2130706431 192.0.2.7 4000 typ host\r\n"
        for tag in (answer.headers["ETag"], "*"):
            headers = {"Content-Type": "application/trickle-ice-sdpfrag", "If-Match": tag}
            assert (await http.patch(url, data=late, headers=headers)).status == 204
        assert (await http.delete(url)).status == 200
        await peer.close()

    with_server(tmp_path, test)
