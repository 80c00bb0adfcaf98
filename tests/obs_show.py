"""The avatar in real OBS under a virtual screen: `python -m tests.obs_show` takes the picture of docs/obs.md.

Debian: `apt-get install obs-studio xvfb`. Debian's OBS has no browser source, so the avatar comes as a media source.
"""

import argparse
import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from websockets.sync.client import ClientConnection, connect

from benchmarks.browser import free_port, serving
from realtime.desk.obs import authentication
from tests.browser_probe import ROOT, speech_folder
from tests.operator_page import post

PASSWORD = "a-password-for-this-test"
SCREEN = "1280x800"
SETTINGS = """[General]
FirstRun=true
EnableAutoUpdates=false
[OBSWebSocket]
FirstLoad=false
ServerEnabled=true
ServerPort={port}
AuthRequired=true
ServerPassword={password}
AlertsEnabled=false
"""
STREAMS = {  # as docs/obs.md says
    "watch.mjpeg": {"input_format": "mpjpeg", "ffmpeg_options": "fflags=nobuffer"},
    "watch.ts": {"input_format": "mpegts", "ffmpeg_options": "fflags=nobuffer probesize=50000 analyzeduration=200000"},
}


def can_run() -> bool:
    return all(shutil.which(program) for program in ("obs", "Xvfb"))


@dataclass
class Obs:
    """A running OBS and its WebSocket, spoken to without realtime/desk/obs.py, so that one may be tested with the other."""

    socket: ClientConnection
    display: str

    def ask(self, kind: str, **data: Any) -> dict[str, Any]:
        """What OBS answers to a request. Raises RuntimeError with its comment."""
        self.socket.send(json.dumps({"op": 6, "d": {"requestType": kind, "requestId": kind, "requestData": data}}))
        while True:
            message = json.loads(self.socket.recv(timeout=20))
            if message["op"] == 7 and message["d"]["requestId"] == kind:
                break
        if not message["d"]["requestStatus"]["result"]:
            raise RuntimeError(f"{kind}: {message['d']['requestStatus']}")
        answer: dict[str, Any] = message["d"].get("responseData") or {}
        return answer

    def add_stream(self, scene: str, name: str, address: str) -> None:
        """A media source over the whole of a scene."""
        settings = STREAMS[address.rsplit("/", 1)[1]] | {
            "is_local_file": False, "input": address, "buffering_mb": 0, "reconnect_delay_sec": 1,
        }  # fmt: skip
        made = self.ask(
            "CreateInput", sceneName=scene, inputName=name, inputKind="ffmpeg_source", inputSettings=settings
        )
        canvas = self.ask("GetVideoSettings")
        bounds = {
            "boundsType": "OBS_BOUNDS_SCALE_INNER",
            "boundsWidth": canvas["baseWidth"],
            "boundsHeight": canvas["baseHeight"],
        }
        self.ask("SetSceneItemTransform", sceneName=scene, sceneItemId=made["sceneItemId"], sceneItemTransform=bounds)

    def picture(self, source: str) -> NDArray[np.uint8] | None:
        """What a source shows, BGR, None while it shows nothing."""
        with contextlib.suppress(RuntimeError):  # a stream that has not begun has no size
            shot = self.ask("GetSourceScreenshot", sourceName=source, imageFormat="png")["imageData"]
            found = cv2.imdecode(np.frombuffer(base64.b64decode(shot.split(",")[1]), np.uint8), cv2.IMREAD_COLOR)
            return np.asarray(found, np.uint8)
        return None

    def window(self) -> Image.Image:
        """The virtual screen."""
        with av.open(self.display, format="x11grab", options={"video_size": SCREEN}) as screen:
            return next(screen.decode(video=0)).to_image()


@contextmanager
def running_obs(folder: Path, port: int) -> Iterator[Obs]:
    """OBS with settings of its own, a fresh scene collection and its WebSocket server on `port`."""
    settings = folder / "config" / "obs-studio" / "global.ini"
    settings.parent.mkdir(parents=True)
    settings.write_text(SETTINGS.format(port=port, password=PASSWORD))
    read, write = os.pipe()
    with (folder / "obs.log").open("w") as log:
        xvfb = subprocess.Popen(
            ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{SCREEN}x24", "-nolisten", "tcp"],
            pass_fds=[write],
            stderr=log,
        )
        os.close(write)
        obs = None
        try:
            display = f":{os.read(read, 16).decode().strip()}"
            around = {"DISPLAY": display, "XDG_CONFIG_HOME": str(folder / "config"), "LIBGL_ALWAYS_SOFTWARE": "1"}
            obs = subprocess.Popen(
                ["obs", "--disable-updater", "--multi"], env=os.environ | around, stdout=log, stderr=log
            )
            with _linked(port) as socket:
                yield Obs(socket, display)
        finally:
            for process in (obs, xvfb):
                if process:
                    process.terminate()
                    _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


@contextmanager
def _linked(port: int, patience_s: float = 90) -> Iterator[ClientConnection]:
    until_s = time.monotonic() + patience_s
    while True:
        try:
            socket = connect(f"ws://127.0.0.1:{port}", subprotocols=["obswebsocket.json"], max_size=2**25)  # type: ignore[list-item]
            break
        except OSError:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.3)
    with socket:
        asked = json.loads(socket.recv(timeout=20))["d"]["authentication"]
        answer = authentication(PASSWORD, asked["salt"], asked["challenge"])
        socket.send(json.dumps({"op": 1, "d": {"rpcVersion": 1, "authentication": answer, "eventSubscriptions": 0}}))
        assert json.loads(socket.recv(timeout=20))["op"] == 2
        yield socket


def likeness(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Correlation of two pictures' brightness at 64 x 64; black is like nothing."""
    grey = [
        cv2.resize(cv2.cvtColor(p, cv2.COLOR_BGR2GRAY), (64, 64), interpolation=cv2.INTER_AREA).ravel()
        for p in (one, other)
    ]
    return 0.0 if min(float(g.std()) for g in grey) < 1 else float(np.corrcoef(*grey)[0, 1])


def sent_picture(address: str) -> NDArray[np.uint8]:
    """The newest picture of `/watch.mjpeg`, BGR."""
    with urllib.request.urlopen(f"{address}/watch.mjpeg", timeout=20) as stream:
        data = b""
        while b"\xff\xd9" not in data:
            data += stream.read(4096)
    return np.asarray(
        cv2.imdecode(np.frombuffer(data[data.index(b"\xff\xd8") :], np.uint8), cv2.IMREAD_COLOR), np.uint8
    )


def until(holds: Callable[[], bool], what: str, patience_s: float = 60) -> None:
    until_s = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > until_s:
            raise TimeoutError(f"after {patience_s:g} s not yet: {what}")
        time.sleep(0.2)


@dataclass
class ObsShow:
    """A server, a session that speaks, and OBS that receives it and is linked to the desk."""

    obs: Obs
    address: str
    session: str

    def shows_the_avatar(self, source: str) -> bool:
        picture = self.obs.picture(source)
        return picture is not None and likeness(picture, sent_picture(self.address)) > 0.9

    def scene(self) -> str:
        return str(self.obs.ask("GetCurrentProgramScene")["currentProgramSceneName"])

    def run_cue(self, scene: str) -> None:
        """Steps a cue sheet of one cue, which switches to a scene."""
        sheet = {"cues": [{"id": "go", "commands": [{"type": "obs.scene", "name": scene}]}]}
        at = f"{self.address}/api/sessions/{self.session}"
        put = urllib.request.Request(
            f"{at}/cues?anew=yes", json.dumps(sheet).encode(), {"Content-Type": "application/json"}, method="PUT"
        )
        urllib.request.urlopen(put).close()
        with connect(f"{at.replace('http', 'ws')}/control?protocol=1") as desk:
            while scene not in json.loads(desk.recv(timeout=20)).get("obs_scenes", ()):
                pass  # the link to OBS comes up within some seconds
            desk.send(json.dumps({"type": "cue.go", "id": "c1"}))
            while (answer := json.loads(desk.recv(timeout=20))).get("id") not in ("c1", "go.1"):
                pass
            if answer["type"] == "error":
                raise RuntimeError(answer["message"])


@contextmanager
def obs_show(folder: Path, server: list[str]) -> Iterator[ObsShow]:
    """Scenes `Presenter` (MJPEG), `With sound` (MPEG-TS) and `Product` (a colour)."""
    port = free_port()
    around = {"FLAP_OBS_PASSWORD": PASSWORD, "FLAP_OBS_URL": f"ws://127.0.0.1:{port}"}
    with serving(server, folder / "server.log", environment=around) as address, running_obs(folder, port) as obs:
        session = post(address)["id"]
        for scene in ("Presenter", "With sound", "Product"):
            obs.ask("CreateScene", sceneName=scene)
        obs.add_stream("Presenter", "avatar", f"{address}/watch.mjpeg")
        obs.add_stream("With sound", "avatar with sound", f"{address}/watch.ts")
        colour = {"color": 0xFF704030, "width": 1920, "height": 1080}
        obs.ask(
            "CreateInput", sceneName="Product", inputName="product", inputKind="color_source_v3", inputSettings=colour
        )
        obs.ask("SetCurrentProgramScene", sceneName="Presenter")
        obs.ask("RemoveScene", sceneName="Scene")
        yield ObsShow(obs, address, session)


def speak(show: ObsShow) -> None:
    """Lets the avatar speak a clip of recorded speech."""
    clip = next((speech_folder() / "ljspeech_librivox").glob("LJ*.flac"))
    urllib.request.urlopen(
        urllib.request.Request(f"{show.address}/api/sessions/{show.session}/audio", clip.read_bytes())
    ).close()


def show_by_cue(show: ObsShow, scene: str, source: str | None) -> None:
    """Switches to a scene by a cue and waits until its source, which plays while its scene is on, shows the avatar."""
    show.run_cue(scene)
    until(lambda: show.scene() == scene, f"scene {scene!r}")
    if source:
        until(lambda: show.shows_the_avatar(source), f"the avatar in the source {source!r}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path, nargs="?", default=ROOT / "docs" / "images" / "obs.jpg")
    parser.add_argument("--fake", action="store_true", help="drawn faces instead of the shipped bundle")
    options = parser.parse_args()
    if not can_run():
        sys.exit("OBS and Xvfb are needed: apt-get install obs-studio xvfb")
    with (
        tempfile.TemporaryDirectory() as temporary,
        obs_show(Path(temporary), ["-m", "tests.serve_fake"] if options.fake else ["run_server.py"]) as running,
    ):
        print("OBS", running.obs.ask("GetVersion")["obsVersion"])
        if speech_folder().is_dir():
            speak(running)
        for scene, source in (("With sound", "avatar with sound"), ("Product", None), ("Presenter", "avatar")):
            show_by_cue(running, scene, source)
            print(f"a cue has switched OBS to {scene!r}" + (f", where {source!r} shows the avatar" if source else ""))
        time.sleep(3)  # the transition ends and the presenter speaks
        running.obs.window().save(options.picture, quality=85)
    print(f"wrote {options.picture}")
