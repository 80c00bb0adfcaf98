"""Takes the README's picture of the page while a presenter speaks: `python -m tests.screenshot`."""

import argparse
import tempfile
from pathlib import Path

from tests.browser_probe import ROOT, Script, chromium_page, serving, start, write_microphone

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path, nargs="?", default=ROOT / "docs" / "images" / "page.png")
    parser.add_argument("--fake", action="store_true", help="drawn faces instead of the shipped bundle")
    parser.add_argument("--presenter", type=int, default=0, help="which card to choose, counted from 0")
    parser.add_argument("--size", default="1280x860", help="width x height of the window")
    parser.add_argument("--second", type=float, default=6.0, help="how long the presenter has spoken by then")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    server = ["-m", "tests.serve_fake"] if options.fake else ["run_server.py"]
    with tempfile.TemporaryDirectory() as folder:
        microphone = Path(folder) / "microphone.wav"
        write_microphone(microphone, Script(silence_s=0.0, speech_s=options.second))
        log = Path(folder) / "server.log"
        with serving(server, log) as address, chromium_page(microphone, size=(width, height)) as page:
            start(page, address, options.presenter)
            page.wait_for_timeout(options.second * 1000)
            options.picture.parent.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=options.picture)
    print(f"wrote {options.picture}")
