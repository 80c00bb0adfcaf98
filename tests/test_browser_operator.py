"""The operator's page as a whole: real sessions, the drawn face it moves, devices, languages, small screens."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.browser_probe import needs_chromium
from tests.fakes import face_column
from tests.operator_page import CATALOG, Desk, fake_show, fresh_page, picture, post, scripted_desk

pytestmark = [pytest.mark.timeout(240), needs_chromium]
PHONE = (390, 844)
DEVICES = """
  window.fakePad = { id: "A pad", connected: true, axes: [0, 0, 0, 0], buttons: Array.from({ length: 16 }, () => ({ pressed: false })) };
  navigator.getGamepads = () => [null, window.fakePad];
  window.fakeKeys = {};
  const access = Object.assign(new EventTarget(), { inputs: new Map([["one", window.fakeKeys]]) });
  navigator.requestMIDIAccess = async () => access;
"""
SHIFTS = """
  window.shifts = [];
  new PerformanceObserver((list) => window.shifts.push(...list.getEntries().map((entry) => [entry.value, entry.startTime])))
    .observe({ type: "layout-shift", buffered: true });
"""
NAMELESS = """() => Array.from(document.querySelectorAll("button, input, select, a, summary, [role=application], nav, section"))
  .filter((control) => control.checkVisibility() && !control.getAttribute("aria-label") && !control.labels?.[0]?.innerText.trim() &&
    !control.innerText?.trim() && !control.querySelector("h2"))
  .map((control) => control.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def directed(browser: Any, show: str) -> Iterator[Any]:
    """The page at a real session, which really obeys."""
    with fresh_page(browser) as page:
        page.goto(f"{show}/operator?lang=en")
        page.wait_for_selector("body[data-state=live]")
        page.wait_for_function("document.getElementById('avatar').videoWidth > 0")
        yield page


@pytest.fixture(scope="module")
def opened(browser: Any, show: str) -> Iterator[Desk]:
    with scripted_desk(browser, show, before=DEVICES) as made:
        yield made


@pytest.fixture
def desk(opened: Desk) -> Desk:
    """A page that several tests use, as the server would have it at first."""
    opened.state()
    opened.take_sent()
    return opened


@pytest.fixture(scope="module")
def held(browser: Any, show: str) -> Iterator[Desk]:
    with scripted_desk(browser, show, PHONE) as made:
        yield made


@pytest.fixture
def phone(held: Desk) -> Desk:
    """The same on a phone, at its first tab."""
    held.page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    held.page.click("#tab_face")
    held.take_sent()
    return held


def until(page: Any, holds: Callable[[np.ndarray], bool], within_ms: int = 20_000) -> bool:
    """Whether the video shows a picture of which `holds` is true before the time is over."""
    for _ in range(within_ms // 100):
        if holds(picture(page)):
            return True
        page.wait_for_timeout(100)
    return False


def dark_rows(pixels: np.ndarray, column: int, rows: slice) -> int:
    """How many dark pixels a column has: the height of an eye or of the mouth."""
    return int((pixels[rows, column].max(-1) < 100).sum())


EYES, MOUTH = slice(80, 130), slice(150, 215)


def test_the_head_in_the_video_goes_where_the_pad_the_buttons_and_the_sliders_send_it(directed: Any) -> None:
    directed.locator("#pad").scroll_into_view_if_needed()
    box = directed.locator("#pad").bounding_box()
    directed.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + 0.5 * box["height"])
    assert until(directed, lambda seen: abs(face_column(seen) - 128 - 20 * 1.5) < 5), (
        "the pad sends it 20 degrees to the right"
    )
    directed.click("#left")
    assert until(directed, lambda seen: abs(face_column(seen) - 128 + 25 * 1.5) < 5)
    directed.fill("#yaw", "10")
    assert until(directed, lambda seen: abs(face_column(seen) - 128 - 10 * 1.5) < 5)
    directed.click("#ahead")
    assert until(directed, lambda seen: abs(face_column(seen) - 128) < 5)


def test_an_emotion_a_gesture_and_neutral_are_seen_in_the_face(directed: Any) -> None:
    directed.check("#stay")
    narrow = dark_columns(picture(directed))
    directed.click("[data-expression=happy]")
    assert until(directed, lambda seen: dark_columns(seen) >= narrow + 8), "a smile widens the lips"
    directed.click("#neutral")
    assert until(directed, lambda seen: dark_columns(seen) <= narrow + 3)
    directed.click("[data-expression=eyes_closed]")
    assert until(directed, lambda seen: dark_rows(seen, 98, EYES) < 8)
    directed.click("#release")
    assert until(directed, lambda seen: dark_rows(seen, 98, EYES) > 12)
    directed.click("[data-gesture=shake]")
    assert until(directed, lambda seen: abs(face_column(seen) - 128) > 7)


def dark_columns(pixels: np.ndarray) -> int:
    """How wide the lips are."""
    return int((pixels[178:183].max(-1) < 100).any(0).sum())


def test_freeze_holds_the_face_and_the_page_says_so(directed: Any) -> None:
    directed.click("#neutral")  # ends the gesture before
    assert until(directed, lambda seen: abs(face_column(seen) - 128) < 3)
    directed.click("#freeze")
    directed.wait_for_selector("#freeze[aria-pressed=true]")
    directed.click("#right")
    assert not until(directed, lambda seen: abs(face_column(seen) - 128) > 10, within_ms=1500)
    directed.click("#freeze")
    directed.wait_for_selector("#freeze[aria-pressed=false]")
    assert until(directed, lambda seen: face_column(seen) - 128 > 25)
    directed.click("#neutral")


def test_health_is_measured_and_shown(directed: Any) -> None:
    directed.wait_for_function("parseFloat(document.getElementById('rate').textContent) > 10")
    assert 80 < float(directed.inner_text("#latency").removesuffix(" ms")) < 3000
    assert directed.inner_text("#quality") in ("Good", "Fair", "Poor") and int(directed.inner_text("#viewers")) >= 1


def test_the_page_lets_one_choose_among_the_sessions_that_run(browser: Any, show: str) -> None:
    directed_ids: list[str] = []
    bobs = post(show, {"presenter": "bob"})["id"]
    with fresh_page(browser) as page:
        page.on("websocket", lambda socket: directed_ids.append(socket.url.split("/")[-2]))
        page.goto(f"{show}/operator?session={bobs}")
        page.wait_for_selector("body[data-state=live]")
        page.wait_for_selector("[data-presenter=bob][aria-checked=true]")
        adas = page.eval_on_selector("#sessions", "list => [...list.options].find((option) => !option.selected).value")
        page.select_option("#sessions", adas)
        page.wait_for_selector("[data-presenter=ada][aria-checked=true]")
    assert directed_ids == [bobs, adas]


def test_the_page_waits_for_a_show_and_for_the_next_one_when_it_is_over(browser: Any, tmp_path: Path) -> None:
    with fake_show(tmp_path) as address, fresh_page(browser) as page:
        page.goto(f"{address}/operator?lang=en")
        for _ in range(2):
            page.wait_for_selector("body[data-state=live]")
            page.evaluate("fetch(`/api/sessions/${flapClient.sessionId}`, { method: 'DELETE' })")
            page.wait_for_selector("body[data-state=waiting]")
            assert page.inner_text("#waiting") == "Waiting for a show to begin" and page.is_disabled("#neutral")
            assert page.is_disabled("[data-presenter=bob]")
            page.click("#add-presenter")
            page.keyboard.press("Escape")
            post(address)


def test_a_desk_that_was_opened_for_one_show_is_not_led_to_another(browser: Any, show: str) -> None:
    mine = post(show, {"presenter": "bob"})["id"]
    with fresh_page(browser) as page:
        page.goto(f"{show}/operator?lang=en&session={mine}")
        page.wait_for_selector("body[data-state=live]")
        page.evaluate("fetch(`/api/sessions/${flapClient.sessionId}`, { method: 'DELETE' })")
        page.wait_for_selector("body[data-state=waiting]")
        page.wait_for_timeout(4000)
        assert page.get_attribute("body", "data-state") == "waiting"
        page.select_option("#sessions", index=1)  # the first says that one may choose
        page.wait_for_selector("body[data-state=live]")


def test_a_link_that_may_not_direct_says_so_and_does_not_watch(browser: Any, show: str) -> None:
    with fresh_page(browser) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.add_init_script(
            "window.WebSocket = class extends EventTarget { close() {}"
            " constructor() { super(); setTimeout(() => this.dispatchEvent(new Event('close')), 20); } };"
        )
        page.goto(f"{show}/operator?lang=en")
        page.wait_for_function("document.getElementById('waiting').textContent.includes('cannot be opened')")
        page.route("**/control", lambda route: route.fulfill(status=403, json={}))
        page.wait_for_function("document.getElementById('waiting').textContent.includes('may not direct')")
        assert not any(url.endswith("/whep") for url in asked)


def test_whoever_is_added_elsewhere_gets_a_card(browser: Any, show: str) -> None:
    with scripted_desk(browser, show) as desk:
        people = [{"id": name, "name": name.title(), "thumbnail_url": "/x"} for name in ("ada", "bob", "grace")]
        desk.page.route("**/api/presenters", lambda route: route.fulfill(json=people))
        desk.say({**CATALOG, "presenters": ["ada", "bob", "grace"]})
        desk.page.wait_for_selector("[data-presenter=grace]")


def test_a_gamepad_and_a_midi_controller_play_the_desk(desk: Desk) -> None:
    page = desk.page
    page.evaluate("fakePad.buttons[0].pressed = true; window.dispatchEvent(new Event('gamepadconnected'))")
    desk.until_sent(bool)
    page.evaluate("fakePad.buttons[0].pressed = false")
    assert [message.get("name") for message in desk.take_sent()] == ["nod"]
    page.evaluate("fakePad.axes = [1, 0.05, 0, 0]")
    desk.until_sent(lambda sent: sent[-1:] != [] and sent[-1].get("yaw_deg") == 40)
    page.evaluate("fakePad.axes = [0, 0, 0, 0]")
    desk.until_sent(lambda sent: sent[-1]["type"] == "pose.release")
    assert {"type": "pose.set", "yaw_deg": 40, "ease_ms": 120} in desk.take_sent()
    page.click("#midi")
    page.wait_for_selector("#midi[aria-pressed=true]")
    page.evaluate("fakeKeys.onmidimessage({ data: [0x99, 36, 100] })")
    page.evaluate("fakeKeys.onmidimessage({ data: [0x89, 36, 0] })")
    page.evaluate("fakeKeys.onmidimessage({ data: [0xb0, 3, 127] })")
    assert desk.take_sent() == [{"type": "neutral"}, {"type": "pose.set", "roll_deg": 20, "ease_ms": 120}]


def test_every_word_changes_language_and_the_choice_is_kept(browser: Any, show: str) -> None:
    with scripted_desk(browser, show) as desk:
        desk.page.click("#language")
        untranslated = desk.page.evaluate("""() => import("/static/strings.js").then(({ word }) =>
          Array.from(document.querySelectorAll("[data-word], [data-word-label]"), (e) => e.dataset.word ?? e.dataset.wordLabel)
            .filter((key) => word(key) === key.replaceAll("_", " ") && key !== "midi"))""")
        assert untranslated == []
        assert (
            desk.page.inner_text("[data-gesture=nod] span") == "点头"
            and desk.page.get_attribute("html", "lang") == "zh-CN"
        )
        desk.live(desk.page.url.split("/operator")[0], "/operator")
        assert desk.page.inner_text("#mute span") == "静音"


def test_a_phone_has_everything_in_reach(phone: Desk) -> None:
    page = phone.page
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
    clipped = page.evaluate("""() => Array.from(document.querySelectorAll(".grid button span, .safety span"))
      .filter((text) => text.scrollWidth > text.clientWidth).map((text) => text.textContent)""")
    assert clipped == []
    for place in (0, 700, 5000):
        page.evaluate("(y) => scrollTo(0, y)", place)
        box = page.locator(".safety").bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= PHONE[1], "panic buttons stay on the screen"
    for tab in ("tab_face", "tab_head", "tab_show"):
        page.click(f"#{tab}")
        small = page.evaluate("""() => Array.from(document.querySelectorAll(".grid button, .safety button"))
          .filter((button) => button.checkVisibility() && (button.offsetHeight < 44 || button.offsetWidth < 44)).length""")
        assert small == 0 and page.evaluate("document.documentElement.scrollWidth") == PHONE[0]


def test_a_phones_tabs_show_one_part_of_the_panel_at_a_time_and_keys_reach_the_others(phone: Desk) -> None:
    shown = """() => Array.from(document.querySelectorAll('[data-card]'))
      .filter((card) => card.checkVisibility()).map((card) => card.dataset.card)"""
    page = phone.page
    assert page.evaluate(shown) == ["expressions", "gestures"]
    page.focus("#tab_face")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(shown) == ["head", "life"] and phone.take_sent() == []
    page.click("#tab_show")
    assert "cues" in page.evaluate(shown)
    page.keyboard.press("n")
    assert [message["name"] for message in phone.take_sent()] == ["nod"]
    page.set_viewport_size({"width": 1280, "height": 900})
    page.wait_for_selector("[data-card=head]", state="visible")
    assert {"expressions", "head", "cues"} <= set(page.evaluate(shown))


def test_every_control_has_a_name_and_shows_the_focus(desk: Desk) -> None:
    assert desk.page.evaluate(NAMELESS) == []
    desk.page.focus("#neutral")
    desk.page.keyboard.press("Tab")
    assert desk.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_arrow_keys_go_through_the_presenters_and_turn_no_head(desk: Desk) -> None:
    desk.page.focus("[data-presenter=ada]")
    desk.page.keyboard.press("ArrowRight")
    assert desk.page.evaluate("document.activeElement.dataset.presenter") == "bob" and desk.take_sent() == []
    desk.page.keyboard.press("Space")
    assert desk.take_sent() == [{"type": "presenter.set", "presenter": "bob"}]


def test_whatever_is_touched_is_large_enough_for_a_finger(browser: Any, show: str) -> None:
    context = browser.new_context(viewport={"width": PHONE[0], "height": PHONE[1]}, has_touch=True)
    page = context.new_page()
    for path in ("/", "/operator"):
        page.goto(f"{show}{path}?lang=en")
        page.wait_for_selector("[data-presenter]")
        small = page.evaluate("""() => Array.from(document.querySelectorAll("button, select, summary, .tick, .slider, .links a, .file"))
          .filter((control) => control.checkVisibility() && control.offsetHeight < 44).map((control) => control.outerHTML.slice(0, 90))""")
        assert small == []
    context.close()


def test_nothing_jumps_and_nothing_is_fetched_from_elsewhere(browser: Any, show: str) -> None:
    asked: list[str] = []
    with scripted_desk(browser, show, before=SHIFTS) as desk:
        desk.page.on("request", lambda request: asked.append(request.url))
        desk.live(show)
        for number in range(5):
            desk.state(pose={"yaw_deg": 8.0 * number, "pitch_deg": None, "roll_deg": None}, muted=bool(number % 2))
            desk.say(
                {
                    "type": "error",
                    "id": None,
                    "code": "bad_command",
                    "message": "a long sentence about what went wrong " * 4,
                }
            )
            desk.page.wait_for_timeout(200)
        assert sum(value for value, _ in desk.page.evaluate("shifts")) < 0.02
    elsewhere = [url for url in asked if not url.startswith((show, "data:", "blob:"))]
    assert asked and elsewhere == []


def test_a_photograph_becomes_a_presenter_or_its_refusal_is_shown(browser: Any, show: str, tmp_path: Path) -> None:
    photograph = tmp_path / "me.jpg"
    photograph.write_bytes(b"\xff\xd8 not looked at: the test answers")
    answers = [
        (422, {"error": {"code": "no_face", "message": "no face was found: send a photograph of one"}}),
        (201, {"id": "me", "name": "Me", "thumbnail_url": "/x", "remarks": ["The person frowns a little."]}),
    ]
    asked: list[str] = []

    def answer(route: Any) -> None:
        if route.request.method != "POST":
            return route.fallback()
        asked.append(route.request.url.split("?")[1])
        status, body = answers[len(asked) - 1]
        return route.fulfill(status=status, json=body)

    with scripted_desk(browser, show) as desk:
        page = desk.page
        page.route("**/api/presenters?*", answer)
        page.click("#add-presenter")
        page.set_input_files("#photograph", photograph)
        page.fill("#photograph-name", "Me")
        page.select_option("#photograph-consent", index=1)
        page.click("dialog .primary")
        page.wait_for_function("document.querySelector('.outcome').textContent.includes('no face was found')")
        page.click("dialog .primary")
        page.wait_for_selector("dialog", state="detached")
        assert asked[1] == "name=Me&consent=It+is+me."
        assert "Me was added" in page.inner_text("#notice") and "frowns a little" in page.inner_text("#notice")
        assert desk.take_sent() == [], "what is on air changes by a press alone"


def test_whoever_was_added_can_be_removed_again(browser: Any, show: str) -> None:
    people = [
        {"id": name, "name": name.title(), "thumbnail_url": "/x", "added": name == "grace"} for name in ("ada", "grace")
    ]
    removed: list[str] = []

    def remove(route: Any) -> None:
        removed.append(route.request.method)
        people.pop()
        route.fulfill(status=204)

    with scripted_desk(browser, show) as desk:
        page = desk.page
        page.route("**/api/presenters", lambda route: route.fulfill(json=people))
        page.route("**/api/presenters/grace", remove)
        desk.say({**CATALOG, "presenters": ["ada", "grace"]})
        page.wait_for_selector("[data-presenter=grace]")
        page.on("dialog", lambda dialog: dialog.accept())
        page.click("#add-presenter")
        assert page.locator("dialog .own li").all_inner_texts() == ["Grace"]
        page.click("dialog .own button")
        page.wait_for_selector("[data-presenter=grace]", state="detached")
        assert removed == ["DELETE"] and page.locator("dialog .own li").count() == 0
