"""The pictures of README.md and docs/ come from one command, with the shipped bundle."""

import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from tests.browser_probe import needs_chromium
from tests.screenshot import SHOTS


@pytest.mark.slow
@pytest.mark.timeout(300)
@needs_chromium
def test_every_picture_of_the_pages_is_taken_by_one_command(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "tests.screenshot", str(tmp_path)], check=True, timeout=280)
    sizes = {shot.name: tuple(side * (2 if shot.phone else 1) for side in shot.size) for shot in SHOTS}
    for name, size in {"page": (1280, 860), **sizes}.items():
        picture = cv2.imread(str(tmp_path / f"{name}.png"))
        assert picture is not None and picture.shape[1::-1] == size
        assert picture.std() > 20, "a page that shows something"
