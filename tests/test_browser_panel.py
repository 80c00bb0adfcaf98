"""The operator's panel in real Chromium: every control sends what it says, and the page follows the server."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser_probe import needs_chromium
from tests.operator_page import CATALOG, Desk, scripted_desk

pytestmark = [pytest.mark.timeout(240), needs_chromium]
CLICKS: dict[str, dict[str, Any]] = {
    "#neutral": {"type": "neutral"},
    "#mute": {"type": "mute", "on": True},
    "#freeze": {"type": "freeze", "on": True},
    "#standby": {"type": "standby", "on": True},
    "[data-expression=happy]": {"type": "expression.set", "name": "happy", "intensity": 1, "hold_ms": 3000},
    "[data-expression=eyes_closed]": {"type": "expression.set", "name": "eyes_closed", "intensity": 1, "hold_ms": 3000},
    "#release": {"type": "expression.release"},
    "[data-gesture=nod]": {"type": "gesture.play", "name": "nod", "amplitude": 1, "speed": 1},
    "[data-gesture=laugh]": {"type": "gesture.play", "name": "laugh", "amplitude": 1, "speed": 1},
    "#gesture-cancel": {"type": "gesture.cancel"},
    "#left": {"type": "pose.set", "yaw_deg": -25},
    "#right": {"type": "pose.set", "yaw_deg": 25},
    "#ahead": {"type": "pose.release"},
    "#head-fix": {"type": "head.fix", "on": True},
    "[data-look=product_left]": {"type": "look.at", "target": "product_left"},
    "#blink": {"type": "blink.now"},
    "[data-style=calm]": {"type": "style.set", "name": "calm"},
    "#cue-go": {"type": "cue.go"},
    "#overlay-clear": {"type": "overlay.clear"},
    "#lock": {"type": "lock.take"},
    "[data-presenter=bob]": {"type": "presenter.set", "presenter": "bob"},
}
SLIDES: dict[str, tuple[float, dict[str, Any]]] = {
    "yaw": (20, {"type": "pose.set", "yaw_deg": 20, "ease_ms": 120}),
    "pitch": (-10, {"type": "pose.set", "pitch_deg": -10, "ease_ms": 120}),
    "roll": (8, {"type": "pose.set", "roll_deg": 8, "ease_ms": 120}),
    "zoom": (1.5, {"type": "pose.set", "zoom": 1.5, "ease_ms": 120}),
    "across": (0.1, {"type": "pose.set", "x": 0.1, "ease_ms": 120}),
    "along": (-0.1, {"type": "pose.set", "y": -0.1, "ease_ms": 120}),
    "blink-rate": (30, {"type": "blink.rate", "per_minute": 30}),
    "gain-jaw": (1.5, {"type": "style.set", "jaw": 1.5}),
    "gain-lips": (0.5, {"type": "style.set", "lips": 0.5}),
    "gain-brows": (0, {"type": "style.set", "brows": 0}),
    "gain-head": (2, {"type": "style.set", "head": 2}),
}
FACE = {
    "type": "face", "frame": 9, "pose": {"yaw_deg": 12.0, "pitch_deg": -5.0, "roll_deg": 3.0, "x": 0.0, "y": 0.0, "zoom": 1.0},
    "shapes": {"jawOpen": 0.5, "mouthSmileLeft": 0.25}, "gaze": {"yaw_deg": 0.0, "pitch_deg": 0.0},
}  # fmt: skip
CUES = [
    {"id": "hello", "name": "Say hello", "commands": []},
    {"id": "offer", "name": "The offer", "key": "7", "at_ms": 65000, "commands": []},
]
WATCHES_SLIDERS = """() => {
  window.movedMs = -1000;
  document.addEventListener("input", (event) => { if (event.target.type === "range") window.movedMs = performance.now(); });
}"""
FOLLOWS = "performance.now() - window.movedMs > 1550"  # a slider that was moved by hand has waited for its value to come back by then


@pytest.fixture(scope="module")
def opened(browser: Any, show: str) -> Iterator[Desk]:
    with scripted_desk(browser, show) as desk:
        desk.page.evaluate(WATCHES_SLIDERS)
        yield desk


@pytest.fixture
def desk(opened: Desk) -> Desk:
    """The page as it is when nothing has been asked for yet."""
    opened.page.wait_for_function(FOLLOWS)
    opened.say(CATALOG)
    opened.state()
    opened.take_sent()
    return opened


def pressed(desk: Desk, selector: str) -> bool:
    return bool(desk.page.get_attribute(selector, "aria-pressed") == "true")


def test_every_button_sends_the_command_that_it_names(desk: Desk) -> None:
    seen = {}
    for selector in CLICKS:
        desk.page.click(selector)
        seen[selector] = desk.take_sent()
    desk.page.uncheck("#head-fix")
    assert seen == {selector: [message] for selector, message in CLICKS.items()}


def test_every_slider_sends_its_value(desk: Desk) -> None:
    desk.page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    seen = {}
    for name, (value, _) in SLIDES.items():
        desk.page.fill(f"#{name}", str(value))
        seen[name] = desk.take_sent()
    assert seen == {name: [message] for name, (_, message) in SLIDES.items()}


def test_the_strength_and_the_stay_of_an_emotion_and_the_size_and_speed_of_a_gesture_go_with_it(desk: Desk) -> None:
    for name, value in (("intensity", 0.5), ("amplitude", 1.5), ("speed", 0.5)):
        desk.page.fill(f"#{name}", str(value))
    desk.page.check("#stay")
    desk.page.click("[data-expression=sad]")
    desk.page.click("[data-gesture=bow]")
    assert desk.take_sent() == [
        {"type": "expression.set", "name": "sad", "intensity": 0.5},
        {"type": "gesture.play", "name": "bow", "amplitude": 1.5, "speed": 0.5},
    ]
    for name in ("intensity", "amplitude", "speed"):
        desk.page.fill(f"#{name}", "1")
    desk.page.uncheck("#stay")


def test_a_text_goes_over_the_picture_and_its_letters_are_no_hot_keys(desk: Desk) -> None:
    desk.page.fill("#overlay-text", "")
    desk.page.type("#overlay-text", "mfn 0")
    desk.page.press("#overlay-text", "Enter")
    assert desk.take_sent() == [{"type": "overlay.set", "text": "mfn 0"}]


def test_every_key_does_what_its_cap_says(desk: Desk) -> None:
    rows = desk.page.evaluate("import('/static/controls.js').then((module) => module.CONTROLS)")
    desk.page.evaluate("document.activeElement.blur()")
    silent = []
    for row in rows:
        if not desk.page.query_selector(f'[data-control="{row["control"]}"]'):
            continue  # a gesture that the catalogue does not offer
        desk.page.keyboard.press(row["key"])
        sent = desk.take_sent()
        kind, _, name = row["control"].partition(":")
        expected = {
            "expression": "expression.set",
            "gesture": "gesture.play",
            "look": "look.at",
            "blink": "blink.now",
            "cue": "cue.go",
        }
        expected |= {"left": "pose.set", "right": "pose.set", "ahead": "pose.release"}
        named = not name or name in sent[0].values()
        if len(sent) != 1 or sent[0]["type"] != expected.get(kind, kind) or not named:
            silent.append((row, sent))
    assert len(rows) == len({row["key"] for row in rows}) and not silent


def test_the_panic_buttons_show_what_the_server_says_and_nothing_else(desk: Desk) -> None:
    desk.page.click("#mute")
    desk.take_sent()
    assert not pressed(desk, "#mute"), "it was only asked for"
    desk.state(muted=True, frozen=True, standby=True)
    desk.page.wait_for_selector("#standby[aria-pressed=true]")
    assert pressed(desk, "#mute") and pressed(desk, "#freeze")
    desk.page.click("#mute")
    assert desk.take_sent() == [{"type": "mute", "on": False}]


def test_sliders_and_pad_show_what_the_avatar_does_until_an_operator_asks_for_something_else(desk: Desk) -> None:
    desk.say(FACE)
    desk.page.wait_for_function("document.getElementById('yaw').value == 12")
    assert desk.page.input_value("#pitch") == "-5" and desk.page.inner_text("#roll-value") == "3°"
    assert desk.page.evaluate("document.querySelector('.ring').style.left") == "65%"
    assert "0.5" in desk.page.evaluate("document.querySelector('.meter i').style.transform")
    desk.state(pose={"yaw_deg": -30.0, "pitch_deg": None, "roll_deg": None}, blinks_per_minute=22.0)
    desk.page.wait_for_function("document.getElementById('yaw').value == -30")
    assert desk.page.input_value("#pitch") == "-5" and desk.page.input_value("#blink-rate") == "22"
    assert desk.page.inner_text("#yaw-value") == "12°", "the number is where the head is"


def test_emotion_gesture_look_style_and_presenter_are_marked_as_the_server_has_them(desk: Desk) -> None:
    desk.state(
        expression_name="sad", look="chat", presenter="bob", gestures=[{"id": "c1", "operator": "a", "name": "nod", "playing": True}],
        style={"name": "calm", "jaw": 0.5, "lips": 1.0, "brows": 1.0, "head": 1.0},
    )  # fmt: skip
    desk.page.wait_for_selector("[data-expression=sad][aria-pressed=true]")
    assert (
        pressed(desk, "[data-look=chat]")
        and pressed(desk, "[data-style=calm]")
        and not pressed(desk, "[data-expression=happy]")
    )
    assert desk.page.query_selector("[data-gesture=nod].playing") and desk.page.input_value("#gain-jaw") == "0.5"
    assert desk.page.get_attribute("[data-presenter=bob]", "aria-checked") == "true"
    desk.page.click("[data-expression=sad]")
    desk.page.click("[data-look=chat]")
    assert [message["type"] for message in desk.take_sent()] == ["expression.release", "look.release"]


def test_gestures_and_targets_of_the_users_own_get_buttons(desk: Desk) -> None:
    offered = [{"name": name, "duration_ms": 900.0, "custom": name == "big_wave"} for name in ("nod", "big_wave")]
    desk.say({**CATALOG, "gestures": offered})
    desk.state(targets={"camera": {"yaw_deg": 0, "pitch_deg": 0}, "teapot": {"yaw_deg": 9, "pitch_deg": 9}})
    desk.page.click("[data-gesture=big_wave]")
    desk.page.click("[data-look=teapot]")
    assert [message.get("name", message.get("target")) for message in desk.take_sent()] == ["big_wave", "teapot"]
    assert desk.page.inner_text("[data-gesture=big_wave]") == "big wave" and not desk.page.query_selector(
        "[data-gesture=bow]"
    )


def test_a_gesture_of_ones_own_is_deleted_by_its_name_and_only_when_one_is_sure(desk: Desk) -> None:
    deleted: list[str] = []

    def delete(route: Any) -> None:
        deleted.append(route.request.url.rsplit("/", 1)[-1])
        route.fulfill(status=204)

    desk.page.route("**/api/gestures/*", delete)
    desk.say({**CATALOG, "gestures": [{"name": "my nod", "duration_ms": 900.0, "custom": True}]})
    desk.page.click("#record")
    button = desk.page.get_by_role("button", name="Delete: my nod")
    desk.page.once("dialog", lambda dialog: dialog.dismiss())
    button.click()
    desk.page.once("dialog", lambda dialog: dialog.accept())
    button.click()
    desk.page.wait_for_timeout(300)
    assert deleted == ["my%20nod"]
    desk.page.click("#record")


def test_the_cue_sheet_is_stepped_through(desk: Desk) -> None:
    desk.say(
        {
            "type": "cues",
            "name": "show",
            "cues": CUES,
            "next": "offer",
            "last": "hello",
            "running": False,
            "clock_ms": 0.0,
        }
    )
    desk.page.wait_for_selector("[data-cue=offer][aria-current=true]")
    assert "1:05" in desk.page.inner_text("[data-cue=offer]")
    desk.page.evaluate("document.activeElement.blur()")
    desk.page.keyboard.press("Enter")
    desk.page.keyboard.press("7")
    desk.page.click("[data-cue=hello]")
    desk.page.click("[data-card=cues] .card-head button")
    assert desk.take_sent() == [
        {"type": "cue.go"}, {"type": "cue.go", "cue": "offer"}, {"type": "cue.select", "cue": "hello"}, {"type": "cue.run", "on": True},
    ]  # fmt: skip


def test_enter_does_the_marked_cue_after_a_click_and_presses_what_the_keyboard_has_gone_to(desk: Desk) -> None:
    desk.say(
        {"type": "cues", "name": "show", "cues": CUES, "next": "offer", "last": None, "running": False, "clock_ms": 0.0}
    )
    desk.page.click("[data-gesture=nod]")
    desk.take_sent()
    desk.page.keyboard.press("Enter")
    assert desk.take_sent() == [{"type": "cue.go"}]
    desk.page.focus("[data-gesture=nod]")
    desk.page.keyboard.press("Tab")
    desk.page.keyboard.press("Shift+Tab")
    desk.page.keyboard.press("Enter")
    assert [message["type"] for message in desk.take_sent()] == ["gesture.play"]


def test_no_cue_takes_a_panic_buttons_key(desk: Desk) -> None:
    cues = [{"id": "hello", "name": "Say hello", "key": "0", "commands": []}]
    desk.say(
        {"type": "cues", "name": "show", "cues": cues, "next": "hello", "last": None, "running": False, "clock_ms": 0.0}
    )
    desk.page.wait_for_selector("[data-cue=hello]")
    desk.page.evaluate("document.activeElement.blur()")
    desk.page.keyboard.press("0")
    assert desk.take_sent() == [{"type": "neutral"}]


def test_a_panic_button_that_is_on_can_be_read_under_the_pointer(desk: Desk) -> None:
    desk.state(muted=True)
    desk.page.wait_for_selector("#mute[aria-pressed=true]")
    colour = "(id) => getComputedStyle(document.querySelector(id)).backgroundColor"
    desk.page.hover("#mute")
    desk.page.wait_for_timeout(300)
    assert desk.page.evaluate(colour, "#mute") == "rgb(255, 182, 74)"


def test_a_face_from_elsewhere_is_mixed_in_and_calibrated_and_the_desk_says_when_it_is_lost(desk: Desk) -> None:
    desk.state(sources=[{"source": "webcam", "tracking": True, "groups": {"pose": 0.5}, "calibrated": True}])
    desk.page.wait_for_selector("[data-source=webcam] .lamp.on")
    assert "follows the face" in desk.page.inner_text("[data-source=webcam]")
    assert pressed(desk, "[data-source=webcam] [data-mix=pose]") and not pressed(desk, "[data-mix=lips]")
    desk.page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    desk.page.fill("#mix-webcam-jaw", "0.3")
    desk.take_sent()
    desk.page.click("[data-mix=lips]")
    desk.page.click("[data-mix=pose]")
    desk.page.click("#calibrate-webcam")
    assert desk.take_sent() == [
        {"type": "drive.mix", "source": "webcam", "groups": {"pose": 0.5, "jaw": 0.3, "lips": 1}},
        {"type": "drive.mix", "source": "webcam", "groups": {"pose": 0, "jaw": 0.3, "lips": 1}},
        {"type": "drive.calibrate", "source": "webcam"},
    ]  # fmt: skip
    desk.state(sources=[{"source": "webcam", "tracking": False, "groups": {"pose": 1}, "calibrated": True}])
    desk.page.wait_for_selector("[data-source=webcam] .lamp:not(.on)")
    assert "no face: speech moves all" in desk.page.inner_text("[data-source=webcam]")
    desk.state(sources=[])
    desk.page.wait_for_selector("[data-source=webcam]", state="hidden")


def test_scenes_of_obs_are_buttons_where_there_is_a_link(desk: Desk) -> None:
    assert desk.page.is_hidden("[data-card=scenes]")
    desk.state(obs_scenes=["Presenter", "Product close-up"], obs_scene="Presenter")
    desk.page.wait_for_selector("[data-scene=Presenter][aria-pressed=true]")
    desk.page.click("[data-scene='Product close-up']")
    assert desk.take_sent() == [{"type": "obs.scene", "name": "Product close-up"}]
    assert pressed(desk, "[data-scene=Presenter]"), "OBS says when it has changed"


def test_a_gesture_is_recorded_named_and_kept_or_dropped(desk: Desk) -> None:
    desk.page.click("#record")
    desk.page.fill("#record-name", "big yes")
    desk.page.click("#record-start")
    assert desk.take_sent() == [{"type": "gesture.record", "on": True}]
    desk.state(recording_gesture=True)
    desk.page.wait_for_selector("#record.on")
    desk.page.wait_for_function("document.querySelector('.clock').textContent === '1 / 20 s'")
    desk.page.click("#record-keep")
    desk.page.click("#record-drop")
    assert desk.take_sent() == [
        {"type": "gesture.record", "on": False, "name": "big yes"},
        {"type": "gesture.record", "on": False},
    ]
    desk.state()
    desk.page.wait_for_selector("#record-name", state="hidden")


def test_what_is_wrong_with_a_gesture_file_is_said(desk: Desk) -> None:
    desk.say({**CATALOG, "problems": ["wave.json: duration_s must be at least 0.1"]})
    desk.page.wait_for_selector(".problems li")
    assert "wave.json" in desk.page.inner_text(".problems")
    desk.page.click("#record")


def test_whoever_has_the_lock_is_shown_and_can_give_it_back(desk: Desk) -> None:
    desk.say({"type": "hello", "protocol": 1, "operator": "me", "session": "s"})
    desk.state(operators=[{"id": "me", "name": "Lin"}, {"id": "you", "name": "Tom"}], lock="me")
    desk.page.wait_for_selector("#lock[aria-pressed=true]")
    assert "Lin" in desk.page.inner_text(".people .holder")
    desk.page.click("#lock")
    assert desk.take_sent() == [{"type": "lock.release"}]


def test_what_the_server_cannot_do_is_said_politely_and_marked(desk: Desk) -> None:
    desk.page.click("#standby")
    desk.take_sent()
    desk.say(
        {"type": "error", "id": desk.last_id, "code": "not_supported", "message": "this server does not do standby yet"}
    )
    desk.page.wait_for_selector("#standby.missing")
    assert "cannot do that yet" in desk.page.inner_text("#notice") and not pressed(desk, "#standby")


def test_a_session_is_published_and_the_panel_follows_how_that_goes(desk: Desk) -> None:
    outputs: list[dict[str, Any]] = []
    orders: list[dict[str, Any]] = []

    def answer(route: Any) -> None:
        if route.request.method == "POST":
            orders.append(route.request.post_data_json)
            outputs.append(
                {"id": f"o{len(orders)}", "kind": "rtmp", "target": "rtmps://live.example.com/...", "state": "starting"}
            )
            return route.fulfill(status=201, json=outputs[-1])
        if route.request.method == "DELETE":
            outputs[:] = [output for output in outputs if not route.request.url.endswith(output["id"])]
            return route.fulfill(status=204)
        route.fulfill(json=outputs)

    desk.page.route("**/outputs*", answer)
    desk.page.route("**/outputs/*", answer)
    desk.page.click("#publish")
    desk.page.fill("#publish-url", "rtmps://live.example.com/app/")
    desk.page.fill("#publish-key", "sk_1")
    desk.page.click("#publish-start")
    desk.page.wait_for_selector(".outputs li[data-state=starting]")
    assert desk.page.is_hidden("#publish-url") and desk.page.input_value("#publish-key") == ""
    outputs[0]["state"] = "live"
    desk.say({"type": "stats", "fps": 25})
    desk.page.wait_for_selector(".outputs li[data-state=live]")
    assert desk.page.inner_text(".outputs li") == "rtmps://live.example.com/...\nlive"
    desk.page.click("#publish")
    desk.page.click("#publish-whip")
    desk.page.fill("#publish-url", "https://sfu.example.com/whip")
    desk.page.fill("#publish-key", "token")
    desk.page.press("#publish-key", "Enter")
    desk.page.wait_for_selector(".outputs li:nth-child(2)")
    assert orders == [
        {"kind": "rtmp", "url": "rtmps://live.example.com/app/sk_1"},
        {"kind": "whip", "url": "https://sfu.example.com/whip", "token": "token"},
    ]
    outputs[1] |= {"state": "failed", "detail": "the server answered 401 Unauthorized"}
    desk.say({"type": "stats", "fps": 25})
    desk.page.wait_for_selector(".outputs li[data-state=failed]")
    assert "answered 401" in desk.page.inner_text("#notice")
    desk.page.click(".outputs li[data-state=failed] button")
    desk.page.wait_for_selector(".outputs li[data-state=failed]", state="detached")
    desk.page.click(".outputs li button")
    desk.page.wait_for_selector(".outputs li", state="detached")
    assert not outputs
    desk.page.unroute("**/outputs*")
    desk.page.unroute("**/outputs/*")


def test_where_the_server_may_not_publish_is_said_in_its_words(desk: Desk) -> None:
    desk.page.click("#publish")
    desk.page.click("#publish-rtmp")
    desk.page.fill("#publish-url", "rtmp://live.example.com/app")
    desk.page.click("#publish-start")
    desk.page.wait_for_function("document.getElementById('notice').innerText.includes('--publish-to live.example.com')")
    desk.page.click("#publish")


def test_the_control_channels_end_is_no_dead_end(desk: Desk) -> None:
    desk.say({"type": "ended", "reason": "deleted"})
    desk.channel.close()
    desk.page.wait_for_selector("body:not([data-state=live])")
    assert desk.page.is_disabled("#neutral")
    desk.page.wait_for_selector("body[data-state=live]")  # it comes back by itself
