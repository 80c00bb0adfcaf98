"""A tablet, held across: the safety buttons stay in sight, and the screen stays on while somebody hosts or directs."""

from typing import Any

import pytest

from tests.browser_probe import needs_chromium, start, stop
from tests.operator_page import fresh_page, scripted_desk

pytestmark = [pytest.mark.timeout(240), needs_chromium]
LOCKS = """
  window.locks = [];
  Object.defineProperty(navigator, "wakeLock", { configurable: true, value: { request: async (kind) => {
    if (window.isRefused) throw new DOMException("the battery is low", "NotAllowedError");
    const lock = { kind, isHeld: true, release: async () => { lock.isHeld = false; } };
    window.locks.push(lock);
    return lock;
  } } });
  window.hide = () => {
    for (const lock of window.locks) lock.isHeld = false;
    Object.defineProperty(document, "visibilityState", { value: "hidden", configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  };
  window.showAgain = () => {
    delete document.visibilityState;
    document.dispatchEvent(new Event("visibilitychange"));
  };
"""
HELD = "(count) => window.locks.filter(({ kind, isHeld }) => kind === 'screen' && isHeld).length === count"
# places of the panel's cards that a press would not reach, of those that are wholly on the screen
COVERED = """() => Array.from(document.querySelectorAll(".panel-card, .tabs")).filter((card) => {
  const box = card.getBoundingClientRect();
  if (!card.checkVisibility() || box.top < 0 || box.bottom > innerHeight) return false;
  return !card.contains(document.elementFromPoint(box.left + box.width / 2, box.top + 2));
}).map((card) => card.dataset.card)"""


@pytest.mark.parametrize("size", [(1024, 768), (1180, 820), (1440, 900)])
def test_the_safety_buttons_stay_in_sight_and_cover_nothing(browser: Any, show: str, size: tuple[int, int]) -> None:
    with scripted_desk(browser, show, size) as desk:
        page = desk.page
        assert page.evaluate(COVERED) == []
        for place in (0, 300, 900, 9000):
            page.evaluate("(y) => scrollTo(0, y)", place)
            box = page.locator(".safety").bounding_box()
            assert box["y"] >= 0 and box["y"] + box["height"] <= size[1]
        assert page.evaluate("scrollY") > 0
        page.click("#mute")
        assert desk.take_sent() == [{"type": "mute", "on": True}]
        page.locator("#expressions, [data-card=expressions] button").first.focus()
        below = page.locator(".safety").bounding_box()
        assert page.locator(":focus").bounding_box()["y"] >= below["y"] + below["height"]


def test_the_screen_stays_on_while_the_page_hosts_and_is_seen(browser: Any, show: str) -> None:
    with fresh_page(browser) as page:
        page.add_init_script(LOCKS)
        page.goto(f"{show}/?raw-microphone")
        page.wait_for_selector(".card")
        assert page.evaluate("window.locks.length") == 0
        start(page, show)
        page.wait_for_function(HELD, arg=1)
        page.evaluate("window.hide()")
        page.wait_for_function(HELD, arg=0)
        page.evaluate("window.showAgain()")
        page.wait_for_function(HELD, arg=1)
        stop(page)
        page.wait_for_function(HELD, arg=0)


@pytest.mark.parametrize(
    "without", ["", "window.isRefused = true;", "Object.defineProperty(navigator, 'wakeLock', { value: undefined });"]
)
def test_the_screen_stays_on_at_the_desk_and_a_browser_that_does_not_do_that_is_left_alone(
    browser: Any, show: str, without: str
) -> None:
    heed = """
      window.wrong = [];
      for (const kind of ["error", "unhandledrejection"])
        addEventListener(kind, (event) => window.wrong.push(String(event.reason ?? event.message)));
    """
    with scripted_desk(browser, show, before=LOCKS + without + heed) as desk:
        desk.page.wait_for_function(HELD, arg=0 if without else 1)
        desk.page.evaluate("window.hide()")
        desk.page.evaluate("window.showAgain()")
        desk.page.wait_for_function(HELD, arg=0 if without else 1)
        desk.page.wait_for_timeout(500)
        assert desk.page.evaluate("window.wrong") == [] and desk.page.is_hidden("#notice")
