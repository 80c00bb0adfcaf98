"""The host's page in real Chromium: its microphone, starting, stopping in between, and what it says when something is missing."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.browser_probe import CHROMIUM_FLAGS, chromium_page, needs_chromium, serving, start, stop
from tests.operator_page import FAKE

pytestmark = [pytest.mark.timeout(600), needs_chromium]


def test_a_refused_microphone_a_second_start_and_a_gone_server_are_explained(tmp_path: Path) -> None:
    refusing = tuple(f for f in CHROMIUM_FLAGS if not f.startswith("--use-fake-ui")) + ("--deny-permission-prompts",)
    with serving(FAKE, tmp_path / "server.log") as address, chromium_page(None, flags=refusing) as page:
        page.goto(address)
        page.click(".card")
        page.click("#start")
        page.wait_for_selector("body[data-state=failed]")
        assert "microphone was refused" in page.inner_text("#notice")
        assert page.is_enabled("#start")
    with chromium_page(None) as page:
        with serving(FAKE, tmp_path / "server.log") as address:
            start(page, address)
            assert page.is_disabled("#start")
            page.evaluate("flapClient.start('bob')")
            assert page.evaluate("flapClient.state") == "live"
            page.wait_for_function("document.getElementById('viewers').textContent === '1'")  # it hears the server
        page.wait_for_selector("body[data-state=failed]")
        assert page.inner_text("#notice").strip()
        assert page.is_enabled("#start")


def test_a_browser_without_microphones_or_webrtc_is_told_which_it_is(tmp_path: Path) -> None:
    """WebKit calls a machine without a microphone overconstrained."""
    none = "navigator.mediaDevices.getUserMedia = async () => { throw new OverconstrainedError('', 'Invalid constraint'); };"
    for before, sentence in ((none, "No microphone was found"), ("delete window.RTCPeerConnection;", "has no WebRTC")):
        with serving(FAKE, tmp_path / "server.log") as address, chromium_page(None) as page:
            page.add_init_script(before)
            page.goto(f"{address}/?lang=en")
            page.click(".card")
            page.click("#start")
            page.wait_for_selector("body[data-state=failed]")
            assert sentence in page.inner_text("#notice")
            assert page.evaluate("fetch('/api/sessions').then((answer) => answer.json())") == []


def test_the_card_the_picture_and_who_goes_on_air_are_one_when_the_chosen_presenter_is_removed(tmp_path: Path) -> None:
    people = [
        {"id": name, "name": name.title(), "thumbnail_url": f"/api/presenters/{name}/thumbnail", "added": name == "bob"}
        for name in ("ada", "bob")
    ]

    def remove(route: Any) -> None:
        people.pop()
        route.fulfill(status=204)

    with serving(FAKE, tmp_path / "server.log") as address, chromium_page(None) as page:
        page.route("**/api/presenters", lambda route: route.fulfill(json=people))
        page.route(re.compile("/api/presenters/bob$"), remove)
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto(address)
        page.click("[data-presenter=bob]")
        assert page.get_attribute("#placeholder", "alt") == "Bob"
        page.click("#add-presenter")
        page.click("dialog .own button")
        page.wait_for_selector("[data-presenter=ada][aria-checked=true]")
        assert page.get_attribute("#placeholder", "alt") == "Ada"


def test_after_a_show_the_picture_is_of_the_presenter_who_was_on_last(tmp_path: Path) -> None:
    with serving(FAKE, tmp_path / "server.log") as address, chromium_page(None) as page:
        page.goto(address)
        page.click("[data-presenter=ada]")
        page.click("#start")
        page.wait_for_selector("body[data-state=live]")
        page.click("[data-presenter=bob]:enabled")
        page.wait_for_selector("[data-presenter=bob][aria-checked=true]")
        stop(page)
        page.wait_for_selector("body[data-state=idle]")
        assert page.get_attribute("#placeholder", "alt") == page.inner_text("[data-presenter=bob]")


SLOW_MICROPHONE = """
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  window.opened = [];
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    if (window.slow !== false) await new Promise((resolve) => { window.allow = resolve; });
    const stream = await open(wanted);
    window.opened.push(...stream.getTracks());
    return stream;
  };
  const ask = window.fetch;
  window.fetch = async (path, options) => {
    if (path === "/api/sessions" && options?.method === "POST") await new Promise((resolve) => { window.make = resolve; });
    return ask(path, options);
  };
"""
LET_GO = "window.opened.length > 0 && window.opened.every((track) => track.readyState === 'ended')"


def test_what_is_stopped_while_it_starts_stays_stopped(tmp_path: Path) -> None:
    with serving(FAKE, tmp_path / "server.log") as address, chromium_page(None) as page:
        page.add_init_script(SLOW_MICROPHONE)
        page.goto(address)
        page.click(".card")
        page.click("#start")
        page.wait_for_function("Boolean(window.allow)")
        assert page.is_disabled("[data-presenter=bob]"), "who goes on air is settled"
        stop(page)
        page.evaluate("window.allow()")
        page.wait_for_function(LET_GO)
        page.wait_for_timeout(500)
        assert page.evaluate("flapClient.state") == "idle" and page.is_hidden("#microphone")
        page.evaluate("() => { window.slow = false; }")
        page.click("#start")
        page.wait_for_function("Boolean(window.make)")
        stop(page)
        page.evaluate("window.make()")
        page.wait_for_function(LET_GO)
        # the session that was made meanwhile is ended too
        page.wait_for_function("fetch('/api/sessions').then((answer) => answer.json()).then((all) => all.length === 0)")
        assert page.evaluate("flapClient.state") == "idle"


def test_a_show_that_was_made_after_stop_and_could_not_be_ended_is_ended_by_the_next_stop(tmp_path: Path) -> None:
    with serving(FAKE, tmp_path / "server.log") as address, chromium_page(None) as page:
        page.add_init_script(SLOW_MICROPHONE)
        page.goto(address)
        page.click(".card")
        page.evaluate("() => { window.slow = false; }")
        page.click("#start")
        page.wait_for_function("Boolean(window.make)")
        stop(page)
        refusal = {"error": {"code": "too_many", "message": "later"}}
        page.route("**/api/sessions/*", lambda route: route.fulfill(status=429, json=refusal))
        page.evaluate("window.make()")
        page.wait_for_selector("body[data-state=still_on_air]")
        page.unroute("**/api/sessions/*")
        stop(page)
        page.wait_for_function("fetch('/api/sessions').then((answer) => answer.json()).then((all) => all.length === 0)")


def test_a_microphone_that_is_chosen_while_the_page_starts_is_the_one_that_is_heard(tmp_path: Path) -> None:
    with (
        serving(FAKE, tmp_path / "server.log") as address,
        chromium_page(write_tone(tmp_path / "tone.wav", 0.3)) as page,
    ):
        page.add_init_script("window.slow = false;" + SLOW_MICROPHONE)
        page.goto(address)
        page.click(".card")
        page.click("#start")
        page.wait_for_function("Boolean(window.make)")
        page.wait_for_function("document.getElementById('microphones').options.length > 1")
        other = page.eval_on_selector(
            "#microphones", "list => [...list.options].find((option) => !option.selected).value"
        )
        page.select_option("#microphones", other)
        page.wait_for_function("window.opened.length === 2 && window.opened[0].readyState === 'ended'")
        page.evaluate("window.make()")
        page.wait_for_selector("body[data-state=live]")
        page.wait_for_function(HEARD)


def test_a_page_whose_control_channel_is_kept_back_says_that_it_cannot_direct(tmp_path: Path) -> None:
    with serving(FAKE, tmp_path / "server.log") as address, chromium_page(None) as page:
        page.add_init_script(
            "window.WebSocket = class extends EventTarget { constructor() { super();"
            " setTimeout(() => this.dispatchEvent(new Event('close')), 20); } close() {} };"
        )
        start(page, address)
        page.wait_for_function("document.getElementById('notice').textContent.includes('may not direct')")
        assert page.evaluate("flapClient.state") == "live" and not page.evaluate("flapClient.directs")
        assert page.locator("[data-presenter]:disabled").count() == page.locator("[data-presenter]").count() > 1
        stop(page)
        page.wait_for_selector("[data-presenter]:enabled")


def write_tone(path: Path, loudness: float) -> Path:
    times = np.arange(120 * 16_000) / 16_000
    soundfile.write(path, loudness * np.sin(2 * np.pi * 440 * times), 16_000, subtype="PCM_16")
    return path


HEARD = "Number(document.querySelector('#level i').style.transform.slice(7, -1)) > 0.5"


def test_the_page_shows_that_the_microphone_hears_and_changes_to_another_one(tmp_path: Path) -> None:
    tone = write_tone(tmp_path / "tone.wav", 0.3)
    with serving(FAKE, tmp_path / "server.log") as address, chromium_page(tone) as page:
        start(page, address)
        page.wait_for_function(HEARD)
        assert page.is_hidden("#start") and page.is_hidden("#invitation")
        page.wait_for_selector("#placeholder", state="hidden")
        page.evaluate("""() => {
          const replace = RTCRtpSender.prototype.replaceTrack;
          RTCRtpSender.prototype.replaceTrack = function (track) { window.replaced = track; return replace.call(this, track); };
        }""")
        other = page.eval_on_selector(
            "#microphones", "list => [...list.options].find((option) => !option.selected).value"
        )
        page.select_option("#microphones", other)
        page.wait_for_function("(id) => window.replaced?.getSettings().deviceId === id", arg=other)
        page.wait_for_function(HEARD)
        stop(page)
        page.wait_for_selector("#start")
        assert page.is_hidden("#microphone") and page.is_visible("#invitation")
        assert page.evaluate("window.replaced.readyState") == "ended", "nothing listens when the show is over"


def test_a_silent_microphone_is_mentioned(tmp_path: Path) -> None:
    silence = write_tone(tmp_path / "silence.wav", 0.0)
    with serving(FAKE, tmp_path / "server.log") as address, chromium_page(silence) as page:
        start(page, address)
        page.wait_for_function("document.getElementById('notice').textContent.includes('Nothing is heard')")
