"""The operator's page in a browser whose control channel a test plays: what was sent, and what the server is made to say."""

import json
import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.gestures.builtin import GESTURES
from realtime.protocol.directives import NAMED_EXPRESSIONS, STYLES
from tests.browser_probe import PATIENCE_MS, chromium_page, serving

TIME_PASSES = """
  const now = performance.now.bind(performance);
  let later = 0;
  performance.now = () => now() + later;
  window.letTimePass = (ms) => { later += ms; };
"""
FAKE = ["-m", "tests.serve_fake"]
STATE: dict[str, Any] = {
    "type": "state", "session": "s", "presenter": "ada", "frame": 0, "host_connected": True, "viewers": 1, "frozen": False,
    "pose": {"yaw_deg": None, "pitch_deg": None, "roll_deg": None}, "expression": {}, "blinks_per_minute": 15.0,
    "targets": {name: {"yaw_deg": 0, "pitch_deg": 0} for name in ("camera", "product_left", "product_right", "product_below", "chat")},
}  # fmt: skip
HELLO: dict[str, Any] = {"type": "hello", "protocol": 1, "session": "s", "operator": "me"}
CATALOG: dict[str, Any] = {
    "type": "catalog", "presenters": ["ada", "bob"], "expressions": list(NAMED_EXPRESSIONS), "styles": list(STYLES), "sources": [],
    "gestures": [{"name": name, "duration_ms": 900.0, "custom": False} for name in GESTURES],
}  # fmt: skip
SENT = "() => new Promise((resolve) => setTimeout(resolve, 80))"  # in the page, whose sliders send at most every 60 ms
_FRAME_OF_VIDEO = """async () => {
  const canvas = new OffscreenCanvas(256, 256), video = document.getElementById("avatar");
  canvas.getContext("2d").drawImage(video, 0, 0, 256, 256);
  const bytes = new Uint8Array(await (await canvas.convertToBlob({ type: "image/png" })).arrayBuffer());
  return Array.from(bytes);
}"""


@dataclass
class Desk:
    """A page and its end of the control channel."""

    page: Any
    sent: list[dict[str, Any]] = field(default_factory=list)
    channel: Any = None
    last_id: str | None = None  # of the newest message that was taken

    def say(self, message: dict[str, Any]) -> None:
        """Lets the page hear a message of the server."""
        self.channel.send(json.dumps(message))

    def state(self, **changes: Any) -> None:
        self.say({**STATE, **changes})

    def take_sent(self) -> list[dict[str, Any]]:
        """What the page has sent since this was last asked, without ids, once what its sliders hold back has been sent."""
        self.page.evaluate(SENT)
        taken, self.sent = self.sent, []
        self.last_id = taken[-1]["id"] if taken else None
        return [{name: value for name, value in message.items() if name != "id"} for message in taken]

    def until_sent(self, holds: Callable[[list[dict[str, Any]]], bool]) -> None:
        """Waits until `holds` is true of what the page has sent and nobody has taken."""
        until_s = time.monotonic() + PATIENCE_MS / 1000
        while not holds(self.sent):
            assert time.monotonic() < until_s, f"only {self.sent[-10:]} was sent"
            self.page.wait_for_timeout(20)

    def live(self, address: str, path: str = "/operator?lang=en") -> None:
        """Opens the page and waits until it shows the avatar."""
        self.page.goto(f"{address}{path}")
        self.page.wait_for_selector("body[data-state=live]")
        self.say(HELLO)
        self.state()


def post(address: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Makes a session; its description."""
    data = json.dumps(body or {}).encode()
    request = urllib.request.Request(f"{address}/api/sessions", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def sessions(address: str) -> list[dict[str, Any]]:
    """Those that run now, as the server describes them."""
    with urllib.request.urlopen(f"{address}/api/sessions") as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found


def delete(address: str, session_id: str) -> None:
    """Ends a session."""
    request = urllib.request.Request(f"{address}/api/sessions/{session_id}", method="DELETE")
    urllib.request.urlopen(request).close()


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser for the pages of several tests."""
    with chromium_page(None) as page:
        yield page.context.browser


@contextmanager
def fake_show(folder: Path) -> Iterator[str]:
    """A server with drawn faces and one session; its address."""
    with serving(FAKE, folder / "server.log") as address:
        post(address)
        yield address


@contextmanager
def fresh_page(browser: Any, size: tuple[int, int] = (1280, 900)) -> Iterator[Any]:
    """A page that shares nothing with the browser's others."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    yield page
    context.close()


@contextmanager
def scripted_desk(browser: Any, address: str, size: tuple[int, int] = (1280, 900), before: str = "") -> Iterator[Desk]:
    """The operator's page, whose control channel the test plays; `before` runs in it before its own scripts."""
    with fresh_page(browser, size) as page:
        desk = Desk(page)

        def play(channel: Any) -> None:
            desk.channel = channel
            channel.on_message(lambda text: desk.sent.append(json.loads(text)))

        page.route_web_socket(re.compile("/control"), play)
        if before:
            page.add_init_script(before)
        desk.live(address)
        yield desk


def picture(page: Any) -> NDArray[np.uint8]:
    """What the page's video shows now, RGB `[256, 256, 3]`."""
    data = np.array(page.evaluate(_FRAME_OF_VIDEO), np.uint8)
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :, ::-1])
