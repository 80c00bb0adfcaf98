"""Takes the README's picture of the page from a real run: `python -m tests.screenshot --out docs/images/page.png`."""

import argparse
import tempfile
from pathlib import Path

from tests import browser


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/images/page.png"))
    parser.add_argument(
        "--second", type=float, default=6.0, help="how long the avatar has spoken when the picture is taken"
    )
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, browser.running_server() as address:
        microphone = Path(folder) / "speech.wav"
        browser.write_microphone(microphone, speech_s=30)
        browser.capture(address, microphone, [], options.second, options.out)


if __name__ == "__main__":
    main()
