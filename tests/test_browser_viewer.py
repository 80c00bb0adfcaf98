"""The viewer's page in real Chromium: its sound after a break, and how often it asks a server that refuses."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser_probe import needs_chromium, serving
from tests.operator_page import FAKE, delete, fresh_page, post

pytestmark = [pytest.mark.timeout(240), needs_chromium]
IN_OBS = "window.obsstudio = { pluginVersion: '2.23.5' };"
NO_SOUND_UNASKED = """
  const play = HTMLMediaElement.prototype.play;
  HTMLMediaElement.prototype.play = async function () {
    if (!this.muted) throw new DOMException("play() failed", "NotAllowedError");
    return play.call(this);
  };
"""
NOTHING_UNASKED = """
  const play = HTMLMediaElement.prototype.play;
  let isTouched = false;
  addEventListener("pointerup", () => { isTouched = true; }, { capture: true });
  HTMLMediaElement.prototype.play = async function () {
    if (!isTouched) throw new DOMException("play() failed", "NotAllowedError");
    return play.call(this);
  };
  document.addEventListener("DOMContentLoaded", () => { for (const video of document.querySelectorAll("video")) video.autoplay = false; });
"""
QUICK_WAITS = """
  const later = window.setTimeout.bind(window);
  window.waits = [];
  window.setTimeout = (act, ms, ...given) => {
    if (ms > 1000) window.waits.push(ms);
    return later(act, Math.min(ms, 30), ...given);
  };
"""


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(FAKE, tmp_path_factory.mktemp("viewer") / "server.log") as address:
        yield address


@pytest.fixture
def session(show: str) -> Iterator[str]:
    made = post(show)["id"]
    yield made
    delete(show, made)


def with_a_wrong_password(route: Any) -> None:
    """An answer with which no connection can be made."""
    answer = route.fetch()
    route.fulfill(response=answer, body=re.sub("a=ice-pwd:.{4}", "a=ice-pwd:none", answer.text()))


def test_a_show_that_ends_before_its_first_picture_leaves_the_next_one_its_sound(
    browser: Any, show: str, session: str
) -> None:
    with fresh_page(browser) as page:
        page.route(re.compile("/whep$"), with_a_wrong_password)
        broken = post(show)["id"]
        page.goto(f"{show}/watch?lang=en")
        page.wait_for_function("document.getElementById('avatar').srcObject !== null")
        page.unroute(re.compile("/whep$"))
        page.wait_for_timeout(300)  # until it listens for the end
        delete(show, broken)
        page.wait_for_selector("body[data-state=live]")
        assert not page.evaluate("document.getElementById('avatar').muted") and page.is_hidden("#listen")


@pytest.mark.parametrize(("path", "place"), [("/watch", "notice"), ("/operator", "waiting")])
def test_a_browser_without_webrtc_is_told_so(browser: Any, show: str, session: str, path: str, place: str) -> None:
    with fresh_page(browser) as page:
        page.add_init_script("delete window.RTCPeerConnection;")
        page.goto(f"{show}{path}?lang=en&session={session}")
        page.wait_for_function(f"document.getElementById('{place}').textContent.includes('has no WebRTC')")


NEWEST_PEER = """
  const Peer = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Peer { constructor(...given) { super(...given); window.newest = this; } };
  window.fail = () => {
    Object.defineProperty(newest, "connectionState", { value: "failed", configurable: true });
    newest.dispatchEvent(new Event("connectionstatechange"));
  };
"""


@pytest.mark.parametrize("connects", [True, False])
def test_a_viewer_is_told_whether_the_show_is_interrupted_or_cannot_be_seen_from_here(
    browser: Any, show: str, session: str, connects: bool
) -> None:
    with fresh_page(browser) as page:
        page.add_init_script(NEWEST_PEER)
        if not connects:
            page.route(re.compile("/whep$"), with_a_wrong_password)
        page.goto(f"{show}/watch?lang=en&session={session}")
        page.wait_for_function("document.getElementById('avatar').srcObject !== null")
        if connects:
            page.wait_for_selector("body[data-state=live]")
            assert page.is_hidden("#notice")
        else:
            assert page.inner_text("#notice") == "Connecting…"
        page.evaluate("window.fail()")
        said = "The show is interrupted." if connects else "The show cannot be shown here"
        page.wait_for_function("(said) => document.getElementById('notice').textContent.includes(said)", arg=said)


def test_a_viewer_goes_back_to_the_show_that_breaks_off_although_a_newer_one_runs_and_to_that_when_it_is_over(
    browser: Any, show: str
) -> None:
    session = post(show)["id"]
    with fresh_page(browser) as page:
        page.add_init_script(NEWEST_PEER)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/whep") else None)
        page.goto(f"{show}/watch?lang=en")
        page.wait_for_selector("body[data-state=live]")
        newer = post(show)["id"]
        page.evaluate("window.fail()")
        page.wait_for_selector("body[data-state=waiting]")
        page.wait_for_selector("body[data-state=live]")
        assert len(asked) == 2 and all(session in url for url in asked)
        delete(show, session)
        page.wait_for_selector("body[data-state=waiting]")
        page.wait_for_selector("body[data-state=live]")
        assert newer in asked[-1]
        delete(show, newer)


def test_where_the_browser_allows_no_sound_a_viewer_is_asked_and_obs_is_not(
    browser: Any, show: str, session: str
) -> None:
    with fresh_page(browser) as page:
        page.add_init_script(NO_SOUND_UNASKED)
        page.goto(f"{show}/watch?lang=en")
        page.wait_for_selector("#listen")
        page.wait_for_selector("body[data-state=live]")
        page.click("#listen")
        assert not page.evaluate("document.getElementById('avatar').muted") and page.is_hidden("#listen")
        page.add_init_script(IN_OBS)
        page.reload()
        page.wait_for_selector("body[data-state=live]")
        assert page.evaluate("document.getElementById('avatar').muted"), "or else nothing would be seen"
        assert page.is_hidden("#listen")


@pytest.mark.parametrize("path", ["/watch", "/operator"])
def test_where_the_browser_plays_nothing_at_all_a_touch_lets_it(
    browser: Any, show: str, session: str, path: str
) -> None:
    with fresh_page(browser) as page:
        page.add_init_script(NOTHING_UNASKED)
        page.goto(f"{show}{path}?lang=en&session={session}")
        page.wait_for_function("document.getElementById('avatar').srcObject !== null")
        page.wait_for_timeout(1500)
        assert page.evaluate("document.getElementById('avatar').paused")
        if path == "/watch":
            page.click("#listen")
            assert not page.evaluate("document.getElementById('avatar').muted")
        else:
            page.mouse.click(5, 200)
        page.wait_for_function("document.getElementById('avatar').currentTime > 0.2")


def test_a_server_that_refuses_is_asked_ever_more_seldom_and_not_before_it_wants_to_be(browser: Any, show: str) -> None:
    with fresh_page(browser) as page:
        page.add_init_script(QUICK_WAITS)
        refusal = {"error": {"code": "too_many", "message": "too many requests"}}
        asked_to_wait = {"Retry-After": "40"}
        page.route("**/api/sessions", lambda route: route.fulfill(status=429, json=refusal, headers=asked_to_wait))
        page.goto(f"{show}/watch?lang=en")
        page.wait_for_function("window.waits.length >= 3")
        assert min(page.evaluate("window.waits")) >= 40_000
        assert page.inner_text("#notice") == "too many requests"
        page.unroute("**/api/sessions")
        page.route("**/api/sessions", lambda route: route.fulfill(status=503, json=refusal))
        page.reload()
        page.wait_for_function("window.waits.length >= 9")
        waits = page.evaluate("window.waits")
        assert waits[0] <= 3000 and all(15_000 <= wait <= 32_000 for wait in waits[6:])


def test_one_who_is_refused_asks_for_no_events_and_one_who_waits_for_a_show_asks_often(
    browser: Any, show: str, session: str
) -> None:
    with fresh_page(browser) as page:
        page.add_init_script(QUICK_WAITS)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url.rsplit("/", 1)[1]))
        page.route(
            re.compile("/whep$"), lambda route: route.fulfill(status=503, json={"error": {"code": "unavailable"}})
        )
        page.goto(f"{show}/watch")
        page.wait_for_function("window.waits.length >= 4")
        assert "whep" in asked and "events" not in asked
        page.goto(f"{show}/watch?session=none")
        page.wait_for_function("window.waits.length >= 4")
        assert set(page.evaluate("window.waits")) == {1500}


def test_where_nothing_is_on_for_a_minute_it_is_looked_for_less_often_and_still_found_within_five_seconds(
    browser: Any, show: str
) -> None:
    with fresh_page(browser) as page:
        page.add_init_script(QUICK_WAITS)
        page.goto(f"{show}/watch?session=none")
        page.wait_for_function("window.waits.length >= 45")
        waits = page.evaluate("window.waits")
        assert set(waits[:39]) == {1500} and set(waits[40:]) == {4500}
