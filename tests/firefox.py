"""Debian's Firefox, driven over WebDriver BiDi (https://w3c.github.io/webdriver-bidi), which it speaks without another program."""

import base64
import json
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from websockets.sync.client import ClientConnection, connect

from tests.browser_probe import PATIENCE_MS

PATH = shutil.which("firefox-esr") or shutil.which("firefox")
needs_firefox = pytest.mark.skipif(PATH is None, reason="no Firefox: run requirements/system.sh foreign")
PREFERENCES = {
    "media.navigator.streams.fake": True,  # its microphone plays a tone
    "media.navigator.permission.disabled": True,
    "media.peerconnection.ice.loopback": True,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
}
LISTENS = re.compile(r"WebDriver BiDi listening on (ws://\S+)")


class Page:
    """The one tab of a Firefox."""

    def __init__(self, socket: ClientConnection):
        self._socket, self._ids = socket, count(1)
        self.complaints: list[str] = []  # errors of the page's scripts
        self._call("session.new", capabilities={})
        self._call("session.subscribe", events=["log.entryAdded"])
        self._context = self._call("browsingContext.getTree")["contexts"][0]["context"]

    def before_scripts(self, function: str) -> None:
        """Has every document call `function` before its own scripts run."""
        self._call("script.addPreloadScript", functionDeclaration=function)

    def goto(self, address: str) -> None:
        self._call("browsingContext.navigate", context=self._context, url=address, wait="complete")

    def evaluate(self, expression: str, touched: bool = False) -> Any:
        """What the expression is in the page; `touched`: as if somebody had just clicked there."""
        answer = self._call(
            "script.evaluate",
            expression=f"(async () => JSON.stringify((await ({expression})) ?? null))()",
            target={"context": self._context},
            awaitPromise=True,
            userActivation=touched,
        )
        assert answer["type"] == "success", answer["exceptionDetails"]["text"]
        return json.loads(answer["result"]["value"])

    def click(self, selector: str) -> None:
        self.evaluate(f"document.querySelector({json.dumps(selector)}).click()", touched=True)

    def until(self, expression: str) -> None:
        until_s = time.monotonic() + PATIENCE_MS / 1000
        while not self.evaluate(expression):
            assert time.monotonic() < until_s, f"never {expression}; {self.complaints}"
            time.sleep(0.05)

    def picture(self) -> NDArray[np.uint8]:
        """What the page's video shows, RGB `[256, 256, 3]`."""
        data = self.evaluate("""(() => {
          const canvas = Object.assign(document.createElement("canvas"), { width: 256, height: 256 });
          canvas.getContext("2d").drawImage(document.getElementById("avatar"), 0, 0, 256, 256);
          return canvas.toDataURL("image/png").split(",")[1];
        })()""")
        drawn = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
        return np.ascontiguousarray(drawn[:, :, ::-1])

    def _call(self, method: str, **params: Any) -> Any:
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=PATIENCE_MS / 1000))
            if message.get("id") == number:
                assert message["type"] == "success", message
                return message["result"]
            if message.get("method") == "log.entryAdded" and message["params"]["level"] == "error":
                self.complaints.append(message["params"]["text"])


@contextmanager
def firefox_page(profile: Path) -> Iterator[Page]:
    """A fresh Firefox whose settings lie in `profile`, a folder that is not there yet."""
    profile.mkdir()
    settings = (f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items())
    (profile / "user.js").write_text("".join(settings))
    command = [str(PATH), "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"]
    program = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        assert program.stderr is not None
        patience = threading.Timer(PATIENCE_MS / 1000, program.kill)
        patience.start()
        found = next((match for line in program.stderr if (match := LISTENS.search(line))), None)
        patience.cancel()
        assert found, f"{PATH} did not start"
        threading.Thread(target=program.stderr.read, daemon=True).start()  # a full pipe would stop it
        with connect(f"{found[1]}/session", max_size=None) as socket:
            yield Page(socket)
    finally:
        program.terminate()
        try:
            program.wait(20)
        finally:
            program.kill()
