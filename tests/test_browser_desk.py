"""The operator's page where networks and servers are in its way: commands need no picture, refusals are asked after ever more seldom."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser_probe import needs_chromium, serving, start, stop
from tests.operator_page import FAKE, fake_show, fresh_page, post, scripted_desk, sessions

pytestmark = [pytest.mark.timeout(240), needs_chromium]
LONGEST_MS = 30_000
USUAL_MS = 1500
# connections whose state a test plays; while `blocked` is true none of them comes about
NETWORK = """
  window.peers = [];
  const answered = RTCPeerConnection.prototype.setRemoteDescription;
  RTCPeerConnection.prototype.setRemoteDescription = function (answer) {
    window.peers.push(this);
    if (!window.blocked) return answered.call(this, answer);
    setTimeout(() => window.become(this, "failed"), 100);
  };
  window.become = (peer, state) => {
    Object.defineProperty(peer, "connectionState", { value: state, configurable: true });
    peer.dispatchEvent(new Event("connectionstatechange"));
  };
"""
# waits of a second and more are written down, and over at once
HURRY = """
  const wait = window.setTimeout;
  window.waits = [];
  window.setTimeout = (act, ms, ...rest) => {
    if (ms < 1000) return wait(act, ms, ...rest);
    window.waits.push(ms);
    return wait(act, 50, ...rest);
  };
"""
# the longer waits last a tenth of themselves
BRISK = """
  const wait = window.setTimeout;
  window.setTimeout = (act, ms, ...rest) => wait(act, ms < 3000 ? ms : ms / 10, ...rest);
"""
NO_CHANNEL = """
  window.WebSocket = class extends EventTarget {
    constructor() { super(); wait(() => this.dispatchEvent(new Event("close")), 20); }
    close() {}
  };
"""

# seconds last a fifth of one, and sockets stay open whatever a page does, as they do when a network has changed its route
STUCK = """
  const every = window.setInterval;
  window.setInterval = (act, ms, ...rest) => every(act, ms / 5, ...rest);
  window.cut = () => { WebSocket.prototype.close = function () { window.closings = (window.closings ?? 0) + 1; }; };
"""
# what a page allows the server for an answer is written down, and is over at once
IMPATIENT = """
  window.limits = [];
  const timeout = AbortSignal.timeout;
  AbortSignal.timeout = (ms) => { window.limits.push(ms); return timeout.call(AbortSignal, 100); };
"""
STATS = {
    "type": "stats", "frames_per_second": 25, "mic_to_frame_ms": {"p50": 300}, "delay_ms": 300, "late_frames": 0, "dropped_chunks": 0,
    "render_ms": 10, "viewers": 1,
}  # fmt: skip


def says(page: Any, sentence: str) -> None:
    page.wait_for_function("(text) => document.getElementById('waiting').textContent.includes(text)", arg=sentence)


def answer(status: int, sentence: str, **headers: str) -> Callable[[Any], None]:
    """What a refusing server does."""
    body = {"error": {"code": "refused", "message": sentence}}
    return lambda route: route.fulfill(status=status, json=body, headers=headers)


def test_a_desk_that_gets_no_picture_says_so_and_directs_until_it_gets_one(browser: Any, show: str) -> None:
    channels: list[str] = []
    with fresh_page(browser) as page:
        page.add_init_script(f"window.blocked = true; {NETWORK}")
        page.on("websocket", lambda socket: channels.append(socket.url))
        page.goto(f"{show}/operator?lang=en")
        says(page, "The picture cannot be shown here")
        for on in ("true", "false"):
            page.click("#mute")
            page.wait_for_selector(f"#mute[aria-pressed={on}]")
        page.click("[data-presenter=bob]")
        page.wait_for_selector("[data-presenter=bob][aria-checked=true]")
        page.click("[data-presenter=ada]")
        page.evaluate("window.blocked = false")
        page.wait_for_selector("body[data-state=live]")
        assert len(channels) == 1


def test_a_picture_that_the_server_refuses_is_explained_in_its_words_and_tried_for_again(
    browser: Any, show: str
) -> None:
    with fresh_page(browser) as page:
        page.route("**/whep", answer(503, "as many viewers as this session takes"))
        page.goto(f"{show}/operator?lang=en")
        says(page, "as many viewers as this session takes")
        assert page.inner_text("#state") == "No picture" and page.is_enabled("#neutral")
        page.unroute("**/whep")
        page.wait_for_selector("body[data-state=live]")


def test_a_passing_break_changes_nothing_and_a_lasting_one_is_mended_beside_the_channel(
    browser: Any, show: str
) -> None:
    with scripted_desk(browser, show, before=BRISK + NETWORK) as desk:
        page, channel = desk.page, desk.channel
        page.evaluate("become(peers[0], 'disconnected')")
        page.wait_for_timeout(200)
        assert page.get_attribute("body", "data-state") == "live" and page.is_enabled("#neutral")
        page.evaluate("become(peers[0], 'connected')")
        page.wait_for_timeout(1000)
        assert page.evaluate("peers.length") == 1
        page.evaluate("become(peers[0], 'disconnected')")
        page.wait_for_function("peers.length === 2")
        page.wait_for_selector("body[data-state=live]")
        page.evaluate("become(peers[1], 'failed')")
        page.wait_for_selector("body:not([data-state=live])")
        page.click("#neutral")
        assert desk.take_sent() == [{"type": "neutral"}]
        page.wait_for_selector("body[data-state=live]")
        assert desk.channel is channel


def test_a_channel_that_is_refused_again_and_again_is_tried_ever_more_seldom(browser: Any, show: str) -> None:
    with fresh_page(browser) as page:
        page.add_init_script(HURRY + NO_CHANNEL)
        page.route("**/control", answer(403, "not with this link"))
        page.goto(f"{show}/operator?lang=en")
        page.wait_for_function("waits.length >= 8")
        waits = page.evaluate("waits.slice(0, 8)")
        assert waits[0] <= 2 * USUAL_MS and all(LONGEST_MS / 2 <= ms <= LONGEST_MS for ms in waits[-2:])
        says(page, "may not direct")


def test_a_desk_that_may_not_direct_says_that_also_when_it_has_asked_too_often(browser: Any, show: str) -> None:
    with fresh_page(browser) as page:
        page.add_init_script(HURRY + NO_CHANNEL)
        page.route("**/control", answer(401, "no token"))
        page.goto(f"{show}/operator?lang=en")
        says(page, "may not direct")
        too_many = answer(429, "too many requests: try again in 40 s", **{"Retry-After": "40"})
        for path in ("**/control", "**/api/sessions"):
            page.route(path, too_many)
            page.evaluate("window.waits = []")
            page.wait_for_function("waits.some((ms) => ms >= 40_000)")
            says(page, "may not direct")


def test_a_show_that_has_not_begun_is_looked_for_at_the_usual_pace(browser: Any, tmp_path: Path) -> None:
    with serving(FAKE, tmp_path / "server.log") as address, fresh_page(browser) as page:
        page.add_init_script(HURRY)
        page.goto(f"{address}/operator?lang=en")
        page.wait_for_function("waits.length >= 6")
        assert set(page.evaluate("waits.slice(0, 6)")) == {USUAL_MS}


def test_another_session_is_gone_to_at_once_however_long_the_wait(browser: Any, show: str) -> None:
    with fresh_page(browser) as page:
        page.route("**/api/sessions", answer(429, "try again in 600 s", **{"Retry-After": "600"}))
        page.goto(f"{show}/operator?lang=en")
        says(page, "try again in 600 s")
        page.unroute("**/api/sessions")
        page.evaluate("flapClient.choose(null)")
        page.wait_for_selector("body[data-state=live]")


def test_a_channel_that_has_fallen_silent_is_opened_again_without_waiting_for_its_end(browser: Any, show: str) -> None:
    with scripted_desk(browser, show, before=STUCK) as desk:
        page, silent = desk.page, desk.channel
        page.wait_for_timeout(2000)
        assert desk.channel is silent and page.is_enabled("#neutral"), (
            "a session that reports nothing yet is no dead one"
        )
        desk.say(STATS)
        page.evaluate("cut()")
        page.wait_for_selector("#neutral:disabled")
        page.wait_for_selector("#neutral:enabled")
        assert desk.channel is not silent and page.evaluate("closings") >= 1
        desk.take_sent()
        page.click("#neutral")
        assert desk.take_sent() == [{"type": "neutral"}]


def test_a_channel_on_which_anything_is_heard_stays_open(browser: Any, show: str) -> None:
    with scripted_desk(browser, show, before=STUCK) as desk:
        channel = desk.channel
        desk.say(STATS)
        for _ in range(25):
            desk.state()
            desk.page.wait_for_timeout(100)
        assert desk.channel is channel and desk.page.is_enabled("#neutral")


def test_the_hosts_channel_that_has_fallen_silent_is_opened_again_while_the_show_goes_on(
    browser: Any, show: str
) -> None:
    channels: list[Any] = []
    dead: list[Any] = []

    def lead_through(channel: Any) -> None:
        server = channel.connect_to_server()
        channels.append(channel)
        server.on_message(lambda text: None if channel in dead else channel.send(text))
        channel.on_message(lambda text: None if channel in dead else server.send(text))

    with fresh_page(browser) as page:
        page.route_web_socket(re.compile("/control"), lead_through)
        start(page, show)
        page.wait_for_selector("#neutral:enabled")
        page.evaluate("document.getElementById('avatar').addEventListener('emptied', () => { window.torn = true; })")
        page.wait_for_timeout(2000)
        dead.append(channels[0])
        page.wait_for_function("document.getElementById('neutral').disabled")  # for a quarter of a second at least
        page.wait_for_selector("#neutral:enabled")
        page.click("#mute")
        page.wait_for_selector("#mute[aria-pressed=true]")
        assert len(channels) == 2 and page.evaluate("window.torn === undefined")
        stop(page)
        page.wait_for_selector("body[data-state=idle]")


@pytest.mark.parametrize(
    ("path", "stuck"), [("/operator", "/api/sessions"), ("/watch", "/api/sessions"), ("/operator", "/whep")]
)
def test_a_server_that_takes_a_request_and_never_answers_is_one_that_does_not_answer(
    browser: Any, show: str, path: str, stuck: str
) -> None:
    with fresh_page(browser) as page:
        page.add_init_script(IMPATIENT)
        page.route(f"**{stuck}", lambda route: None)
        page.goto(f"{show}{path}?lang=en")
        page.wait_for_function("document.body.innerText.includes('The server does not answer.')")
        assert 10_000 in page.evaluate("limits")
        page.unroute(f"**{stuck}")


def test_a_session_that_has_been_directed_is_gone_back_to_although_another_one_has_begun(
    browser: Any, tmp_path: Path
) -> None:
    with fake_show(tmp_path) as address, scripted_desk(browser, address) as desk:
        page = desk.page
        before = page.evaluate("flapClient.sessionId")
        post(address)
        desk.channel.close()
        page.wait_for_selector("#neutral:disabled")
        page.wait_for_selector("#neutral:enabled")
        assert page.evaluate("flapClient.sessionId") == before


def test_a_show_is_ended_from_the_desk_once_that_is_confirmed_and_a_refusal_is_said(
    browser: Any, tmp_path: Path
) -> None:
    confirms: list[bool] = [False, True, True]
    with fake_show(tmp_path) as address, fresh_page(browser) as page:
        page.on("dialog", lambda dialog: dialog.accept() if confirms.pop(0) else dialog.dismiss())
        page.goto(f"{address}/operator?lang=en")
        page.click("#end-show:enabled")
        assert len(confirms) == 2 and len(sessions(address)) == 1
        page.route(re.compile(r"/api/sessions/[\w-]+$"), answer(403, "this token is for another session"))
        page.click("#end-show")
        page.wait_for_function("document.getElementById('notice').textContent === 'this token is for another session'")
        page.unroute(re.compile(r"/api/sessions/[\w-]+$"))
        page.click("#end-show")
        page.wait_for_selector("body[data-state=waiting]")
        assert sessions(address) == [] and page.is_disabled("#end-show")


def test_a_desk_whose_show_has_no_host_says_so_at_the_top(browser: Any, tmp_path: Path) -> None:
    with fake_show(tmp_path) as address, scripted_desk(browser, address) as desk:
        page = desk.page
        assert page.is_hidden("#no-host")
        desk.state(host_connected=False)
        page.wait_for_selector("header #no-host", state="visible")
        assert page.inner_text("#no-host") == "no host"
        page.set_viewport_size({"width": 360, "height": 740})
        with_chip = page.locator("header").bounding_box()
        desk.state()
        page.wait_for_selector("#no-host", state="hidden")
        assert page.locator("header").bounding_box() == with_chip, "nothing below it jumps, on a phone either"
        desk.state(host_connected=False)
        page.wait_for_selector("#no-host", state="visible")
        desk.say({"type": "ended", "reason": "deleted"})
        page.wait_for_selector("#no-host", state="hidden")
