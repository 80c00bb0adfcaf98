"""The panel after a refusal, a loss or in somebody else's way: what it shows is what the server has, what was prepared stays."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser_probe import needs_chromium
from tests.operator_page import CATALOG, STATE, Desk, scripted_desk

pytestmark = [pytest.mark.timeout(240), needs_chromium]
LET_GO_MS = 600  # a slider that was moved by hand waits a little less before it follows the server
REFUSAL = "another operator has locked the desk"
PANEL_OF_ITS_OWN = """async (catalog) => {
  const { Panel } = await import("/static/panel.js");
  const root = document.createElement("section");
  const panel = new Panel(root, () => null, () => {}, () => null);
  panel.hear(catalog);
  const pressed = "button:not([role=tab]), input:not([type=text], [type=url], [type=password])";
  const usable = () => Array.from(root.querySelectorAll(pressed)).filter((control) => !control.disabled).length;
  const before = usable();
  panel.enable(true);
  return [before, usable() > 0];
}"""

MOVES_TWICE_AND_IS_REFUSED = """async (state) => {
  const { Panel } = await import("/static/panel.js");
  const [root, sent] = [document.createElement("section"), []];
  const panel = new Panel(root, (type, fields) => `c${sent.push(fields)}`, () => {}, () => null);
  panel.enable(true);
  panel.hear(state);
  const yaw = root.querySelector("#yaw");
  for (const angle of [10, 20]) {
    yaw.value = angle;
    yaw.dispatchEvent(new Event("input"));
  }
  panel.hear({ type: "error", id: "c1", code: "too_many", message: "" });
  await new Promise((resolve) => { setTimeout(resolve, 200); });
  return sent.map((fields) => fields.yaw_deg);
}"""


@pytest.fixture(scope="module")
def opened(browser: Any, show: str) -> Iterator[Desk]:
    with scripted_desk(browser, show) as desk:
        yield desk


@pytest.fixture
def desk(opened: Desk) -> Desk:
    """The page as it is when nothing has been asked for yet."""
    opened.say(CATALOG)
    opened.state()
    opened.take_sent()
    return opened


def refuse(desk: Desk) -> None:
    """Refuses what the page has sent last, which it has seen by then."""
    desk.take_sent()
    desk.say({"type": "error", "id": desk.last_id, "code": "locked", "message": REFUSAL})
    desk.page.wait_for_function(f"document.getElementById('notice').textContent === '{REFUSAL}'")
    desk.page.evaluate("document.getElementById('notice').textContent = ''")


def value(desk: Desk, name: str) -> Any:
    return desk.page.input_value(f"#{name}")


def test_a_slider_and_a_tick_go_back_at_once_when_what_they_asked_for_is_refused(desk: Desk) -> None:
    desk.state(pose={"yaw_deg": -10.0, "pitch_deg": None, "roll_deg": None}, blinks_per_minute=20.0)
    desk.page.wait_for_function("document.getElementById('yaw').value === '-10'")
    for name, asked, before in (("yaw", "30", "-10"), ("blink-rate", "5", "20")):
        desk.page.fill(f"#{name}", asked)
        refuse(desk)
        assert value(desk, name) == before
        assert desk.page.inner_text(f"#{name}-value").startswith(before)
    desk.page.check("#head-fix")
    refuse(desk)
    assert not desk.page.is_checked("#head-fix")


def test_what_waits_to_be_sent_is_what_the_hand_has_set_also_after_a_refusal(desk: Desk) -> None:
    assert desk.page.evaluate(MOVES_TWICE_AND_IS_REFUSED, STATE) == [10, 20]


def test_a_slider_that_is_being_dragged_is_put_back_once_it_is_let_go(desk: Desk) -> None:
    page, mouse = desk.page, desk.page.mouse
    desk.state(blinks_per_minute=20.0)
    page.wait_for_function("document.getElementById('blink-rate').value === '20'")
    page.locator("#blink-rate").scroll_into_view_if_needed()
    box = page.locator("#blink-rate").bounding_box()
    mouse.move(box["x"] + 0.5 * box["width"], box["y"] + box["height"] / 2)
    mouse.down()
    mouse.move(box["x"] + 0.8 * box["width"], box["y"] + box["height"] / 2)
    refuse(desk)
    dragged = value(desk, "blink-rate")
    assert int(dragged) > 25
    page.wait_for_timeout(LET_GO_MS)
    desk.state(blinks_per_minute=20.0, muted=True)
    page.wait_for_selector("#mute[aria-pressed=true]")
    assert value(desk, "blink-rate") == dragged
    mouse.up()
    assert value(desk, "blink-rate") == "20"


def test_a_refusal_before_anything_is_known_of_a_session_moves_nothing(desk: Desk) -> None:
    desk.state(pose={"yaw_deg": -10.0, "pitch_deg": None, "roll_deg": None})
    desk.page.wait_for_function("document.getElementById('yaw').value === '-10'")
    desk.say({"type": "hello", "protocol": 1, "operator": "me", "session": "another"})
    desk.page.fill("#yaw", "25")
    refuse(desk)
    assert value(desk, "yaw") == "25", "where it belonged in the session before means nothing in this one"


def test_a_text_that_is_prepared_stays_while_the_picture_has_another_one_or_none(desk: Desk) -> None:
    desk.state(overlay="Good evening")
    desk.page.wait_for_function("document.getElementById('overlay-text').value === 'Good evening'")
    desk.page.fill("#overlay-text", "Today 20 % off")
    desk.page.evaluate("document.activeElement.blur()")
    for overlay in ("Good evening", None):
        desk.state(overlay=overlay, muted=overlay is None)
        desk.page.wait_for_selector(f"#mute[aria-pressed={'true' if overlay is None else 'false'}]")
        assert value(desk, "overlay-text") == "Today 20 % off"
    desk.page.click("#overlay-show")
    assert desk.take_sent() == [{"type": "overlay.set", "text": "Today 20 % off"}]
    for overlay in ("Today 20 % off", "Somebody else's", ""):
        desk.state(overlay=overlay)
        desk.page.wait_for_function("(text) => document.getElementById('overlay-text').value === text", arg=overlay)


def test_a_refusal_is_said_in_the_language_of_the_page(desk: Desk) -> None:
    desk.page.click("#language")
    desk.page.click("#mute")
    desk.take_sent()
    desk.say({"type": "error", "id": desk.last_id, "code": "locked", "message": REFUSAL})
    said = f"其他操作员已锁定控制：{REFUSAL}"
    desk.page.wait_for_function("(said) => document.getElementById('notice').textContent === said", arg=said)
    desk.page.click("#language")


def test_a_clip_that_cannot_be_stopped_is_said_to_go_on(desk: Desk) -> None:
    page = desk.page
    clip = {"source": "clip", "tracking": True, "groups": {"pose": 1.0}, "calibrated": True}
    desk.state(sources=[clip])
    for answer, said in (
        (lambda route: route.fulfill(status=403, json={"error": {"code": "forbidden", "message": "not yours"}}), "not yours"),
        (lambda route: route.abort(), "The server does not answer"),
    ):  # fmt: skip
        page.route("**/clip", answer)
        page.click("#clip-stop")
        page.wait_for_function("(said) => document.getElementById('notice').textContent.includes(said)", arg=said)
        page.unroute("**/clip")


def test_buttons_that_a_catalogue_makes_wait_like_the_rest_of_a_panel_that_nobody_directs_yet(desk: Desk) -> None:
    assert desk.page.evaluate(PANEL_OF_ITS_OWN, CATALOG) == [0, True]


def test_the_strength_of_an_emotion_changes_neither_one_that_stays_nor_one_that_passes(desk: Desk) -> None:
    """Whoever put it on: a cue or another operator may have had it stay."""
    for passes, hold in ((False, {}), (True, {"hold_ms": 3000})):
        desk.state(expression_name="sad", expression_passes=passes)
        desk.page.wait_for_selector("[data-expression=sad][aria-pressed=true]")
        desk.take_sent()
        desk.page.fill("#intensity", "0.5" if passes else "0.6")
        (sent,) = desk.take_sent()
        assert sent == {"type": "expression.set", "name": "sad", "intensity": 0.5 if passes else 0.6, **hold}


def test_a_file_that_is_spoken_can_be_stopped_at_the_desk(desk: Desk) -> None:
    assert desk.page.is_hidden("#hush")
    desk.state(speech=True)
    desk.page.wait_for_selector("#hush:visible")
    desk.take_sent()
    desk.page.click("#hush")
    assert desk.take_sent() == [{"type": "speech.stop"}]
    desk.state()
    desk.page.wait_for_selector("#hush", state="hidden")


def test_a_first_cue_does_not_take_the_place_of_the_last_shows_sheet(desk: Desk) -> None:
    def cues(*names: str) -> dict[str, Any]:
        listed = [{"id": name, "name": name, "commands": []} for name in names]
        return {
            "type": "cues",
            "name": "",
            "cues": listed,
            "next": None,
            "last": None,
            "running": False,
            "clock_ms": 0.0,
        }

    kept = {"session": "yesterday", "name": "Yesterday", "cues": [{"id": "old", "commands": []}]}
    desk.page.evaluate("(kept) => localStorage.setItem('flap-cues', kept)", json.dumps(kept))
    desk.say(cues())
    desk.page.wait_for_selector("#cue-again:visible")
    desk.say(cues("new"))
    desk.page.wait_for_selector("[data-cue=new]")
    desk.say(cues())
    desk.page.wait_for_selector("#cue-again:visible")
    with desk.page.expect_request(lambda request: request.method == "PUT") as asked:
        desk.page.click("#cue-again")
    assert asked.value.post_data_json["cues"] == kept["cues"]
    kept_now = desk.page.evaluate("JSON.parse(localStorage.getItem('flap-cues'))")
    assert kept_now["session"] == "yesterday", "a sheet that was tried and emptied is not the next show's"
