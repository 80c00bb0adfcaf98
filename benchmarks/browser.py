"""A server in a process of its own and a real browser at its page, for whoever measures or tests both together."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.machine import REPOSITORY

CHROMIUM_FLAGS = (
    "--disable-gpu",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
)
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_MS = 60_000  # with a page on a busy machine
ENDING_S = 30.0


def chromium_path() -> str | None:
    """Where the machine's Chromium or Chrome is, None without one."""
    return next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)


def free_port() -> int:
    """A TCP port that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def serving(
    command: list[str], log: Path, patience_s: float = 60.0, environment: dict[str, str] | None = None
) -> Iterator[str]:
    """Runs a server (`command` gets `--port N`) and gives its address once it answers. Raises RuntimeError with its log."""
    port = free_port()
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, *command, "--port", str(port)],
            cwd=REPOSITORY,
            env=os.environ | (environment or {}),
            stdout=output,
            stderr=output,
        )
        try:
            _wait_for(f"http://127.0.0.1:{port}/ready", server, log, patience_s)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            try:
                server.wait(ENDING_S)
            finally:
                server.kill()


def _wait_for(address: str, server: subprocess.Popen[bytes], log: Path, patience_s: float) -> None:
    until_s = time.monotonic() + patience_s
    while time.monotonic() < until_s and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=2).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"the server does not answer: {log.read_text()[-2000:]}")


@contextmanager
def chromium_page(
    microphone: Path | None, *, flags: tuple[str, ...] = CHROMIUM_FLAGS, size: tuple[int, int] = (1280, 860)
) -> Iterator[Any]:
    """A page of a fresh Chromium whose microphone plays the wav once."""
    from playwright.sync_api import sync_playwright

    arguments = [*flags, f"--use-file-for-fake-audio-capture={microphone}%noloop"] if microphone else [*flags]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=arguments)
        page = browser.new_page(viewport={"width": size[0], "height": size[1]})
        page.set_default_timeout(PATIENCE_MS)
        yield page
        browser.close()


def start(page: Any, address: str, presenter: int = 0) -> None:
    """Opens the page, chooses a card and presses Start; returns when the avatar is live."""
    page.goto(f"{address}/?raw-microphone")
    page.locator(".card").nth(presenter).click()
    page.click("#start")
    page.wait_for_selector("body[data-state=live]")
    page.wait_for_function("document.getElementById('avatar').videoWidth > 0")


def stop(page: Any) -> None:
    """Presses Stop on the host's page, and agrees where it asks whether the show is to end."""
    page.once("dialog", lambda dialog: dialog.accept())
    page.click("#stop")
