"""The host's page when something breaks: the show stays on air, the host comes back to it, and Stop alone ends it."""

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.browser_probe import needs_chromium, serving, start, stop
from tests.operator_page import FAKE, TIME_PASSES, delete, fresh_page, sessions

pytestmark = [pytest.mark.timeout(240), needs_chromium]
BREAKABLE = """
  const Peer = window.RTCPeerConnection;
  let newest;
  window.RTCPeerConnection = class extends Peer { constructor(...given) { super(...given); newest = this; } };
  window.breakConnection = () => {
    Object.defineProperty(newest, "connectionState", { value: "failed", configurable: true });
    newest.dispatchEvent(new Event("connectionstatechange"));
  };
  window.mendConnection = () => {
    delete newest.connectionState;
    newest.dispatchEvent(new Event("connectionstatechange"));
  };
  window.sentTrack = () => newest.getSenders().find(({ track }) => track?.kind === "audio").track;
"""
SAYS = "(words) => document.getElementById('notice').textContent.includes(words)"
IS_LIVE = "document.body.dataset.state === 'live'"
IS_LIVE_AND_QUIET = "document.body.dataset.state === 'live' && document.getElementById('notice').hidden"
PUT_ON = """([session, presenter]) => {
  const channel = new WebSocket(`/api/sessions/${session}/control?protocol=1`);
  channel.addEventListener("open", () => channel.send(JSON.stringify({ type: "presenter.set", id: "1", presenter })));
}"""
IS_ON = "chosen => fetch('/api/sessions').then((answer) => answer.json()).then(([now]) => now.presenter === chosen)"
OF_ONE_SESSION = re.compile(r"/api/sessions/[\w-]+$")


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving([*FAKE, "--requests-per-minute=6000"], tmp_path_factory.mktemp("breaks") / "server.log") as address:
        yield address


@pytest.fixture
def page(browser: Any, show: str) -> Iterator[Any]:
    """The host's page, not started yet; its session is ended when the test is over."""
    with fresh_page(browser) as opened:
        opened.add_init_script(TIME_PASSES + BREAKABLE)
        yield opened
        for session in sessions(show):
            delete(show, session["id"])


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("speech") / "tone.wav"
    soundfile.write(path, 0.3 * np.sin(np.arange(60 * 16_000) / 6), 16_000, subtype="PCM_16")
    return path


def channels_of(page: Any) -> list[Any]:
    """The page's control channels, led through to the server, as it opens them."""
    channels: list[Any] = []

    def lead_through(channel: Any) -> None:
        channels.append(channel)
        channel.connect_to_server()

    page.route_web_socket(re.compile("/control"), lead_through)
    return channels


def refuse(status: int, code: str, message: str) -> Any:
    return lambda route: route.fulfill(status=status, json={"error": {"code": code, "message": message}})


def test_a_control_channel_that_breaks_is_opened_again_while_microphone_and_picture_go_on(page: Any, show: str) -> None:
    channels = channels_of(page)
    start(page, show)
    page.wait_for_selector("#smile:enabled, [data-expression=smile]:enabled")
    (before,) = sessions(show)
    page.evaluate("""() => {
      new MutationObserver(() => { window.said = (window.said ?? '') + document.getElementById('notice').textContent; })
        .observe(document.getElementById('notice'), { childList: true });
      document.getElementById('avatar').addEventListener('emptied', () => { window.torn = true; });
    }""")
    channels[0].close()
    page.wait_for_function("window.said?.includes('Commands cannot be sent')")
    page.wait_for_function(IS_LIVE_AND_QUIET)
    assert len(channels) == 2 and [session["id"] for session in sessions(show)] == [before["id"]]
    assert page.evaluate("flapClient.directs && window.torn === undefined")
    page.click("[data-expression=smile]")
    page.wait_for_selector("[data-expression=smile][aria-pressed=true]")


def test_a_host_whose_connection_breaks_comes_back_to_the_same_session_once_its_place_is_free(
    page: Any, show: str
) -> None:
    methods: list[str] = []
    page.on("request", lambda request: methods.append(request.method))
    start(page, show)
    (before,) = sessions(show)
    offers: list[dict[str, Any]] = []

    def refuse_twice(route: Any) -> None:
        offers.append(json.loads(route.request.post_data))
        if len(offers) <= 2:
            return refuse(409, "conflict", "this session has a host already")(route)
        route.continue_()

    page.route("**/offer", refuse_twice)
    page.evaluate("window.breakConnection()")
    page.wait_for_selector("body[data-state=reconnecting]")
    assert page.is_enabled("#stop") and page.evaluate(SAYS, "It is being made again")
    page.wait_for_function(IS_LIVE_AND_QUIET)
    assert len(offers) >= 3 and {offer["session_id"] for offer in offers} == {before["id"]}
    page.wait_for_function("document.getElementById('avatar').currentTime > 0.5")
    (now,) = sessions(show)
    assert now["id"] == before["id"] and now["host_connected"] and "DELETE" not in methods


@pytest.mark.parametrize("answers", [True, False], ids=["answered", "unanswered"])
def test_a_connection_that_comes_back_by_itself_is_not_made_anew(page: Any, show: str, answers: bool) -> None:
    start(page, show)
    offers: list[Any] = []
    page.on("request", lambda request: offers.append(request) if request.url.endswith("/offer") else None)
    asked: list[Any] = []
    page.route(OF_ONE_SESSION, lambda route: asked.append(route))
    page.evaluate("window.breakConnection()")
    page.wait_for_selector("body[data-state=reconnecting]")
    while not asked:
        page.wait_for_timeout(20)
    page.evaluate("window.mendConnection()")
    page.wait_for_function(IS_LIVE_AND_QUIET)
    page.evaluate("window.letTimePass(60_000)")
    asked[0].continue_() if answers else asked[0].abort()
    page.wait_for_timeout(500)
    assert page.evaluate(IS_LIVE) and offers == []
    assert not page.evaluate(SAYS, "interrupted")
    before = page.evaluate("document.getElementById('avatar').currentTime")
    page.wait_for_function("before => document.getElementById('avatar').currentTime > before + 0.2", arg=before)


def test_a_show_that_ended_meanwhile_is_said_to_have_ended(page: Any, show: str) -> None:
    start(page, show)
    page.route(OF_ONE_SESSION, refuse(404, "not_found", "no such session"))
    page.evaluate("window.breakConnection()")
    page.wait_for_selector("body[data-state=failed]")
    assert page.evaluate(SAYS, "The session has ended")
    page.unroute(OF_ONE_SESSION)
    page.click("#start")
    page.wait_for_selector("body[data-state=live]")
    assert len(sessions(show)) == 2, "the first one was not there any more, as the page knows"


def test_after_a_server_that_did_not_answer_start_goes_on_with_the_show(page: Any, show: str) -> None:
    start(page, show)
    (before,) = sessions(show)
    page.route("**/offer", lambda route: route.abort())
    page.evaluate("window.breakConnection()")
    page.wait_for_selector("body[data-state=reconnecting]")
    page.evaluate("window.letTimePass(60_000)")
    page.wait_for_selector("body[data-state=failed]")
    assert page.evaluate(SAYS, "The server is gone") and [session["id"] for session in sessions(show)] == [before["id"]]
    page.unroute("**/offer")
    page.locator(".card").nth(1).click()
    page.click("#start")
    page.wait_for_selector("body[data-state=live]")
    (now,) = sessions(show)
    assert now["id"] == before["id"]
    chosen = page.locator(".card").nth(1).get_attribute("data-presenter")
    page.wait_for_function(IS_ON, arg=chosen)


def test_a_presenter_whom_an_operator_put_on_air_meanwhile_stays_on_when_start_goes_on_with_the_show(
    page: Any, show: str
) -> None:
    start(page, show)
    page.wait_for_selector("[data-expression=smile]:enabled")
    page.route("**/offer", lambda route: route.abort())
    page.evaluate("window.breakConnection()")
    page.wait_for_selector("body[data-state=reconnecting]")
    page.evaluate("window.letTimePass(60_000)")
    page.wait_for_selector("body[data-state=failed]")
    other = page.get_attribute(".card[aria-checked=false]", "data-presenter")
    page.evaluate(PUT_ON, [page.evaluate("flapClient.sessionId"), other])
    page.wait_for_function(IS_ON, arg=other)
    page.unroute("**/offer")
    page.click("#start")
    page.wait_for_selector("body[data-state=live]")
    page.wait_for_selector(f".card[data-presenter={other}][aria-checked=true]")
    page.wait_for_timeout(500)
    assert page.evaluate(IS_ON, other)
    assert page.get_attribute(".card[aria-checked=true]", "data-presenter") == other


def test_a_file_that_is_spoken_can_still_be_stopped_after_a_break(page: Any, show: str, speech: Path) -> None:
    start(page, show)
    page.set_input_files("#file", speech)
    page.wait_for_selector("#hush", state="visible")
    page.evaluate("window.breakConnection()")
    page.wait_for_selector("body[data-state=reconnecting]")
    page.wait_for_function(IS_LIVE_AND_QUIET)
    page.click("#hush")
    page.wait_for_selector("#hush", state="hidden")
    page.set_input_files("#file", speech)
    page.wait_for_selector("#hush", state="visible")
    stop(page)
    page.wait_for_selector("#hush", state="hidden")


def test_a_file_that_is_being_sent_is_not_asked_for_again(page: Any, show: str, speech: Path) -> None:
    start(page, show)
    held: list[Any] = []
    page.route("**/audio", lambda route: held.append(route))
    page.set_input_files("#file", speech)
    page.wait_for_selector("#file:disabled", state="attached")
    assert page.inner_text(".file:has(#file)") == "Sending the file…"
    while not held:
        page.wait_for_timeout(50)
    held[0].continue_()
    page.wait_for_selector("#file:enabled", state="attached")
    assert page.inner_text(".file:has(#file)") == "Speak a file" and page.is_visible("#hush")


def test_a_show_ends_only_when_its_host_is_sure(page: Any, show: str) -> None:
    start(page, show)
    asked: list[str] = []

    def no(dialog: Any) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    page.once("dialog", no)
    page.click("#stop")
    page.wait_for_timeout(500)
    assert "all viewers" in asked[0] and page.evaluate("flapClient.state") == "live" and len(sessions(show)) == 1
    stop(page)
    page.wait_for_selector("body[data-state=idle]")
    assert sessions(show) == []


def test_a_file_that_began_or_ended_during_a_break_can_be_stopped_or_need_not_be(
    page: Any, show: str, speech: Path
) -> None:
    channels: list[Any] = []
    let_through = True

    def lead_through(channel: Any) -> None:
        channels.append(channel)
        if let_through:
            channel.connect_to_server()
        else:
            channel.close()

    page.route_web_socket(re.compile("/control"), lead_through)
    start(page, show)
    page.wait_for_selector("[data-expression=smile]:enabled")
    (session,) = sessions(show)
    audio = f"{show}/api/sessions/{session['id']}/audio"
    for method, body, state in (("POST", speech.read_bytes(), "visible"), ("DELETE", None, "hidden")):
        let_through = False
        channels[-1].close()
        page.wait_for_function(SAYS, arg="Commands cannot be sent")
        urllib.request.urlopen(urllib.request.Request(audio, body, method=method)).close()
        let_through = True
        page.wait_for_function(IS_LIVE_AND_QUIET)
        page.wait_for_selector("#hush", state=state)


HANDSHAKES_FAIL = """
  const Socket = window.WebSocket;
  window.handshakes = 0;
  window.WebSocket = class extends Socket {
    constructor(address) { super(window.handshakes++ < 2 ? String(address).replace("/control", "/nothing") : address); }
  };
"""


@pytest.mark.parametrize(
    ("why", "said"),
    [(None, "this page may not direct it"), (429, "Commands cannot be sent"), (403, "an operator directs this show")],
)
def test_a_control_channel_that_does_not_open_at_first_is_tried_again_unless_the_link_forbids_it(
    page: Any, show: str, why: int | None, said: str
) -> None:
    page.add_init_script(HANDSHAKES_FAIL)
    if why:
        page.route(re.compile("/control$"), refuse(why, "refused", "not now"))
    start(page, show)
    page.wait_for_function(SAYS, arg=said)
    if why == 403:
        page.wait_for_selector("#notice", state="hidden", timeout=12_000)
        assert page.evaluate("window.handshakes") == 1 and not page.evaluate("flapClient.directs")
    else:
        page.wait_for_function(IS_LIVE_AND_QUIET)
        assert page.evaluate("flapClient.directs && window.handshakes") == 3


def test_a_host_who_may_not_direct_is_told_of_the_end(page: Any, show: str) -> None:
    page.add_init_script(HANDSHAKES_FAIL)
    page.route(re.compile("/control$"), refuse(403, "forbidden", "not with this link"))
    start(page, show)
    page.wait_for_function(SAYS, arg="an operator directs this show")
    delete(show, sessions(show)[0]["id"])
    page.wait_for_selector("body[data-state=failed]", timeout=5000)
    assert "The session has ended" in page.inner_text("#notice") and page.is_hidden("#microphone")


def test_a_server_that_was_started_again_and_knows_nothing_of_the_show_is_believed_at_once(
    page: Any, show: str
) -> None:
    channels = channels_of(page)
    start(page, show)
    page.wait_for_selector("[data-expression=smile]:enabled")
    page.evaluate(f"() => {{ {HANDSHAKES_FAIL} }}")
    page.route(re.compile("/control$"), refuse(404, "not_found", "no such session"))
    channels[0].close()
    page.wait_for_selector("body[data-state=failed]", timeout=5000)
    assert "The session has ended" in page.inner_text("#notice") and page.is_hidden("#microphone")


def test_what_is_said_of_a_server_that_shuts_down_outlasts_refusals_and_breaks_until_the_show_is_stopped(
    page: Any, show: str, tmp_path: Path
) -> None:
    channels = channels_of(page)
    start(page, show)
    page.wait_for_selector("[data-expression=smile]:enabled")
    channels[0].send(json.dumps({"type": "draining", "ends_in_ms": 30_000}))
    page.wait_for_function(SAYS, arg="is shutting down")
    (tmp_path / "speech.wav").write_bytes(b"this is no sound")
    page.set_input_files("#file", tmp_path / "speech.wav")
    page.wait_for_function(f"!({SAYS})('is shutting down')")
    assert page.is_visible("#notice")
    page.wait_for_function(SAYS, arg="is shutting down")
    page.evaluate("window.breakConnection()")
    page.wait_for_function(SAYS, arg="It is being made again")
    assert page.evaluate(SAYS, "is shutting down")
    page.wait_for_selector("body[data-state=live]")
    assert page.is_visible("#notice") and page.evaluate(SAYS, "is shutting down")
    stop(page)
    page.wait_for_selector("#notice", state="hidden")


def test_on_a_phone_the_page_stays_as_it_is_while_the_connection_is_made_again(browser: Any, show: str) -> None:
    with fresh_page(browser, (360, 780)) as page:
        page.add_init_script(BREAKABLE)
        start(page, show)
        before = page.locator(".screen").bounding_box()
        page.route("**/offer", lambda route: route.abort())
        page.evaluate("window.breakConnection()")
        page.wait_for_selector("body[data-state=reconnecting]")
        assert page.locator(".screen").bounding_box() == before
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        for sticky in (".monitor", ".tabs"):
            assert page.eval_on_selector(sticky, "part => getComputedStyle(part).position") == "sticky"
        assert page.is_visible(".on-air")
        stop(page)
        page.wait_for_selector(".on-air", state="hidden")


def test_a_microphone_that_is_changed_while_the_connection_breaks_is_heard_and_the_one_before_is_let_go(
    page: Any, show: str
) -> None:
    start(page, show)
    page.wait_for_function("document.getElementById('microphones').options.length > 1")
    page.evaluate("""() => {
      window.before = window.sentTrack();
      RTCRtpSender.prototype.replaceTrack = () => new Promise((resolve, reject) => { window.refuse = reject; });
    }""")
    other = page.eval_on_selector("#microphones", "list => [...list.options].find((option) => !option.selected).value")
    page.select_option("#microphones", other)
    page.wait_for_function("window.refuse && window.before.readyState === 'ended'")
    page.evaluate("window.breakConnection()")
    page.wait_for_selector("body[data-state=reconnecting]")
    page.wait_for_function(IS_LIVE_AND_QUIET)
    page.evaluate("window.refuse(new DOMException('closed', 'InvalidStateError'))")
    page.wait_for_timeout(300)
    assert page.evaluate(IS_LIVE_AND_QUIET)
    assert page.evaluate("window.sentTrack().getSettings().deviceId") == other


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (refuse(403, "forbidden", "this token is for another session"), "this token is for another session"),
        (lambda route: route.abort(), "The server does not answer."),
    ],
    ids=["refused", "unreachable"],
)
def test_a_show_that_could_not_be_stopped_is_said_to_be_on_air_and_stop_may_be_pressed_again(
    page: Any, show: str, answer: Any, reason: str
) -> None:
    start(page, show)
    page.route(OF_ONE_SESSION, answer)
    stop(page)
    page.wait_for_selector("body[data-state=still_on_air]")
    said = page.inner_text("#notice")
    assert "still on air" in said and reason in said and page.is_visible(".on-air")
    assert page.is_visible("#stop") and page.is_enabled("#stop") and page.is_hidden("#start")
    assert len(sessions(show)) == 1 and page.is_hidden("#microphone")
    page.unroute(OF_ONE_SESSION)
    stop(page)
    page.wait_for_selector("body[data-state=idle]")
    assert sessions(show) == []


def waits_less(route: Any) -> None:
    """The page's style, which shows what to do when no program has done anything for a second instead of six."""
    answer = route.fetch()
    assert answer.text().count("unloaded 0s 6s") == 1
    route.fulfill(response=answer, body=answer.text().replace("unloaded 0s 6s", "unloaded 0s 1s"))


@pytest.mark.parametrize("path", ["/", "/operator"])
def test_a_page_whose_program_does_not_load_says_so(browser: Any, show: str, path: str) -> None:
    with fresh_page(browser) as page:
        page.goto(show + path)
        page.wait_for_function("document.querySelector('h1').textContent && !document.querySelector('.unloaded')")
        page.route("**/static/control.js", lambda route: route.abort())
        page.route("**/static/style.css", waits_less)
        page.goto(show + path)
        page.wait_for_selector(".unloaded", state="hidden")
        page.wait_for_selector(".unloaded", state="visible")
        assert "Reload it" in page.inner_text(".unloaded")
