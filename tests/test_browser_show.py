"""The operator's page at a real server: cue sheets are edited, opened and saved, gestures recorded, and OBS's scenes switched."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser_probe import needs_chromium, serving
from tests.operator_page import FAKE, chromium, fresh_page, post

pytestmark = [pytest.mark.timeout(240), needs_chromium]
SHEET = {
    "name": "Monday",
    "cues": [
        {"id": "hello", "name": "Say hello", "commands": [{"type": "gesture.play", "name": "greet", "amplitude": 1.5}]},
        {"id": "price", "name": "The price", "at_ms": 65000.0, "commands": [{"type": "mute", "on": False}]},
    ],
}


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("show")
    with serving([*FAKE, "--gestures-folder", str(folder / "gestures")], folder / "server.log") as address:
        post(address)
        yield address


@pytest.fixture(scope="module")
def page(show: str) -> Iterator[Any]:
    with chromium() as browser, fresh_page(browser, (1440, 1000)) as opened:
        opened.goto(f"{show}/operator?lang=en")
        opened.wait_for_selector("body[data-state=live]")
        opened.wait_for_selector(".people li")
        yield opened


def sheet_of(page: Any, show: str) -> dict[str, Any]:
    """The cue sheet as the server has it."""
    with urllib.request.urlopen(f"{show}/api/sessions/{page.evaluate('flapClient.sessionId')}/cues") as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def names(page: Any) -> list[str]:
    shown: list[str] = page.eval_on_selector_all("[data-cue] span", "cues => cues.map((cue) => cue.textContent)")
    return shown


def put(address: str, body: dict[str, Any]) -> None:
    headers = {"Content-Type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(address, json.dumps(body).encode(), headers, method="PUT")).close()


def cues_become(page: Any, wanted: list[str]) -> None:
    page.wait_for_function(
        "wanted => Array.from(document.querySelectorAll('[data-cue] span'), (cue) => cue.textContent).join() === wanted.join()",
        arg=wanted,
    )


def test_a_cue_sheet_is_opened_from_a_file_edited_reordered_and_saved(page: Any, show: str, tmp_path: Path) -> None:
    (tmp_path / "monday.json").write_text(json.dumps(SHEET))
    page.set_input_files("#cue-open", tmp_path / "monday.json")
    cues_become(page, ["Say hello", "The price"])
    page.click("#cue-edit")
    page.click("[data-cue=hello]")
    page.fill("#cue-name", "Welcome")
    page.fill("#cue-key", "7")
    page.fill("#cue-at", "0:30.5")
    page.select_option("#cue-expression", "happy")
    page.fill("#cue-expression-s", "2.5")
    page.select_option("#cue-look", "chat")
    page.fill("#cue-text", "20 % off")
    page.click("#cue-keep")
    cues_become(page, ["Welcome", "The price"])
    page.click("li:has([data-cue=hello]) [data-word-label=move_down]")
    cues_become(page, ["The price", "Welcome"])
    edited = {
        "id": "hello", "name": "Welcome", "key": "7", "at_ms": 30500.0,
        "commands": [
            {"type": "gesture.play", "name": "greet", "amplitude": 1.5}, {"name": "happy", "type": "expression.set", "hold_ms": 2500},
            {"type": "look.at", "target": "chat"}, {"type": "overlay.set", "text": "20 % off"},
        ],
    }  # fmt: skip
    with page.expect_download() as saved:
        page.click("#cue-save")
    written = json.loads(Path(saved.value.path()).read_text())
    assert saved.value.suggested_filename == "Monday.json" and written == {**SHEET, "cues": [SHEET["cues"][1], edited]}
    assert [cue["id"] for cue in sheet_of(page, show)["cues"]] == ["price", "hello"]
    page.click("#cue-edit")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("7")
    page.wait_for_selector("[data-expression=happy][aria-pressed=true]")
    page.wait_for_selector("[data-look=chat][aria-pressed=true]")
    page.click("#neutral")


def test_cues_are_added_and_deleted_and_a_refused_one_stays_open_to_be_mended(page: Any, show: str) -> None:
    before = names(page)
    page.click("#cue-add")
    page.fill("#cue-name", "Close")
    page.click("dialog summary")
    page.fill("#cue-further", '[{"type": "cartwheel"}]')
    page.click("#cue-keep")
    page.wait_for_function("document.querySelector('dialog .outcome').textContent.includes('command 1')")
    outcome = "document.querySelector('dialog .outcome').textContent"
    page.fill("#cue-further", '{"type": "blink.now"}')
    page.click("#cue-keep")
    page.wait_for_function(f"{outcome}.includes('no JSON list')")
    page.fill("#cue-further", '[{"type": "blink.now"}]')
    page.fill("#cue-key", "0")
    page.click("#cue-keep")
    page.wait_for_function(f"{outcome}.includes('safety buttons')")
    page.fill("#cue-key", "")
    page.click("#cue-keep")
    cues_become(page, [*before, "Close"])
    assert sheet_of(page, show)["cues"][-1]["commands"] == [{"type": "blink.now"}]
    page.click("#cue-edit")
    page.click("li:last-child [data-word-label=delete]")
    cues_become(page, before)
    page.click("#cue-edit")


def test_a_cue_that_is_kept_as_it_was_opened_says_what_it_said(page: Any, show: str) -> None:
    """In its order, for "neutral" after an emotion would undo it; a text of two lines is one in the picture anyway."""
    session = page.evaluate("flapClient.sessionId")
    before = sheet_of(page, show)["cues"]
    commands = [
        {"type": "neutral"}, {"type": "look.at", "target": "product_left"}, {"type": "blink.now"},
        {"type": "expression.set", "name": "smile", "hold_ms": 1200}, {"type": "overlay.set", "text": "Today\n20 % off"},
        {"type": "presenter.set", "presenter": "bob"},
    ]  # fmt: skip
    put(
        f"{show}/api/sessions/{session}/cues",
        {"cues": [*before, {"id": "order", "name": "Order", "commands": commands}]},
    )
    page.click("#cue-edit")
    page.click("[data-cue=order]")
    assert page.inner_text("#cue-presenter option:checked") == "Bob", "people are called by their names"
    page.fill("#cue-name", "In order")
    page.click("#cue-keep")
    page.wait_for_function("document.querySelector('[data-cue=order]').textContent.includes('In order')")
    commands[4]["text"] = "Today 20 % off"
    assert sheet_of(page, show)["cues"][-1]["commands"] == commands
    page.click("[data-cue=order]")
    page.fill("#cue-further", '[{"type": "gesture.cancel"}]')
    page.click("#cue-keep")
    page.wait_for_selector("dialog", state="detached")
    types = [command["type"] for command in sheet_of(page, show)["cues"][-1]["commands"]]
    assert types == ["gesture.cancel", "look.at", "expression.set", "overlay.set", "presenter.set"]
    page.click("#cue-edit")
    put(f"{show}/api/sessions/{session}/cues", {"cues": before})
    page.wait_for_selector("[data-cue=order]", state="detached")


def test_two_operators_who_add_a_cue_at_once_both_keep_theirs(page: Any, show: str) -> None:
    before = sheet_of(page, show)["cues"]
    page.click("#cue-add")
    page.fill("#cue-name", "Mine")
    others = {"cues": [*before, {"id": f"cue-{len(before) + 1}", "name": "Theirs", "commands": []}]}
    put(f"{show}/api/sessions/{page.evaluate('flapClient.sessionId')}/cues", others)
    page.wait_for_selector(f"[data-cue=cue-{len(before) + 1}]")
    page.click("#cue-keep")
    cues_become(page, [*[cue.get("name") or cue["id"] for cue in before], "Theirs", "Mine"])


def test_a_file_that_is_no_cue_sheet_changes_nothing(page: Any, show: str, tmp_path: Path) -> None:
    before = sheet_of(page, show)
    (tmp_path / "wrong.json").write_text("{")
    page.set_input_files("#cue-open", tmp_path / "wrong.json")
    page.wait_for_function("document.getElementById('notice').textContent === 'This file is no cue sheet.'")
    (tmp_path / "wrong.json").write_text('{"cues": [{"id": "a", "commands": [{"type": "ping", "client_time_ms": 0}]}]}')
    page.set_input_files("#cue-open", tmp_path / "wrong.json")
    page.wait_for_function("document.getElementById('notice').textContent.includes('cannot be part of a cue')")
    assert sheet_of(page, show) == before


def test_a_gesture_that_was_recorded_here_gets_a_button_plays_and_is_deleted(page: Any) -> None:
    page.click("#record")
    page.fill("#record-name", "big yes")
    page.click("#record-start")
    page.wait_for_selector("#record.on")
    page.fill("#pitch", "15")
    page.wait_for_function("document.getElementById('pitch-value').textContent === '15°'")
    page.wait_for_timeout(1500)  # so that it plays for long enough to be seen on a busy machine
    page.click("#ahead")
    page.click("#record-keep")
    page.wait_for_selector("[data-gesture='big yes']")
    page.wait_for_selector("#record:not(.on)")
    page.click("[data-gesture='big yes']")
    page.wait_for_selector("[data-gesture='big yes'].playing")
    page.click("#record")
    page.once("dialog", lambda dialog: dialog.accept())
    page.click(".own [data-word-label=delete]")
    page.wait_for_selector("[data-gesture='big yes']", state="detached")
