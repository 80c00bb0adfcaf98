"""Takes the pictures of the pages in README.md and docs/: `python -m tests.screenshot`.

A real run: the shipped bundle, recorded speech as Chromium's microphone, and for the desk a cue sheet and buttons that are really
pressed. On a busy machine the pictures say so: their frame rate falls.
"""

import argparse
import json
import tempfile
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.browser_probe import PATIENCE_MS, ROOT, Script, chromium_page, serving, start, write_microphone

LAUNCH = {
    "en": ["Welcome", "The new teapot", "Today 20 % off", "Questions from the chat", "Goodbye"],
    "zh": ["开场欢迎", "新品茶壶", "今日八折", "回答弹幕问题", "结束致谢"],
}
ACTS: list[dict[str, Any]] = [
    {"commands": [{"type": "gesture.play", "name": "greet"}, {"type": "expression.set", "name": "smile"}]},
    {"commands": [{"type": "look.at", "target": "product_left"}]},
    {"commands": [{"type": "overlay.set", "text": "20 % off"}], "at_ms": 90_000.0},
    {"commands": [{"type": "look.at", "target": "chat"}], "key": "7"},
    {"commands": [{"type": "gesture.play", "name": "bow"}], "at_ms": 300_000.0},
]


@dataclass(frozen=True)
class Shot:
    """A picture of the desk: its file, language and window, whether it is a phone's, and what is pressed before."""

    name: str
    language: str
    size: tuple[int, int]
    press: Callable[[Any], None]
    phone: bool = False


def _show_on(page: Any) -> None:
    page.dblclick("[data-cue=cue-1]")
    page.wait_for_selector("[data-expression=smile][aria-pressed=true]")
    page.click("[data-look=product_left]")


def _head(page: Any) -> None:
    page.click("#tab_head")
    page.click("[data-look=product_left]")


def _cues(page: Any) -> None:
    page.click("#tab_show")


def _smile(page: Any) -> None:
    page.click("[data-expression=smile]")


SHOTS = (
    Shot("operator", "en", (1440, 900), _show_on),
    Shot("operator_zh", "zh", (1920, 1080), _show_on),
    Shot("phone_face", "en", (390, 844), _smile, phone=True),
    Shot("phone_head", "zh", (390, 844), _head, phone=True),
    Shot("phone_show", "en", (390, 844), _cues, phone=True),
)


def sheet(language: str) -> bytes:
    """The cue sheet of the show, as its file."""
    cues = [
        {"id": f"cue-{number}", "name": name, **act}
        for number, (name, act) in enumerate(zip(LAUNCH[language], ACTS, strict=True), 1)
    ]
    return json.dumps({"name": "Teapots", "cues": cues}).encode()


def _pressed(page: Any, press: Callable[[Any], None]) -> None:
    """Presses, and once more when a busy machine has lost the desk's connection meanwhile."""
    try:
        press(page)
    except PlaywrightTimeout:
        page.wait_for_selector("body[data-state=live]")
        press(page)


def take_host(page: Any, folder: Path, presenter_s: float) -> None:
    """The host's page, after the presenter has spoken for some time."""
    page.wait_for_timeout(1000 * presenter_s)
    page.click("[data-expression=smile]")
    page.wait_for_timeout(900)
    page.screenshot(path=folder / "page.png")


def take_desk(browser: Any, address: str, session: str, folder: Path, shot: Shot) -> None:
    """The desk of a session that is on."""
    scale = 2 if shot.phone else 1
    size = {"width": shot.size[0], "height": shot.size[1]}
    context = browser.new_context(viewport=size, device_scale_factor=scale, has_touch=shot.phone)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    url = f"{address}/api/sessions/{session}/cues"
    urllib.request.urlopen(
        urllib.request.Request(url, sheet(shot.language), {"Content-Type": "application/json"}, method="PUT")
    )
    page.goto(f"{address}/operator?session={session}&lang={shot.language}&name=Lin")
    page.wait_for_selector("body[data-state=live]")
    page.wait_for_timeout(4000)
    _pressed(page, shot.press)
    page.wait_for_timeout(1100)
    page.screenshot(path=folder / f"{shot.name}.png")
    page.click("#neutral")
    page.wait_for_timeout(400)
    context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "docs" / "images")
    parser.add_argument("--fake", action="store_true", help="drawn faces instead of the shipped bundle")
    parser.add_argument("--presenter", type=int, default=0, help="which card to choose, counted from 0")
    parser.add_argument("--size", default="1280x860", help="width x height of the host's window")
    parser.add_argument("--second", type=float, default=6.0, help="how long the presenter has spoken by then")
    parser.add_argument("--only", help="one picture: page, or a name of the desk's")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    server = ["-m", "tests.serve_fake"] if options.fake else ["run_server.py", "--picture-size=512"]
    options.folder.mkdir(parents=True, exist_ok=True)
    shots = [shot for shot in SHOTS if options.only in (None, shot.name)]
    with tempfile.TemporaryDirectory() as name:
        microphone = Path(name) / "microphone.wav"
        write_microphone(microphone, Script(silence_s=0.0, speech_s=options.second + 15 * len(shots) + 15))
        with (
            serving(server, Path(name) / "server.log") as address,
            chromium_page(microphone, size=(width, height)) as page,
        ):
            page.set_default_timeout(PATIENCE_MS)
            start(page, address, options.presenter)
            page.add_style_tag(content="#microphones { display: none }")  # the names of Chromium's fake devices
            if options.only in (None, "page"):
                take_host(page, options.folder, options.second)
            session = page.evaluate("flapClient.sessionId")
            for shot in shots:
                take_desk(page.context.browser, address, session, options.folder, shot)
    print(f"wrote {', '.join(sorted(path.name for path in options.folder.glob('*.png')))}")


if __name__ == "__main__":
    main()
