"""Hands that are quicker than the network: what is pressed before the server has answered neither undoes nor repeats the press before."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser_probe import needs_chromium
from tests.operator_page import CATALOG, Desk, scripted_desk

pytestmark = [pytest.mark.timeout(240), needs_chromium]
CUES = [
    {"id": name, "name": name, "commands": []} for name in ("hello", "price", "end", *(f"more-{i}" for i in range(9)))
]


@pytest.fixture
def desk(browser: Any, show: str) -> Iterator[Desk]:
    with scripted_desk(browser, show) as opened:
        opened.say(CATALOG)
        opened.page.wait_for_selector("[data-expression]")
        yield opened


def hear_cues(desk: Desk, following: str = "hello") -> None:
    desk.say(
        {"type": "cues", "name": "", "cues": CUES, "next": following, "last": None, "running": False, "clock_ms": 0.0}
    )
    desk.page.wait_for_selector(f"[data-cue={following}][aria-current=true]")


def test_two_cues_that_are_deleted_at_once_are_both_gone(desk: Desk) -> None:
    kept: list[list[str]] = []

    def keep(route: Any) -> None:
        sheet = json.loads(route.request.post_data)
        kept.append([cue["id"] for cue in sheet["cues"]][:3])
        desk.page.wait_for_timeout(100)
        route.fulfill(json=sheet)

    hear_cues(desk)
    desk.say({"type": "hello", "session": "s", "operator": "o1"})
    desk.page.route("**/cues?**", keep)
    desk.page.click("#cue-edit")
    desk.page.evaluate("""() => {
      for (const id of ["hello", "price"]) {
        document.querySelector(`[data-cue=${id}]`).closest("li").querySelector(".cue-tools button:last-child").click();
      }
    }""")
    desk.page.wait_for_timeout(600)
    assert kept == [["price", "end", "more-0"], ["end", "more-0", "more-1"]]


def test_the_next_cue_is_always_in_sight(desk: Desk) -> None:
    hear_cues(desk)
    hear_cues(desk, "more-8")
    in_sight = """(id) => {
      const [row, box] = [`[data-cue=${id}]`, ".cues"].map((found) => document.querySelector(found).getBoundingClientRect());
      return row.top >= box.top - 1 && row.bottom <= box.bottom + 1;
    }"""
    assert desk.page.evaluate(in_sight, "more-8")
    hear_cues(desk)
    assert desk.page.evaluate(in_sight, "hello")


def test_the_head_is_not_jerked_back_by_what_the_server_says_of_an_older_key(desk: Desk) -> None:
    desk.page.focus("#pad")
    desk.take_sent()
    for _ in range(3):
        desk.page.keyboard.press("ArrowRight")
        desk.page.wait_for_timeout(70)
    desk.state(pose={"yaw_deg": 4.0, "pitch_deg": None, "roll_deg": None})
    desk.page.wait_for_selector("#pad-dot.on")
    desk.page.keyboard.press("ArrowRight")
    assert [sent["yaw_deg"] for sent in desk.take_sent()] == [4, 8, 12, 16]
    for _ in range(12):
        desk.page.keyboard.press("ArrowRight")
    assert desk.take_sent()[-1]["yaw_deg"] == 40, "its border"
    desk.page.wait_for_timeout(600)
    desk.state(pose={"yaw_deg": -8.0, "pitch_deg": None, "roll_deg": None})
    desk.page.wait_for_function("document.getElementById('pad-dot').style.left.startsWith('40')")
    desk.page.keyboard.press("ArrowLeft")
    assert desk.take_sent()[-1]["yaw_deg"] == -12, "somebody else has turned it since"


def test_a_slider_waits_for_what_was_asked_for_with_it(desk: Desk) -> None:
    desk.page.fill("#blink-rate", "30")
    desk.page.wait_for_timeout(600)
    desk.state(blinks_per_minute=20.0, muted=True)
    desk.page.wait_for_selector("#mute[aria-pressed=true]")
    assert desk.page.input_value("#blink-rate") == "30", "that was of before"
    desk.state(blinks_per_minute=30.0)
    desk.page.wait_for_selector("#mute[aria-pressed=false]")
    assert desk.page.input_value("#blink-rate") == "30"


def test_enter_that_is_held_on_a_button_presses_it_once(desk: Desk) -> None:
    desk.page.focus("#mute")
    desk.take_sent()
    for _ in range(3):
        desk.page.keyboard.down("Enter")  # further ones without an up are repeats
    desk.page.keyboard.up("Enter")
    assert [sent["type"] for sent in desk.take_sent()] == ["mute"]


def test_a_stream_that_is_started_by_two_presses_is_started_once(desk: Desk) -> None:
    asked: list[str] = []

    def answer(route: Any) -> None:
        if route.request.method == "POST":
            asked.append(route.request.post_data)
            desk.page.wait_for_timeout(200)
        route.fulfill(json={} if route.request.method == "POST" else [])

    desk.page.route("**/outputs", answer)
    desk.page.click("#publish")
    desk.page.fill("#publish-url", "rtmps://live.example.com/app")
    desk.page.evaluate("() => { for (let i = 0; i < 2; i++) document.getElementById('publish-start').click(); }")
    desk.page.wait_for_selector("form.publish", state="hidden")
    assert len(asked) == 1


def test_the_keyboard_comes_back_to_its_button_after_a_break(desk: Desk) -> None:
    """Lost to the page, the next Enter would run a cue."""
    desk.page.focus("#mute")
    desk.page.keyboard.press("Tab")
    desk.page.keyboard.press("Shift+Tab")
    desk.channel.close()
    desk.page.wait_for_selector("#mute:disabled")
    desk.page.wait_for_selector("#mute:not(:disabled)")
    assert desk.page.evaluate("document.activeElement.id") == "mute"


def test_the_keyboard_stays_on_its_button_when_the_catalogue_comes_anew(desk: Desk) -> None:
    desk.page.focus("[data-expression=smile]")
    desk.page.keyboard.press("Tab")
    desk.page.keyboard.press("Shift+Tab")
    desk.page.evaluate("() => { document.activeElement.isOld = true; }")
    desk.say(CATALOG)
    desk.page.wait_for_function("!document.querySelector('[data-expression=smile]').isOld")
    assert desk.page.evaluate("document.activeElement.dataset.expression") == "smile"
