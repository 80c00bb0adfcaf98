"""A real server, a real Chromium and real speech; what the page receives is captured and judged afterwards."""

import base64
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parent.parent
SPEECH = Path(os.environ.get("FLAP_SPEECH_DIR", ROOT.parent / "shared" / "data" / "speech")) / "ljspeech_librivox"
CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--no-sandbox --disable-gpu --autoplay-policy=no-user-gesture-required --use-fake-ui-for-media-stream "
    "--use-fake-device-for-media-stream --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()

# every decoded frame with its time, a small JPEG of it and the loudness of the sound heard at that moment
CAPTURE = """() => {
  const video = document.getElementById("avatar");
  const audio = new AudioContext();
  const analyser = audio.createAnalyser();
  analyser.fftSize = 2048;
  audio.createMediaStreamSource(video.srcObject).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 256;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  window.captured = [];
  const take = (now, frame) => {
    analyser.getFloatTimeDomainData(samples);
    let sum = 0;
    for (const s of samples) sum += s * s;
    context.drawImage(video, 0, 0, 256, 256);
    window.captured.push([frame.expectedDisplayTime, Math.sqrt(sum / samples.length), canvas.toDataURL("image/jpeg", 0.8)]);
    video.requestVideoFrameCallback(take);
  };
  video.requestVideoFrameCallback(take);
}"""


@dataclass(frozen=True)
class Capture:
    """What the page showed and played: one entry a decoded frame."""

    time_s: NDArray[np.float64]
    loudness: NDArray[np.float64]
    pictures: list[NDArray[np.uint8]]  # RGB
    marks_s: dict[str, float]  # when the script did what, on the clock of `time_s`

    def between(self, start_s: float, end_s: float) -> list[int]:
        return [i for i, t in enumerate(self.time_s) if start_s <= t < end_s]


@contextmanager
def running_server(*options: str) -> Iterator[str]:
    """The address of a server in a process of its own."""
    command = [sys.executable, "run_server.py", "--port", "0", *options]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout
        for line in process.stdout:
            address = re.search(r"http://\S+/", line)
            if address:
                yield address[0]
                break
        else:
            raise RuntimeError("the server did not start")
    finally:
        process.terminate()
        process.wait(10)


def write_microphone(path: Path, speech_s: float, silence_s: float = 0.0) -> None:
    """Silence, then recorded speech, as a 48 kHz wav that Chromium plays as its microphone."""
    import soundfile

    clips = [soundfile.read(file, dtype="float32")[0] for file in sorted(SPEECH.glob("LJ001-00*.flac"))[:12]]
    speech = np.repeat(np.concatenate(clips)[: int(speech_s * 16_000)], 3)
    speech = np.convolve(speech, np.ones(3, np.float32) / 3, "same")
    soundfile.write(
        path, np.concatenate([np.zeros(int(silence_s * 48_000), np.float32), speech]), 48_000, subtype="PCM_16"
    )


def capture(
    address: str, microphone: Path, script: list[tuple[float, str, str]], seconds: float, screenshot: Path | None = None
) -> Capture:
    """Starts the avatar in Chromium, runs `script` of (second, mark, JavaScript) and returns what came."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        flags = [*FLAGS, f"--use-file-for-fake-audio-capture={microphone}"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page(viewport={"width": 1180, "height": 840})
        page.goto(f"{address}?raw-microphone")
        page.wait_for_selector(".card")
        page.click("#start")
        page.wait_for_function("document.body.dataset.state !== 'starting'", timeout=30_000, polling=100)
        assert page.evaluate("document.body.dataset.state") == "live", page.inner_text("#notice")
        page.wait_for_function("document.getElementById('avatar').videoWidth > 0", timeout=15_000, polling=100)
        page.evaluate(CAPTURE)
        begun_ms = page.evaluate("performance.now()")
        marks_s = {}
        for second, mark, code in script:
            page.wait_for_timeout(max(0.0, second * 1000 - (page.evaluate("performance.now()") - begun_ms)))
            marks_s[mark] = page.evaluate("performance.now()") / 1000
            page.evaluate(code)
        page.wait_for_timeout(max(0.0, seconds * 1000 - (page.evaluate("performance.now()") - begun_ms)))
        rows = page.evaluate("window.captured")
        if screenshot:
            page.screenshot(path=screenshot)
        page.click("#stop")
        browser.close()
    pictures = [_picture(row[2]) for row in rows]
    marks_s["begin"] = begun_ms / 1000
    return Capture(np.array([r[0] / 1000 for r in rows]), np.array([r[1] for r in rows]), pictures, marks_s)


def _picture(data_url: str) -> NDArray[np.uint8]:
    raw = np.frombuffer(base64.b64decode(data_url.split(",", 1)[1]), np.uint8)
    return cv2.cvtColor(cv2.imdecode(raw, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
