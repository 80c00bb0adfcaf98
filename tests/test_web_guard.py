"""Who may come through which door: tokens, roles, sessions, hosts, origins and rates."""

import asyncio
import time
from pathlib import Path

import pytest
from aiohttp import WSServerHandshakeError
from aiohttp.test_utils import TestClient, make_mocked_request
from multidict import CIMultiDict
from yarl import URL

from realtime.config import ServerConfig
from realtime.web.access import Grant, Role, make_token
from realtime.web.guard import sender_of
from realtime.web.rate_limit import Pace
from realtime.web.requests import error_response
from tests.live_client import serving
from tests.test_server import SDP, refusal, with_server

SECRET = "s" * 43
GUARDED = ServerConfig(port=0, secret=SECRET)
SITE = "https://show.example.org"


def bearer(role: Role, session: str | None = None, hours: float = 1) -> dict[str, str]:
    return {"Authorization": f"Bearer {make_token(SECRET, Grant(role, session), time.time() + hours * 3600)}"}


def test_without_a_token_only_pages_and_health_open(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        for path in ("/", "/watch", "/static/page.js", "/health", "/ready"):
            assert (await http.get(path)).status == 200
        closed = (
            "/api/sessions",
            "/api/presenters",
            "/metrics",
            "/watch.mjpeg",
            "/watch.ts",
            "/api/sessions/x/control",
        )
        for path in closed:
            response = await http.get(path)
            assert (await refusal(response))[:2] == (401, "unauthorized"), path
            assert response.headers["WWW-Authenticate"] == "Bearer"
        for method, path in (
            ("post", "/offer"), ("post", "/api/sessions"), ("post", "/api/presenters"), ("delete", "/api/presenters/a"),
            ("post", "/api/sessions/x/whip"), ("post", "/api/sessions/x/whep"), ("patch", "/api/sessions/x/whip/y"),
            ("delete", "/api/sessions/x/whep/y"), ("delete", "/api/sessions/x"), ("post", "/api/sessions/x/audio"),
            ("post", "/api/sessions/x/outputs"), ("get", "/api/sessions/x/outputs"), ("delete", "/api/sessions/x/outputs/y"),
        ):  # fmt: skip
            assert (await refusal(await getattr(http, method)(path)))[0] == 401, path

    with_server(tmp_path, test, GUARDED)


def test_browsers_ask_whether_a_module_has_changed_before_they_use_it(tmp_path: Path) -> None:
    """Else they may run old ones with new ones after an upgrade."""

    async def test(http: TestClient) -> None:
        first = await http.get("/static/page.js")
        assert first.headers["Cache-Control"] == "no-cache"
        again = await http.get("/static/page.js", headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status, again.headers["Cache-Control"]) == (304, "no-cache")

    with_server(tmp_path, test)


def test_every_door_says_who_may_use_it(tmp_path: Path) -> None:
    """A handler that forgets to is for administrators, which nobody should rely on."""

    async def test(http: TestClient) -> None:
        from realtime.web.guard import _ROLES

        routes = [route for route in http.app.router.routes() if "static" not in str(route.resource)]  # type: ignore[union-attr]
        assert [str(route) for route in routes if route.handler not in _ROLES] == []

    with_server(tmp_path, test)


def test_a_role_opens_its_doors_and_no_others(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        assert (await http.get("/api/sessions", headers=bearer(Role.VIEWER))).status == 200
        refused = await http.post("/api/sessions", headers=bearer(Role.VIEWER))
        assert (await refusal(refused))[:2] == (403, "forbidden")
        created = await http.post("/api/sessions", headers=bearer(Role.HOST))
        assert created.status == 201
        session = await created.json()
        with pytest.raises(WSServerHandshakeError, match="403"):
            await http.ws_connect(session["control_url"], headers=bearer(Role.HOST))
        async with http.ws_connect(session["control_url"], headers=bearer(Role.OPERATOR)) as socket:
            assert (await socket.receive_json())["type"] == "hello"
        assert (await http.get("/metrics", headers=bearer(Role.OPERATOR))).status == 403
        assert (await http.get("/metrics", headers=bearer(Role.ADMIN))).status == 200
        expired = await http.get("/api/sessions", headers=bearer(Role.ADMIN, hours=-1))
        assert "expired" in (await refusal(expired))[2]

    with_server(tmp_path, test, GUARDED)


def test_a_token_for_a_session_opens_that_session_only(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        mine, other = [
            (await (await http.post("/api/sessions", headers=bearer(Role.HOST))).json())["id"] for _ in range(2)
        ]
        scoped = bearer(Role.OPERATOR, mine)
        assert [session["id"] for session in await (await http.get("/api/sessions", headers=scoped)).json()] == [mine]
        assert (await http.get(f"/api/sessions/{mine}", headers=scoped)).status == 200
        assert (await http.post("/api/sessions", headers=scoped)).status == 403
        offer = {"type": "offer", "sdp": "", "session_id": other}
        assert (await http.post("/offer", json=offer, headers=scoped)).status == 403
        for path in (f"/api/sessions/{other}", f"/watch.mjpeg?session={other}", "/watch.ts"):
            assert (await http.get(path, headers=scoped)).status == 403, path
        assert (await http.delete(f"/api/sessions/{other}", headers=scoped)).status == 403
        for session, status in ((mine, 204), (other, 403)):
            assert (await http.delete(f"/api/sessions/{session}/audio", headers=scoped)).status == status
        administers = bearer(Role.ADMIN, mine)
        assert (await http.get("/metrics", headers=administers)).status == 403
        for ask, path in ((http.post, "/api/presenters?name=A&consent=mine"), (http.delete, "/api/presenters/ada")):
            answer = await ask(path, headers={**administers, "Content-Type": "image/png"}, data=b"x")
            assert answer.status == 403, path

    with_server(tmp_path, test, GUARDED)


def test_a_page_keeps_the_token_of_its_address_where_scripts_cannot_read_it(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        token = bearer(Role.VIEWER)["Authorization"].removeprefix("Bearer ")
        opened = await http.get(f"/watch?session=a&token={token}", allow_redirects=False)
        assert (opened.status, opened.headers["Location"]) == (303, "/watch?session=a")
        cookie = opened.cookies[f"flap_token_{http.port}_viewer"]
        assert cookie["httponly"] and cookie["samesite"] == "Strict"
        assert (await http.get("/api/sessions")).status == 200, "the cookie is sent from now on"
        assert (await http.get("/watch?token=no", allow_redirects=False)).status == 401
        http.session.cookie_jar.clear()
        assert (await http.get(f"/api/sessions?token={token}")).status == 200, "for players that take an address only"
        assert (await http.delete(f"/api/sessions/x?token={token}")).status == 401

    with_server(tmp_path, test, GUARDED)


def link(role: Role, session: str | None = None, hours: float = 1, path: str = "/watch", secret: str = SECRET) -> str:
    """A page's address with a token."""
    return f"{path}?token={make_token(secret, Grant(role, session), time.time() + hours * 3600)}"


def test_a_link_for_viewers_takes_nothing_from_an_operators_browser(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        operate, watch = link(Role.OPERATOR, path="/operator"), link(Role.VIEWER)
        for first, second in ((operate, watch), (watch, operate)):
            for address in (first, second):
                assert (await http.get(address)).status == 200
            assert (await http.get("/api/gestures")).status == 200, "operators alone may"
            http.session.cookie_jar.clear()

    with_server(tmp_path, test, GUARDED)


def test_a_link_for_one_session_and_a_token_for_another_are_good_for_both(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        mine, other = [
            (await (await http.post("/api/sessions", headers=bearer(Role.HOST))).json())["id"] for _ in range(2)
        ]
        for address in (link(Role.OPERATOR, mine), link(Role.VIEWER, other)):
            await http.get(address)
        assert (await http.get(f"/api/sessions/{mine}/cues")).status == 200
        assert (await http.get(f"/api/sessions/{other}")).status == 200
        assert (await http.get(f"/api/sessions/{other}/cues")).status == 403
        listed = await (await http.get("/api/sessions")).json()
        assert {session["id"] for session in listed} == {mine, other}
        assert (await http.post("/offer", json={"type": "offer", "sdp": "", "session_id": other})).status == 403
        assert (await http.post("/offer", json={"type": "offer", "sdp": "", "session_id": mine})).status == 400

    with_server(tmp_path, test, GUARDED)


def test_a_cookie_that_has_expired_gives_way_to_a_new_link(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        expired = link(Role.OPERATOR, hours=-1).partition("token=")[2]
        http.session.cookie_jar.update_cookies({f"flap_token_{http.port}_operator": expired}, http.make_url("/"))
        assert "expired" in (await refusal(await http.get("/api/sessions")))[2]
        await http.get(link(Role.VIEWER))
        assert (await http.get("/api/sessions")).status == 200, "one good token is enough"
        await http.get(link(Role.OPERATOR))
        assert (await http.get("/api/gestures")).status == 200

    with_server(tmp_path, test, GUARDED)


def test_two_servers_on_one_host_keep_their_tokens_apart(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        secret = "t" * 43
        async with serving(tmp_path, ServerConfig(port=0, secret=secret)) as second:
            other = second.make_url("/")
            for address in (http.make_url(link(Role.VIEWER)), other.join(URL(link(Role.VIEWER, secret=secret)))):
                assert (await http.session.get(address)).status == 200
            for base in (http.make_url("/"), other):
                assert (await http.session.get(base / "api/sessions")).status == 200

    with_server(tmp_path, test, GUARDED)


def test_a_person_with_a_bad_link_reads_a_sentence_and_a_program_gets_json(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
        for path in ("/", "/operator", "/watch"):
            shown = await http.get(link(Role.VIEWER, hours=-1, path=path), headers=browser)
            assert (shown.status, shown.content_type) == (401, "text/html")
            assert shown.headers["WWW-Authenticate"] == "Bearer"
            assert "the token has expired: ask for a new one." in await shown.text()
        assert (await refusal(await http.get("/watch?token=no")))[:2] == (401, "unauthorized")
        assert (await refusal(await http.get("/api/sessions", headers=browser)))[:2] == (401, "unauthorized")

    with_server(tmp_path, test, GUARDED)


def test_what_a_refused_page_says_is_text_and_no_markup() -> None:
    request = make_mocked_request("GET", "/watch", headers={"Accept": "text/html"})
    shown = error_response(request, 403, "forbidden", "<script>alert(1)</script>")
    assert "<p>FLAP Live cannot show this page: &lt;script&gt;alert(1)&lt;/script&gt;.</p>" in (shown.text or "")


def test_without_a_secret_nobody_comes_by_another_name_or_through_a_proxy(tmp_path: Path) -> None:
    """A name that an attacker points at this machine (DNS rebinding), and a proxy that was put in front."""

    async def test(http: TestClient) -> None:
        for headers in (
            {"Host": "evil.example.org"},
            {"X-Forwarded-For": "203.0.113.1"},
            {"Forwarded": "for=203.0.113.1"},
        ):
            assert (await refusal(await http.get("/api/sessions", headers=headers)))[:2] == (403, "forbidden")

    with_server(tmp_path, test)


def test_pages_of_other_sites_change_nothing_and_read_nothing(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        evil = {"Origin": "https://evil.example.org"}
        assert (await http.post("/api/sessions", headers=evil)).status == 403
        assert (await http.post("/api/sessions", headers={"Origin": "null"})).status == 403
        preflight = evil | {"Access-Control-Request-Method": "POST"}
        assert (await http.options("/api/sessions/x/whip", headers=preflight)).status == 403
        read = await http.get("/api/sessions", headers=evil)
        assert "Access-Control-Allow-Origin" not in read.headers
        session = await (await http.post("/api/sessions")).json()
        with pytest.raises(WSServerHandshakeError, match="403"):
            await http.ws_connect(session["control_url"], headers=evil)
        own = {"Origin": f"http://127.0.0.1:{http.port}"}
        assert (await http.post("/api/sessions", headers=own)).status == 201

    with_server(tmp_path, test)


def test_pages_of_an_allowed_site_may_publish_and_watch(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        fetched = {"Origin": SITE, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
        preflight = {"Access-Control-Request-Method": "POST", **fetched}
        allowed = await http.options("/api/sessions/x/whep", headers=preflight)
        assert allowed.status == 204
        assert allowed.headers["Access-Control-Allow-Origin"] == SITE
        assert "Authorization" in allowed.headers["Access-Control-Allow-Headers"]
        refused = await http.post("/api/sessions/x/whep", data="v=0", headers={**fetched, **SDP})
        assert refused.status == 404
        assert refused.headers["Access-Control-Allow-Origin"] == SITE, "a page must be able to read a refusal"
        assert "Location" in refused.headers["Access-Control-Expose-Headers"]

    with_server(tmp_path, test, ServerConfig(port=0, allowed_origins=(SITE,)))


def test_an_address_that_asks_too_much_is_told_when_to_come_back(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        answers = [await http.post("/offer", json={}) for _ in range(4)]
        assert [answer.status for answer in answers] == [400, 400, 400, 429]
        assert (await refusal(answers[-1]))[1] == "too_many"
        assert 0 < int(answers[-1].headers["Retry-After"]) <= 20

    with_server(tmp_path, test, ServerConfig(port=0, requests_per_minute=30))


def test_a_player_that_asks_every_second_for_a_show_that_has_not_begun_uses_up_nothing(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        for path in ("/watch.mjpeg", "/watch.ts"):
            assert {(await http.get(path)).status for _ in range(12)} == {404}
        assert (await http.post("/api/sessions")).status == 201
        assert (await http.get("/watch.mjpeg")).status == 429, "to watch costs what it did"

    with_server(tmp_path, test, ServerConfig(port=0, requests_per_minute=40))


def test_many_who_share_an_address_can_open_pages(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        files = [(await http.get(f"/static/{name}")).status for name in ("page.js", "style.css") for _ in range(100)]
        assert set(files) == {200}
        assert {(await http.get("/static/page.js")).status for _ in range(200)} == {200, 429}, "but not without end"

    with_server(tmp_path, test, ServerConfig(port=0, requests_per_minute=30))


def test_a_crowd_waits_its_turn_or_is_told_to_come_back_and_looking_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.web.app.Pace", lambda: Pace(apart_s=0.3, longest_s=0.5))

    async def test(http: TestClient) -> None:
        started_s = time.monotonic()
        answers = await asyncio.gather(*(http.post("/api/sessions", json={}) for _ in range(4)))
        assert sorted(answer.status for answer in answers) == [201, 201, 503, 503]
        assert time.monotonic() - started_s >= 0.3
        refused = next(answer for answer in answers if answer.status == 503)
        status, code, sentence = await refusal(refused)
        assert (status, code) == (503, "overloaded") and "try again in a few seconds" in sentence
        assert (await http.get("/api/sessions")).status == 200

    with_server(tmp_path, test)


def test_guessing_tokens_is_slow_wherever_they_are_tried(tmp_path: Path) -> None:
    tries: tuple[tuple[str, dict[str, str]], ...] = (
        ("/api/sessions", {"Authorization": "Bearer a.b.c"}),
        ("/watch?token=a.b.c", {}),
    )
    for path, wrong in tries:

        async def test(http: TestClient, path: str = path, wrong: dict[str, str] = wrong) -> None:
            statuses = [(await http.get(path, headers=wrong)).status for _ in range(8)]
            assert statuses.count(401) == 5 and statuses[-1] == 429

        with_server(tmp_path, test, ServerConfig(port=0, secret=SECRET, requests_per_minute=60))


def test_whoever_sends_no_token_guesses_none(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        statuses = [(await http.get("/api/sessions")).status for _ in range(20)]
        assert statuses == [401] * 20

    with_server(tmp_path, test, ServerConfig(port=0, secret=SECRET, requests_per_minute=60))


def test_malformed_headers_are_forbidden_and_no_failure_of_ours(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        for headers in ({"Host": "["}, {"Host": "localhost", "Origin": "http://["}):
            refused = await http.post("/api/sessions", json={}, headers=headers)
            assert (await refusal(refused))[:2] == (403, "forbidden"), headers

    async def guarded(http: TestClient) -> None:
        for host in ("[", "localhost:99999", "localhost:x"):
            refused = await http.get("/api/sessions", headers={"Host": host})
            assert (await refusal(refused))[:2] == (403, "forbidden"), host

    with_server(tmp_path, test)
    with_server(tmp_path, guarded, GUARDED)


def test_a_proxy_may_name_the_sender_in_a_header_line_of_its_own() -> None:
    request = make_mocked_request(
        "GET", "/", headers=CIMultiDict([("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "203.0.113.9")])
    )
    request = request.clone(remote="10.0.0.1")
    for proxies in (("10.0.0.1",), ("192.0.2.1", "10.0.0.0/8")):
        assert sender_of(request, ServerConfig(port=0, trusted_proxies=proxies)) == "203.0.113.9"


def test_a_token_that_has_expired_is_no_guess_and_is_logged_now_and_then(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A source of OBS goes on asking with it, and must shut nobody out."""

    async def test(http: TestClient) -> None:
        answers = [await http.get("/api/sessions", headers=bearer(Role.VIEWER, hours=-1)) for _ in range(20)]
        assert {(await refusal(answer))[2] for answer in answers} == {"the token has expired: ask for a new one"}
        assert (await http.get("/api/sessions", headers=bearer(Role.VIEWER))).status == 200

    with caplog.at_level("INFO"):
        with_server(tmp_path, test, ServerConfig(port=0, secret=SECRET, requests_per_minute=40))
    assert caplog.text.count("a token that has expired") == 1


def test_an_operator_whose_token_has_expired_is_told_so_though_a_viewers_is_good(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        cookies = {Role.OPERATOR: -1.0, Role.VIEWER: 1.0}
        held = {
            f"flap_token_{http.port}_{role.name.lower()}": link(role, hours=hours).partition("token=")[2]
            for role, hours in cookies.items()
        }
        http.session.cookie_jar.update_cookies(held, http.make_url("/"))
        assert (await refusal(await http.get("/api/gestures")))[0::2] == (
            401,
            "the token has expired: ask for a new one",
        )
        assert (await http.get("/api/sessions")).status == 200
        assert (await refusal(await http.get("/metrics")))[0] == 403, "that was never allowed"

    with_server(tmp_path, test, GUARDED)


def test_viewers_who_ask_much_take_nothing_from_the_host_behind_the_same_address(tmp_path: Path) -> None:
    async def test(http: TestClient) -> None:
        asked = [(await http.get("/api/sessions", headers=bearer(Role.VIEWER))).status for _ in range(25)]
        assert asked == [200] * 20 + [429] * 5
        assert (await http.post("/api/sessions", headers=bearer(Role.HOST))).status == 201

    with_server(tmp_path, test, ServerConfig(port=0, secret=SECRET, requests_per_minute=20))


def test_without_a_secret_another_sites_page_shows_no_stream_and_uses_up_nothing(tmp_path: Path) -> None:
    """A picture of this machine's server within a page of the world would take the places and the rate of its user."""
    embeds = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}

    async def test(http: TestClient) -> None:
        for _ in range(30):
            assert (await refusal(await http.get("/watch.mjpeg", headers=embeds)))[0] == 403
        follows = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
        assert (await http.get("/watch", headers=follows)).status == 200, "a link that is followed"
        assert (await http.get("/api/sessions", headers={**embeds, "Sec-Fetch-Site": "same-origin"})).status == 200

    with_server(tmp_path, test, ServerConfig(port=0, requests_per_minute=20))


def test_a_proxy_that_is_not_named_is_pointed_out_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test(http: TestClient) -> None:
        for _ in range(3):
            await http.get("/health", headers={"X-Forwarded-For": "203.0.113.9"})

    with_server(tmp_path, test, GUARDED)
    assert caplog.text.count("name it in trusted_proxies") == 1
