"""What Safari and Firefox do otherwise than Chromium, played in Chromium; tests/test_firefox.py runs Firefox itself."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser_probe import needs_chromium, start
from tests.operator_page import CATALOG, TIME_PASSES, Desk, delete, fresh_page, post, scripted_desk, sessions
from tests.test_browser_viewer import NEWEST_PEER

pytestmark = [pytest.mark.timeout(240), needs_chromium]
COOKIES_ARE_BLOCKED = """
  Object.defineProperty(window, "localStorage", { get() { throw new DOMException("The operation is insecure.", "SecurityError"); } });
"""
WEBKITS_FETCH = """
  const ask = window.fetch;
  window.fetch = async (address, options) => {
    if (!window.stands || !options?.signal) return ask(address, options);
    await new Promise((resolve) => { setTimeout(resolve, 50); });
    throw new DOMException("Fetch is aborted", "AbortError");
  };
"""
ASKS_NOBODY = """
  const listen = window.addEventListener.bind(window);
  window.addEventListener = (name, ...given) => { if (name !== "beforeunload") listen(name, ...given); };
"""
MUTED = """(muted) => {
  Object.defineProperty(window.track, "muted", { value: muted, configurable: true });
  window.track.dispatchEvent(new Event(muted ? "mute" : "unmute"));
}"""
KEEP_TRACK = """
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const stream = await open(wanted);
    [window.track] = stream.getTracks();
    return stream;
  };
"""


@pytest.fixture(scope="module")
def opened(browser: Any, show: str) -> Iterator[Desk]:
    with scripted_desk(browser, show) as desk:
        yield desk


@pytest.mark.parametrize("path", ["/", "/operator", "/watch"])
def test_a_browser_that_keeps_nothing_shows_the_pages_all_the_same(browser: Any, show: str, path: str) -> None:
    with fresh_page(browser) as page:
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.add_init_script(COOKIES_ARE_BLOCKED)
        page.goto(f"{show}{path}?lang=en")
        if path == "/watch":
            page.wait_for_selector("body[data-state=live]")
        else:
            page.click("#language")
            page.wait_for_function("document.documentElement.lang === 'zh-CN'")
        assert complaints == []


def test_a_server_that_is_too_slow_is_one_that_does_not_answer_in_webkits_words_too(browser: Any, show: str) -> None:
    with fresh_page(browser) as page:
        page.add_init_script(WEBKITS_FETCH + "window.stands = true;")
        page.goto(f"{show}/watch?lang=en")
        page.wait_for_function("document.getElementById('notice').textContent === 'The server does not answer.'")


def test_a_host_whose_network_changed_comes_back_though_the_first_answer_is_late_in_webkit(
    browser: Any, show: str
) -> None:
    with fresh_page(browser) as page:
        page.add_init_script(WEBKITS_FETCH + NEWEST_PEER)
        start(page, show)
        page.evaluate(
            "() => { window.stands = true; setTimeout(() => { window.stands = false; }, 1500); window.fail(); }"
        )
        page.wait_for_selector("body[data-state=reconnecting]")
        page.wait_for_selector("body[data-state=live]")


def test_a_muted_microphone_is_told_of_until_it_is_heard_again(browser: Any, show: str) -> None:
    with fresh_page(browser) as page:
        page.add_init_script(KEEP_TRACK + TIME_PASSES)
        start(page, show)
        page.evaluate(MUTED, True)
        page.wait_for_function("document.getElementById('notice').textContent.includes('was muted')")
        assert page.is_visible("#microphone-again")
        page.evaluate("window.letTimePass(60_000)")
        page.wait_for_timeout(600)
        assert "was muted" in page.inner_text("#notice"), "a muted one is not called silent"
        page.evaluate(MUTED, False)
        page.wait_for_function("!document.getElementById('notice').textContent.includes('was muted')")
        assert page.is_hidden("#microphone-again")
        page.evaluate(MUTED, True)
        page.click("#microphone-again")  # opens it anew
        page.wait_for_function("!document.getElementById('notice').textContent.includes('was muted')")
        assert page.is_hidden("#microphone-again")


def test_a_page_that_goes_without_its_host_having_been_asked_leaves_the_show(browser: Any, show: str) -> None:
    with fresh_page(browser) as page:
        page.add_init_script(ASKS_NOBODY)
        start(page, show)
        own = page.evaluate("flapClient.sessionId")
        page.goto("about:blank")
        until_s = time.monotonic() + 5
        while next(session for session in sessions(show) if session["id"] == own)["host_connected"]:
            assert time.monotonic() < until_s, "its place is free at once"
            time.sleep(0.05)
        page.goto(f"{show}/?lang=en")
        page.wait_for_function("document.getElementById('notice').textContent.includes('Press Start to go on')")
    delete(show, own)


def test_a_slider_that_was_dragged_has_the_arrows(opened: Desk) -> None:
    opened.say(CATALOG)
    opened.state()
    page = opened.page
    page.evaluate("""() => {
      const slider = document.getElementById("blink-rate");
      document.activeElement?.blur();
      slider.dispatchEvent(new PointerEvent("pointerdown", { pointerId: 7, bubbles: true }));
      slider.dispatchEvent(new PointerEvent("pointerup", { pointerId: 7, bubbles: true }));
    }""")
    assert page.evaluate("document.activeElement.id") == "blink-rate"


def test_pages_from_the_back_forward_cache_are_opened_anew(browser: Any, show: str) -> None:
    session = post(show)["id"]
    with fresh_page(browser) as page:
        page.goto(f"{show}/watch?session={session}")
        page.wait_for_selector("body[data-state=live]")
        page.evaluate("window.isOld = true")
        page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
        page.wait_for_function("!window.isOld && document.body.dataset.state === 'live'")
