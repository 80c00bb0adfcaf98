"""The host's microphone is unplugged, plugged in again, or used by another program, in the middle of a show."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser_probe import needs_chromium, serving, start, stop
from tests.operator_page import FAKE, fresh_page

pytestmark = [pytest.mark.timeout(240), needs_chromium]
PLUGS = """
  window.permission = new EventTarget();
  navigator.permissions.query = async () => window.permission;
  const media = navigator.mediaDevices;
  const [open, list] = [media.getUserMedia.bind(media), media.enumerateDevices.bind(media)];
  let gone = [];
  window.opened = [];
  media.enumerateDevices = async () => (await list()).filter(({ deviceId }) => !gone.includes(deviceId));
  media.getUserMedia = async (wanted) => {
    if (window.failure) throw new DOMException("fails", window.failure);
    if (!(await media.enumerateDevices()).some(({ kind }) => kind === "audioinput")) throw new DOMException("none", "NotFoundError");
    const [id, busy] = [wanted.audio.deviceId?.exact, window.busy ?? []];
    if (gone.includes(id)) throw new OverconstrainedError("deviceId");
    if (busy.includes(id) || (!id && busy.length)) throw new DOMException("busy", "NotReadableError");
    const stream = await open(wanted);
    window.opened.push(...stream.getTracks());
    return stream;
  };
  window.unplug = async (what) => {
    gone = what === "all" ? (await list()).map(({ deviceId }) => deviceId) : [window.opened.at(-1).getSettings().deviceId];
    window.opened.at(-1).stop();
    window.opened.at(-1).dispatchEvent(new Event("ended"));
    media.dispatchEvent(new Event("devicechange"));
  };
  window.plugIn = () => {
    gone = [];
    media.dispatchEvent(new Event("devicechange"));
  };
"""
STATISTICS = """
  window.loudness = 0;
  let [energy, seconds] = [0, 0];
  RTCRtpSender.prototype.getStats = async () => {
    [energy, seconds] = [energy + 0.2 * window.loudness, seconds + 0.2];
    const told = window.isTold === false ? {} : { totalAudioEnergy: energy, totalSamplesDuration: seconds };
    return new Map([["source", { type: "media-source", kind: "audio", ...told }]]);
  };
  const now = performance.now.bind(performance);
  let later = 0;
  performance.now = () => now() + later;
  window.letTimePass = (ms) => { later += ms; };
"""
# what is shown for a moment is shown for a tenth of it
BRIEF = """
  const wait = window.setTimeout;
  window.setTimeout = (act, ms, ...rest) => wait(act, String(act).includes("#return") ? 500 : ms, ...rest);
"""
FLASH_MS = 800  # it is gone by then
SAYS = "(words) => document.getElementById('notice').textContent.includes(words)"
IS_HEARD = "(id) => window.opened.at(-1).getSettings().deviceId === id && window.opened.at(-1).readyState === 'live'"
STANDS_CHOSEN = "(id) => document.getElementById('microphones').value === id"


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(FAKE, tmp_path_factory.mktemp("microphone") / "server.log") as address:
        yield address


@pytest.fixture
def page(browser: Any, show: str) -> Iterator[Any]:
    """The host's page with a show on air."""
    with fresh_page(browser) as opened:
        opened.add_init_script(BRIEF + PLUGS)
        start(opened, show)
        opened.wait_for_function("document.getElementById('microphones').options.length > 1")
        yield opened
        stop(opened)
        opened.wait_for_selector("body[data-state=idle]")


def other_microphone(page: Any) -> str:
    """The id of one that is not heard now."""
    found: str = page.eval_on_selector(
        "#microphones", "list => [...list.options].find((option) => !option.selected).value"
    )
    return found


def test_a_microphone_that_is_plugged_in_again_is_heard_again_and_can_be_chosen(page: Any) -> None:
    chosen = other_microphone(page)
    page.select_option("#microphones", chosen)
    page.wait_for_function(IS_HEARD, arg=chosen)
    page.evaluate("window.unplug('all')")
    page.wait_for_function(SAYS, arg="The microphone is gone")
    page.wait_for_selector("#microphones", state="hidden")
    page.evaluate("window.plugIn()")
    page.wait_for_function(IS_HEARD, arg=chosen)
    page.wait_for_function(STANDS_CHOSEN, arg=chosen)
    assert page.is_visible("#microphones") and page.is_visible("#microphone")
    another = other_microphone(page)
    page.select_option("#microphones", another)
    page.wait_for_function(IS_HEARD, arg=another)


def test_another_microphone_takes_the_place_of_one_that_is_gone_and_the_page_says_which(page: Any) -> None:
    chosen = other_microphone(page)
    page.select_option("#microphones", chosen)
    page.wait_for_function(IS_HEARD, arg=chosen)
    page.evaluate("window.unplug('this one')")
    page.wait_for_function("window.opened.at(-1).readyState === 'live'")
    page.wait_for_function(
        "document.getElementById('notice').textContent === `The microphone was gone. Now ${window.opened.at(-1).label} is heard.`"
    )
    page.evaluate("window.plugIn()")
    page.wait_for_function(
        "(id) => [...document.getElementById('microphones').options].some(({ value }) => value === id)", arg=chosen
    )
    page.select_option("#microphones", chosen)
    page.wait_for_function(IS_HEARD, arg=chosen)


def test_a_microphone_that_another_program_uses_leaves_the_one_before_on_and_is_not_said_to_need_start(
    page: Any,
) -> None:
    before = page.evaluate("window.opened.at(-1).getSettings().deviceId")
    busy = other_microphone(page)
    page.evaluate("window.failure = 'NotReadableError'")
    page.select_option("#microphones", busy)
    page.wait_for_function(SAYS, arg="choose it again")
    assert not page.evaluate(SAYS, "Start")
    page.wait_for_function(STANDS_CHOSEN, arg=before)
    assert page.evaluate(IS_HEARD, before)
    page.evaluate("window.failure = null")
    page.select_option("#microphones", busy)
    page.wait_for_function(IS_HEARD, arg=busy)


def test_a_microphone_that_could_not_be_opened_does_not_keep_the_next_start_from_the_one_before(page: Any) -> None:
    chosen = other_microphone(page)
    page.select_option("#microphones", chosen)
    page.wait_for_function(IS_HEARD, arg=chosen)
    busy = other_microphone(page)
    page.evaluate("busy => { window.busy = [busy]; }", busy)
    page.select_option("#microphones", busy)
    page.wait_for_function(SAYS, arg="choose it again")
    start_again(page)
    assert page.evaluate(IS_HEARD, chosen)


def test_another_microphone_is_heard_where_the_chosen_one_and_the_usual_one_are_in_use(page: Any) -> None:
    chosen = other_microphone(page)
    page.select_option("#microphones", chosen)
    page.wait_for_function(IS_HEARD, arg=chosen)
    page.evaluate("chosen => { window.busy = ['default', chosen]; }", chosen)
    start_again(page)
    heard = page.evaluate("window.opened.at(-1).getSettings().deviceId")
    assert heard not in ("default", chosen)
    page.evaluate("chosen => { window.busy = [chosen]; window.unplug('this one'); }", chosen)
    page.wait_for_function(SAYS, arg="Now ")
    page.wait_for_function(IS_HEARD, arg="default")


@pytest.mark.parametrize("given_again", ["pressed", "told"])
def test_a_microphone_that_is_forbidden_during_a_show_is_asked_for_again_and_the_show_goes_on(
    page: Any, given_again: str
) -> None:
    session = page.evaluate("flapClient.sessionId")
    page.evaluate("window.failure = 'NotAllowedError'; window.unplug('this one')")
    page.wait_for_function(SAYS, arg="no longer lets this page use the microphone")
    page.click("#microphone-again")
    page.wait_for_timeout(FLASH_MS)
    assert page.evaluate(SAYS, "no longer lets this page use the microphone") and page.is_visible("#microphone-again")
    assert page.evaluate("document.querySelector('#level i').style.transform") == "scaleX(0)"
    page.evaluate("window.failure = null")
    if given_again == "pressed":
        page.click("#microphone-again")
    else:
        page.evaluate("window.permission.dispatchEvent(new Event('change'))")
    page.wait_for_function("window.opened.at(-1).readyState === 'live'")
    page.wait_for_selector("#microphone-again", state="hidden")
    page.wait_for_selector("#notice", state="hidden")
    assert page.evaluate("[flapClient.state, flapClient.sessionId]") == ["live", session]


def test_a_microphone_that_is_gone_when_the_show_is_stopped_is_mentioned_no_longer(browser: Any, show: str) -> None:
    with fresh_page(browser) as page:
        page.add_init_script(PLUGS)
        start(page, show)
        page.evaluate("window.unplug('all')")
        page.wait_for_function(SAYS, arg="The microphone is gone")
        stop(page)
        page.wait_for_selector("#notice", state="hidden")


def test_silence_is_said_until_something_is_heard_and_a_pause_of_speech_is_no_silence(browser: Any, show: str) -> None:
    with fresh_page(browser) as page:
        page.add_init_script(BRIEF + STATISTICS)
        start(page, show)
        page.evaluate("window.letTimePass(9000)")
        page.wait_for_function(SAYS, arg="Nothing is heard")
        page.wait_for_timeout(FLASH_MS)
        assert page.evaluate(SAYS, "Nothing is heard")
        page.evaluate("window.loudness = 0.1")
        page.wait_for_selector("#notice", state="hidden")
        page.evaluate("window.loudness = 0")
        page.wait_for_timeout(500)
        page.evaluate("window.letTimePass(9000)")
        page.wait_for_timeout(500)
        assert page.is_hidden("#notice")
        page.evaluate("window.letTimePass(30_000)")
        page.wait_for_function(SAYS, arg="Nothing is heard")
        page.wait_for_timeout(FLASH_MS)
        assert page.is_hidden("#notice"), "who only listens for a while is told once"
        stop(page)
        page.wait_for_selector("body[data-state=idle]")


def test_a_browser_that_does_not_tell_what_it_hears_shows_no_level_and_is_not_said_to_be_silent(
    browser: Any, show: str
) -> None:
    with fresh_page(browser) as page:
        page.add_init_script(STATISTICS + "window.isTold = false;")
        start(page, show)
        page.wait_for_selector("#level", state="hidden")
        page.evaluate("window.letTimePass(60_000)")
        page.wait_for_timeout(1000)
        assert page.is_hidden("#notice") and page.is_visible("#microphone")
        stop(page)
        page.wait_for_selector("body[data-state=idle]")


def test_what_one_keeps_on_the_page_does_not_take_away_what_another_keeps(browser: Any, show: str) -> None:
    with fresh_page(browser) as page:
        page.goto(f"{show}/health")
        assert page.evaluate("""async () => {
          const { Notice } = await import("/static/notice.js");
          const root = document.createElement("p");
          const notice = new Notice(root);
          const seen = [];
          for (const [sentence, owner] of [["Shutting down.", "page"], ["Silent.", "microphone"], ["", "page"], ["", "microphone"]]) {
            notice.keep(sentence, owner);
            seen.push(root.textContent);
          }
          return [...seen, root.hidden];
        }""") == ["Shutting down.", "Shutting down. Silent.", "Silent.", "", True]


def start_again(page: Any) -> None:
    stop(page)
    page.wait_for_selector("body[data-state=idle]")
    page.click("#start")
    page.wait_for_selector("body[data-state=live]")
