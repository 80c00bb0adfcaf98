"""Keys, gamepad and MIDI at the desk: the keys stay the desk's whatever was used before, and devices act once and in time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser_probe import needs_chromium
from tests.operator_page import CATALOG, Desk, post, scripted_desk

pytestmark = [pytest.mark.timeout(240), needs_chromium]
PANIC = {"0": "neutral", "m": "mute", "f": "freeze", "p": "standby"}
DEVICES = """
  window.sticks = () => [0, 0, 0, 0];
  window.fakePad = { id: "A pad", connected: true, buttons: [], get axes() { return window.sticks(); } };
  navigator.getGamepads = () => [window.fakePad];
  window.accesses = [];
  navigator.requestMIDIAccess = async () => {
    const access = Object.assign(new EventTarget(), { inputs: new Map([["one", {}]]) });
    window.accesses.push(access);
    return access;
  };
"""
PLAYS_A_NOTE = """() => accesses.forEach(({ inputs }) => inputs.forEach(
  (input) => input.onmidimessage?.({ data: [0x90, 36, 100] })))"""
DEVICES_BECOME = """(names) => accesses.forEach((access) => {
  access.inputs = new Map(names.map((name) => [name, {}]));
  access.dispatchEvent(new Event("statechange"));
})"""
MOVES_TWICE_AND_LETS_GO = """() => {
  const yaw = document.getElementById("yaw");
  for (const angle of [10, 20]) {
    yaw.value = angle;
    yaw.dispatchEvent(new Event("input"));
  }
  document.getElementById("ahead").click();
}"""
LIST_OPENS_MS = 500  # before that it hears no keys
MOST_A_SECOND = 25  # of the 40 messages that an operator may send


@pytest.fixture(scope="module")
def opened(browser: Any, show: str) -> Iterator[Desk]:
    post(show, {"presenter": "bob"})
    with scripted_desk(browser, show, before=DEVICES) as desk:
        desk.page.wait_for_function("document.getElementById('sessions').selectedIndex === 1")
        yield desk


@pytest.fixture
def desk(opened: Desk) -> Desk:
    """The page as it is when nothing has been asked for yet."""
    opened.page.evaluate("document.activeElement.blur()")
    opened.say(CATALOG)
    opened.state()
    opened.take_sent()
    return opened


def panic(desk: Desk) -> list[str]:
    """What the keys of the safety buttons send."""
    for key in PANIC:
        desk.page.keyboard.press(key)
    return [message["type"] for message in desk.take_sent()]


def focused(desk: Desk) -> Any:
    return desk.page.evaluate("document.activeElement.id")


def test_the_panic_keys_work_after_a_slider_was_moved_which_keeps_its_own_keys(desk: Desk) -> None:
    desk.page.click("#yaw")
    assert focused(desk) == "yaw"
    desk.take_sent()
    assert panic(desk) == list(PANIC.values())
    before = int(desk.page.input_value("#yaw"))
    desk.page.keyboard.press("ArrowRight")
    assert desk.take_sent() == [{"type": "pose.set", "yaw_deg": before + 1, "ease_ms": 120}]
    desk.page.keyboard.press("Home")
    assert desk.take_sent() == [{"type": "pose.set", "yaw_deg": -40, "ease_ms": 120}]


def test_the_panic_keys_work_after_a_file_was_chosen(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "wrong.json").write_text("{")
    desk.page.focus("#cue-open")
    desk.page.set_input_files("#cue-open", tmp_path / "wrong.json")
    assert focused(desk) == ""
    assert panic(desk) == list(PANIC.values())
    desk.page.focus("#cue-open")
    assert panic(desk) == list(PANIC.values()), "also while it only has the focus"


def test_a_gesture_file_that_cannot_be_used_is_shown_and_takes_no_key(desk: Desk) -> None:
    desk.say({**CATALOG, "problems": ["wave.json is no gesture"]})
    desk.page.wait_for_selector(".problems li", state="visible")
    assert focused(desk) == "" and panic(desk) == list(PANIC.values())
    for place in ("", "record-name"):
        desk.page.click("#record")
        assert focused(desk) in (place, "record")
    assert focused(desk) == "record-name"
    desk.page.click("#record")


def test_what_is_being_typed_while_the_channel_breaks_presses_no_key(desk: Desk) -> None:
    page = desk.page
    page.focus("#overlay-text")
    page.keyboard.type("Sum")
    desk.channel.close()
    page.wait_for_selector("#overlay-show:disabled")
    page.keyboard.type("m")
    page.keyboard.press("Enter")
    page.wait_for_selector("#overlay-show:enabled")
    page.keyboard.type("er of 0 %")
    assert page.input_value("#overlay-text") == "Summer of 0 %" and desk.take_sent() == []


def hear_cues(desk: Desk, *ids: str, following: str) -> None:
    cues = [{"id": name, "name": name, "commands": []} for name in ids]
    desk.say(
        {"type": "cues", "name": "", "cues": cues, "next": following, "last": None, "running": False, "clock_ms": 0.0}
    )
    desk.page.wait_for_function(
        "(ids) => [...document.querySelectorAll('[data-cue]')].map((made) => made.dataset.cue).join() === ids",
        arg=",".join(ids),
    )
    desk.page.wait_for_selector(f"[data-cue={following}][aria-current=true]")


def test_the_keyboard_stays_with_its_cue_when_the_list_changes(desk: Desk) -> None:
    """Lost to the page, the next Enter would run a cue."""
    page = desk.page
    hear_cues(desk, "hello", "price", "end", following="hello")
    page.click("#cue-edit")
    page.focus("[data-cue=price]")
    page.keyboard.press("Tab")
    page.evaluate("() => { document.activeElement.marked = true; }")
    hear_cues(desk, "hello", "price", "end", following="end")
    assert page.evaluate("document.activeElement.marked"), "rows that have not changed are left alone"
    where = "[document.activeElement.closest('li')?.querySelector('[data-cue]').dataset.cue, document.activeElement.ariaLabel]"
    assert page.evaluate(where) == ["price", "Move up: price"]
    hear_cues(desk, "hello", "end", "price", following="end")
    assert page.evaluate(where) == ["price", "Move up: price"]
    hear_cues(desk, "price", "hello", "end", following="end")
    assert page.evaluate(where) == ["price", None], "at the top nothing moves up"
    hear_cues(desk, "hello", "end", following="end")
    assert page.evaluate(where) == ["hello", None]
    page.evaluate("document.activeElement.blur()")
    page.click("#cue-edit")
    desk.take_sent()
    page.keyboard.press("Enter")
    assert desk.take_sent() == [{"type": "cue.go"}]


def test_no_key_chooses_another_session_unseen_and_the_keyboard_alone_can_choose_one(desk: Desk) -> None:
    page = desk.page
    chosen = page.input_value("#sessions")
    page.focus("#sessions")
    assert panic(desk) == list(PANIC.values())
    for key in ("b", "ArrowUp", "ArrowDown"):
        page.keyboard.press(key)
        page.wait_for_timeout(LIST_OPENS_MS)
        page.keyboard.press("Escape")
        assert page.input_value("#sessions") == chosen
    assert desk.take_sent()[1:] == [], "arrows turn no head while they open the list"
    page.evaluate("() => { window.went = []; flapClient.choose = (id) => window.went.push(id); }")
    page.keyboard.press("ArrowDown")
    page.wait_for_function("document.getElementById('sessions').matches(':open')")
    page.wait_for_timeout(LIST_OPENS_MS)
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_function("window.went.length === 1")
    assert focused(desk) == "" and panic(desk) == list(PANIC.values())


def test_a_letter_that_is_held_down_chooses_no_other_session_either(desk: Desk) -> None:
    page = desk.page
    chosen = page.input_value("#sessions")
    letter = page.evaluate("document.getElementById('sessions').options[0].textContent[0].toLowerCase()")
    page.focus("#sessions")
    for _ in range(3):
        page.keyboard.down(letter)
    page.keyboard.up(letter)
    assert page.input_value("#sessions") == chosen


def test_no_key_reaches_the_show_behind_a_dialog_in_which_nothing_has_the_focus(desk: Desk) -> None:
    page = desk.page
    page.click("#cue-add")
    page.wait_for_selector("dialog:modal")
    page.evaluate("document.activeElement.blur()")
    assert focused(desk) == "" and panic(desk) == []
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="detached")
    assert panic(desk) == list(PANIC.values())


def test_a_second_press_on_use_midi_makes_no_note_act_twice_and_the_label_follows_the_devices(desk: Desk) -> None:
    desk.page.click("#midi")
    desk.page.click("#midi")
    desk.page.wait_for_function("document.getElementById('midi').textContent === 'MIDI connected'")
    desk.take_sent()
    desk.page.evaluate(PLAYS_A_NOTE)
    assert desk.take_sent() == [{"type": "neutral"}]
    for names, said in (([], "MIDI: plug a device in"), (["another"], "MIDI connected")):
        desk.page.evaluate(DEVICES_BECOME, names)
        desk.page.wait_for_function("(said) => document.getElementById('midi').textContent === said", arg=said)
    desk.page.evaluate(PLAYS_A_NOTE)
    assert desk.take_sent() == [{"type": "neutral"}]


def test_two_sticks_that_move_send_what_the_server_takes_and_let_go_at_last(desk: Desk) -> None:
    page = desk.page
    page.evaluate(
        "window.sticks = () => [0, 0.7, 1.4].map((phase) => 0.6 + 0.3 * Math.sin(performance.now() / 90 + phase))"
    )
    page.evaluate("window.dispatchEvent(new Event('gamepadconnected'))")
    page.wait_for_timeout(1000)
    page.evaluate("window.sticks = () => [0, 0, 0, 0]")
    sent = desk.take_sent()
    assert 3 < len(sent) < MOST_A_SECOND
    assert sent[-1] == {"type": "pose.release"}
    together = [message for message in sent if {"yaw_deg", "pitch_deg", "roll_deg"} <= message.keys()]
    assert len(together) > len(sent) // 2


def test_a_value_that_waits_does_not_take_back_a_head_that_was_let_go(desk: Desk) -> None:
    desk.page.evaluate(MOVES_TWICE_AND_LETS_GO)
    desk.page.wait_for_timeout(200)
    assert desk.take_sent() == [{"type": "pose.set", "yaw_deg": 10, "ease_ms": 120}, {"type": "pose.release"}]


def push_a_stick(desk: Desk) -> None:
    desk.page.evaluate("""() => {
      fakePad.connected = true;
      window.sticks = () => [0.6, 0, 0, 0];
      window.dispatchEvent(new Event("gamepadconnected"));
    }""")
    desk.until_sent(lambda sent: any("yaw_deg" in message for message in sent))
    desk.take_sent()


def test_a_stick_that_is_let_go_while_nobody_is_directed_lets_the_head_go_afterwards(desk: Desk) -> None:
    push_a_stick(desk)
    desk.channel.close()
    desk.page.wait_for_selector("#ahead:disabled")
    desk.page.evaluate("window.sticks = () => [0, 0, 0, 0]")
    desk.until_sent(lambda sent: [message["type"] for message in sent] == ["pose.release"])


@pytest.mark.parametrize("is_directed", [True, False])
def test_a_gamepad_that_goes_away_while_a_stick_is_pushed_lets_the_head_go(desk: Desk, is_directed: bool) -> None:
    push_a_stick(desk)
    if not is_directed:
        desk.channel.close()
        desk.page.wait_for_selector("#ahead:disabled")
    desk.page.evaluate("fakePad.connected = false")
    desk.until_sent(lambda sent: [message["type"] for message in sent] == ["pose.release"])
    desk.page.evaluate("() => { fakePad.connected = true; window.sticks = () => [0, 0, 0, 0]; }")
