"""The host's page begins a show, or goes on with one that a browser has left without a host when it died."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser_probe import needs_chromium, serving, start, stop
from tests.operator_page import FAKE, TIME_PASSES, delete, fresh_page, post, sessions

pytestmark = [pytest.mark.timeout(240), needs_chromium]
SAYS = "(words) => document.getElementById('notice').textContent.includes(words)"
KEPT = "JSON.parse(localStorage.getItem('flap-shows') ?? '[]')"


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving([*FAKE, "--requests-per-minute=6000"], tmp_path_factory.mktemp("start") / "server.log") as address:
        yield address


@pytest.fixture
def page(browser: Any, show: str) -> Iterator[Any]:
    """The host's page, not opened yet; its session is ended when the test is over."""
    with fresh_page(browser) as opened:
        opened.add_init_script(TIME_PASSES)
        yield opened
        for session in sessions(show):
            delete(show, session["id"])


def open_again(page: Any, show: str, session: str) -> None:
    """Opens the page as it is opened after a browser that hosted the session has died."""
    page.goto(f"{show}/health")
    page.evaluate("(id) => localStorage.setItem('flap-shows', JSON.stringify([id]))", session)
    page.goto(f"{show}/?lang=en&raw-microphone")


def refuse(status: int, **headers: str) -> Any:
    refusal = {"error": {"code": "refused", "message": "this session has a host already"}}
    return lambda route: route.fulfill(status=status, json=refusal, headers=headers)


def test_a_show_that_has_lost_its_host_is_gone_on_with_by_start_and_ended_by_stop(page: Any, show: str) -> None:
    session = post(show, {"presenter": "bob"})["id"]
    open_again(page, show, session)
    page.wait_for_function(SAYS, arg="Press Start to go on with it")
    assert page.evaluate("flapClient.state") == "idle" and page.is_visible("#start")
    assert page.get_attribute("[data-presenter=bob]", "aria-checked") == "true"
    assert page.get_attribute("#operator-page", "href") == f"/operator?session={session}"
    page.click("#start")
    page.wait_for_selector("body[data-state=live]")
    page.wait_for_selector("[data-expression=smile]:enabled")
    (now,) = sessions(show)
    assert now["id"] == session and now["host_connected"] and now["presenter"] == "bob"
    assert page.evaluate(KEPT) == [session]
    stop(page)
    page.wait_for_selector("body[data-state=idle]")
    assert page.evaluate(KEPT) == [] and sessions(show) == []


def test_a_page_that_is_closed_before_it_went_on_with_a_show_leaves_it_to_the_next(page: Any, show: str) -> None:
    session = post(show)["id"]
    open_again(page, show, session)
    for _ in range(2):
        page.wait_for_function(SAYS, arg="Press Start to go on with it")
        page.reload()
    assert [found["id"] for found in sessions(show)] == [session]


@pytest.mark.parametrize("refused", ["NotAllowedError", None])
def test_a_page_that_could_not_go_on_with_a_show_leaves_it_when_it_is_closed_or_stopped(
    page: Any, show: str, refused: str | None
) -> None:
    session = post(show)["id"]
    page.add_init_script(
        f"navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', '{refused}'));"
        if refused
        else "navigator.mediaDevices.getUserMedia = () => new Promise(() => {});"
    )
    open_again(page, show, session)
    page.wait_for_function(SAYS, arg="Press Start to go on with it")
    page.click("#start")
    page.wait_for_selector(f"body[data-state={'failed' if refused else 'starting'}]")
    if not refused:
        stop(page)
        page.wait_for_function(SAYS, arg="Press Start to go on with it")
    page.goto(f"{show}/health")
    page.wait_for_timeout(500)
    assert [found["id"] for found in sessions(show)] == [session] and page.evaluate(KEPT) == [session]


def test_a_show_whose_host_may_be_dead_is_waited_for_and_not_taken_from_another_page(page: Any, show: str) -> None:
    start(page, show)
    session = page.evaluate("flapClient.sessionId")
    assert page.evaluate(KEPT) == [session]
    second = page.context.new_page()
    second.goto(f"{show}/?lang=en&raw-microphone")
    second.wait_for_function(SAYS, arg="wait for up to 40 seconds")
    assert second.evaluate("flapClient.sessionId") is None and second.evaluate(KEPT) == [session]
    listed = sessions(show)
    second.route("**/api/sessions", lambda route: route.fulfill(json=[{**listed[0], "host_connected": False}]))
    second.wait_for_function(SAYS, arg="Press Start to go on with it")
    second.goto(f"{show}/health")
    second.wait_for_timeout(500)
    second.close()
    assert page.evaluate("flapClient.state") == "live" and [found["id"] for found in sessions(show)] == [session]


def test_a_look_that_fails_is_tried_again(page: Any, show: str) -> None:
    session, looks = post(show)["id"], []

    def fail_once(route: Any) -> None:
        looks.append(route)
        return route.abort() if len(looks) == 1 else route.continue_()

    page.route("**/api/sessions", fail_once)
    open_again(page, show, session)
    page.wait_for_function(SAYS, arg="Press Start to go on with it")
    assert len(looks) == 2


def test_a_show_that_is_gone_is_forgotten(page: Any, show: str) -> None:
    open_again(page, show, "gone")
    page.wait_for_function(f"!{KEPT}.length")
    assert page.is_hidden("#notice")


def test_a_show_that_somebody_else_has_come_to_host_is_left_to_them(page: Any, show: str) -> None:
    session = post(show)["id"]
    open_again(page, show, session)
    page.wait_for_function(SAYS, arg="Press Start to go on with it")
    page.route("**/offer", refuse(409))
    with page.expect_response("**/offer"):
        page.click("#start")
    page.evaluate("window.letTimePass(60_000)")
    page.wait_for_selector("body[data-state=failed]")
    assert page.evaluate(SAYS, "has a host already")
    assert page.evaluate(KEPT) == [session], "the other page may be one of this browser's"
    page.unroute("**/offer")
    page.click("#start")
    page.wait_for_selector("body[data-state=live]")
    assert page.evaluate("flapClient.sessionId") != session


@pytest.mark.parametrize("path", ["**/api/sessions", "**/offer"])
def test_a_start_that_comes_too_soon_is_tried_again_when_the_server_wants_it(page: Any, show: str, path: str) -> None:
    tries: list[Any] = []

    def too_soon(route: Any) -> None:
        if route.request.method != "POST":
            return route.continue_()
        tries.append(route)
        if len(tries) == 1:
            return refuse(429, **{"Retry-After": "2"})(route)
        route.continue_()

    page.goto(f"{show}/?lang=en&raw-microphone")
    page.wait_for_selector(".card")
    page.evaluate("""() => {
      const later = window.setTimeout.bind(window);
      window.waits = [];
      window.setTimeout = (act, ms, ...given) => { window.waits.push(ms); return later(act, ms, ...given); };
    }""")
    page.route(path, too_soon)
    page.click("#start")
    page.wait_for_selector("body[data-state=live]")
    assert len(tries) == 2 and any(2000 < ms <= 2500 for ms in page.evaluate("waits"))


def test_a_start_that_waits_for_a_busy_server_can_be_stopped(page: Any, show: str) -> None:
    page.goto(f"{show}/?lang=en&raw-microphone")
    page.wait_for_selector(".card")
    page.route("**/api/sessions", refuse(429, **{"Retry-After": "1"}))
    with page.expect_response("**/api/sessions"):
        page.click("#start")
    stop(page)
    page.wait_for_selector("body[data-state=idle]")
    page.unroute("**/api/sessions")
    page.wait_for_timeout(2500)
    assert page.evaluate("flapClient.state") == "idle" and page.is_hidden("#notice") and sessions(show) == []
