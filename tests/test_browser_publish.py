"""The desk's list of where a show is sent: why a stream breaks off is read there, and that it ends with the show."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser_probe import needs_chromium, start, stop
from tests.operator_page import Desk, fresh_page, scripted_desk

pytestmark = [pytest.mark.timeout(240), needs_chromium]
TARGET = "rtmps://live.example.com/..."
SAYS = "(words) => document.getElementById('notice').textContent.includes(words)"
STATS = {"type": "stats", "frames_per_second": 25, "target_frames_per_second": 25, "mic_to_frame_ms": {"p50": 0}, "delay_ms": 300,
         "late_frames": 0, "viewers": 1}  # fmt: skip


@pytest.fixture
def desk(browser: Any, show: str) -> Iterator[Desk]:
    with scripted_desk(browser, show) as opened:
        yield opened


def publish(page: Any, state: str, detail: str | None = None) -> None:
    """What the server says of the stream from now on."""
    page.unroute("**/outputs")
    output = {"id": "o1", "kind": "rtmp", "target": TARGET, "state": state, "detail": detail}
    page.route("**/outputs", lambda route: route.fulfill(json=[output]))


def test_why_a_stream_is_made_again_stands_in_its_row_and_is_said_once(desk: Desk) -> None:
    publish(desk.page, "live")
    desk.say(STATS)
    desk.page.wait_for_selector(".outputs li[data-state=live]")
    publish(desk.page, "reconnecting", "the server hung up")
    desk.say(STATS)
    desk.page.wait_for_function(SAYS, arg=f"{TARGET}: connecting again (the server hung up)")
    assert "the server hung up" in desk.page.inner_text(".outputs li")
    desk.page.evaluate("document.getElementById('notice').textContent = ''")
    publish(desk.page, "reconnecting", "no route to the server")
    desk.page.wait_for_timeout(2100)  # the list is asked for every two seconds at most
    desk.say(STATS)
    desk.page.wait_for_function("document.querySelector('.outputs li').innerText.includes('no route')")
    assert not desk.page.evaluate(SAYS, "no route")


def test_a_stream_is_said_at_the_desk_to_have_ended_with_its_show(desk: Desk) -> None:
    publish(desk.page, "live")
    desk.say(STATS)
    desk.page.wait_for_selector(".outputs li[data-state=live]")
    desk.say({"type": "ended", "reason": "deleted"})
    desk.page.wait_for_function(SAYS, arg=f"Streaming to {TARGET} has ended with the show.")
    assert desk.page.locator(".outputs li").count() == 0


@pytest.mark.parametrize("end", ["#stop", "elsewhere"])
def test_a_stream_is_said_on_the_hosts_page_to_have_ended_with_its_show(browser: Any, show: str, end: str) -> None:
    with fresh_page(browser) as page:
        publish(page, "live")
        start(page, show)
        page.wait_for_selector(".outputs li[data-state=live]", state="attached")
        if end == "#stop":
            stop(page)
        else:
            page.evaluate("fetch(`/api/sessions/${flapClient.sessionId}`, { method: 'DELETE' })")
        page.wait_for_function(SAYS, arg=f"Streaming to {TARGET} has ended with the show.")
