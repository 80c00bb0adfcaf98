"""Commands at a running server: how soon a browser shows them, in which frame, and what a flood of them does."""

import asyncio
import base64
import itertools
import json
import random
import tempfile
import threading
import time
import urllib.request
import wave
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.browser import chromium_page, serving, start
from benchmarks.machine import REPOSITORY
from benchmarks.speech import Sound
from flap.config import MEDIA_RATE_HZ

SIDE = 64
HEAD_ROWS = slice(6, 34)  # of SIDE: hair to eyes, where speech moves little
TURN_DEG = 20.0
SEARCH_S = 1.0  # a command that shows nothing for this long has failed
BEFORE_S = 0.4  # what pictures vary by themselves is measured over this long before a command
# a picture has changed when it differs by this much more than that, and by so many levels
FACTOR, LEAST_CHANGE = 2.5, 1.5
BATCH = 200
FLOOD_PER_S = 1000
MOST_ANSWERING_S = 15.0
STILL: tuple[tuple[str, dict[str, Any]], ...] = (
    ("head.fix", {"on": True}), ("blink.rate", {"per_minute": 0}), ("gaze.set", {}),
)  # fmt: skip

Greys = NDArray[np.uint8]  # [n, 64, 64]


@dataclass(frozen=True)
class Plan:
    """`commands` are timed in the page alone, `marked` ones are found in `/watch.mjpeg`, which costs the machine pictures."""

    commands: int
    marked: int
    flood_s: float


@dataclass(frozen=True)
class Sent:
    """A command: when it left on the page's clock, and the frame of its acknowledgement."""

    time_ms: float
    frame: int


@dataclass
class Pictures:
    """What `/watch.mjpeg` has shown so far, each with its frame's number; read in a thread of its own."""

    frames: list[int] = field(default_factory=list)
    greys: list[NDArray[np.uint8]] = field(default_factory=list)
    # when one came that was not the one before, on the monotonic clock
    changed_s: list[float] = field(default_factory=list)

    def rate(self, from_s: float, to_s: float) -> float:
        """Changed pictures a second between two moments; one that is shown again does not count."""
        return round(sum(from_s < second <= to_s for second in self.changed_s) / (to_s - from_s), 1)

    def read(self, address: str, session: str, stop: threading.Event) -> None:
        before = b""
        with urllib.request.urlopen(f"{address}/watch.mjpeg?session={session}", timeout=10) as stream:
            while not stop.is_set():
                head: dict[bytes, bytes] = {}
                while line := stream.readline().strip():
                    name, _, value = line.partition(b": ")
                    head[name] = value
                if b"X-Frame" not in head:
                    continue
                jpeg = stream.read(int(head[b"Content-Length"]))
                if jpeg != before:
                    self.changed_s.append(time.monotonic())
                before = jpeg
                grey = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
                assert grey is not None
                self.frames.append(int(head[b"X-Frame"]))
                self.greys.append(np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8))


def first_change(differences: NDArray[np.float64], own: NDArray[np.bool_], after: NDArray[np.bool_]) -> int | None:
    """Index of the first picture of `after` that differs from the one before it as none of `own` does."""
    if not own.any():
        return None
    threshold = max(FACTOR * float(differences[own].max()), LEAST_CHANGE)
    found = np.flatnonzero(after & (differences > threshold))
    return int(found[0]) if len(found) else None


def differences_of(greys: Greys) -> NDArray[np.float64]:
    """How much each picture's head differs from the picture before, in levels; 0 for the first."""
    heads = greys[:, HEAD_ROWS].astype(np.float64)
    return np.concatenate([[0.0], np.abs(np.diff(heads, axis=0)).mean((1, 2))])


def latencies_ms(sent: list[Sent], shown_ms: NDArray[np.float64], greys: Greys) -> list[float]:
    """From each command that was seen to the display of the first picture it changed."""
    differences, found = differences_of(greys), []
    for command in sent:
        since_ms = shown_ms - command.time_ms
        changed = first_change(
            differences, (since_ms < 0) & (since_ms > -1000 * BEFORE_S), (since_ms > 0) & (since_ms < 1000 * SEARCH_S)
        )
        if changed is not None:
            found.append(float(since_ms[changed]))
    return found


def frame_errors(sent: list[Sent], pictures: Pictures) -> list[int]:
    """By how many frames each change came later than its acknowledgement said."""
    frames, differences, found = np.array(pictures.frames), differences_of(np.stack(pictures.greys)), []
    for command in sent:
        since = frames - command.frame
        changed = first_change(differences, (since < -6) & (since >= -16), (since >= -6) & (since < 25))
        if changed is not None:
            found.append(int(since[changed]))
    return found


def measure(bundle: Path, presenter: int, sound: Sound, plan: Plan, seed: int = 1) -> dict[str, Any]:
    """Everything that needs a server and a browser; `presenter` counts cards. Raises RuntimeError when the server fails."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_wav(folder / "microphone.wav", sound)
        command = ["run_server.py", "--picture-size=256", "--bundle", str(bundle.resolve())]
        with serving(command, folder / "server.log") as address:
            with chromium_page(folder / "microphone.wav") as page:
                start(page, address, presenter)
                page.evaluate((REPOSITORY / "benchmarks" / "control_probe.js").read_text())
                session = page.evaluate("controlProbe.start()")
                page.wait_for_timeout(1500)  # the browser adjusts its buffers
                rng = random.Random(seed)
                sent = _command(page, "timed", plan.commands, rng)
                shown = np.array(page.evaluate("controlProbe.times()"))
                pictures, stop = Pictures(), threading.Event()
                reading = threading.Thread(target=pictures.read, args=(address, session, stop), daemon=True)
                reading.start()
                page.wait_for_timeout(1000)
                marked = _command(page, "marked", plan.marked, rng)
                flood = _flood(page, address, session, plan.flood_s, pictures)
                stop.set()
                reading.join(5)
                greys = _greys(page, len(shown))
    waits_ms = latencies_ms(sent, shown[:, 0], greys)
    errors = frame_errors(marked, pictures)
    p50, p95 = (round(float(q), 1) for q in np.percentile(waits_ms, [50, 95])) if waits_ms else (None, None)
    return {
        "command_to_frame_ms": {
            "p50": p50, "p95": p95, "commands": plan.commands, "acknowledged": len(sent), "seen": len(waits_ms),
        },
        "ack_frame_error_frames": {
            "largest": max(map(abs, errors), default=None), "exact": errors.count(0), "seen": len(errors),
        },
        "flood": flood,
    }  # fmt: skip


def _command(page: Any, name: str, count: int, rng: random.Random) -> list[Sent]:
    """Turns the still head to and fro at moments that fall anywhere within a chunk."""
    for number, (type_, fields) in enumerate(STILL):
        send = "([id, type, fields]) => controlProbe.send(id, type, fields)"
        page.evaluate(send, [f"{name}-still{number}", type_, fields])
    page.wait_for_timeout(1000)
    left_ms = []
    for number in range(count):
        fields = {"yaw_deg": TURN_DEG * (1 if number % 2 else -1), "ease_ms": 0}
        send = "([id, fields]) => controlProbe.send(id, 'pose.set', fields)"
        left_ms.append(page.evaluate(send, [f"{name}{number}", fields]))
        page.wait_for_timeout(1000 * rng.uniform(1.0, 1.3))
    acks = page.evaluate("controlProbe.acks()")
    return [Sent(at_ms, acks[f"{name}{n}"]) for n, at_ms in enumerate(left_ms) if f"{name}{n}" in acks]


def flood_message(number: int) -> str:
    """Commands that are fine, contradict each other, are out of range, and are none at all."""
    return (
        json.dumps({"type": "pose.set", "id": str(number), "yaw_deg": 30}),
        json.dumps({"type": "pose.set", "id": str(number), "yaw_deg": -30}),
        json.dumps({"type": "pose.set", "id": str(number), "yaw_deg": 4000}),
        json.dumps({"type": "gesture.play", "id": str(number), "name": "cartwheel"}),
        '{"type": "pose.set", "id": ',
    )[number % 5]


def _flood(page: Any, address: str, session: str, seconds: float, pictures: Pictures) -> dict[str, Any]:
    """`FLOOD_PER_S` messages a second from another operator, and the rate of pictures meanwhile and for as long before."""
    counts: dict[str, int] = {}
    flooding = threading.Thread(target=lambda: counts.update(asyncio.run(flood(address, session, seconds))))
    moments_s = [time.monotonic()]
    for begin in (lambda: None, flooding.start):
        begin()
        page.wait_for_timeout(1000 * seconds)
        moments_s.append(time.monotonic())
    flooding.join(30)
    before, rate = (pictures.rate(from_s, to_s) for from_s, to_s in itertools.pairwise(moments_s))
    return {**counts, "frames_per_second": rate, "frames_per_second_before": before}


async def flood(
    address: str, session: str, seconds: float, message: Callable[[int], str] = flood_message
) -> dict[str, int]:
    """How many messages were sent, and how many of them the server counts as refused: it does not answer every one."""
    url = f"{address}/api/sessions/{session}/control?name=flood"
    sent = 0
    async with aiohttp.ClientSession() as http, http.ws_connect(url, max_msg_size=0) as socket:

        async def drain() -> None:
            async for _ in socket:
                pass

        draining, refused_before = asyncio.create_task(drain()), await _refused(http, address, session)
        started_s = time.monotonic()
        while (elapsed_s := time.monotonic() - started_s) < seconds:
            while sent < elapsed_s * FLOOD_PER_S:
                await socket.send_str(message(sent))
                sent += 1
            await asyncio.sleep(0.005)
        refused, before, until_s = 0, -1, time.monotonic() + MOST_ANSWERING_S
        while before < refused and time.monotonic() < until_s:  # what is still on its way
            before = refused
            await asyncio.sleep(1.0)
            refused = await _refused(http, address, session) - refused_before
        draining.cancel()
    return {"sent": sent, "refused": refused}


async def _refused(http: aiohttp.ClientSession, address: str, session: str) -> int:
    """Commands that the server has refused in a session."""
    name = f'flap_commands_refused_total{{session="{session}"}} '
    async with http.get(f"{address}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return next((int(line.removeprefix(name)) for line in lines if line.startswith(name)), 0)


def _greys(page: Any, count: int) -> Greys:
    pieces = []
    for first in range(0, count, BATCH):
        data = base64.b64decode(
            page.evaluate("([first, count]) => controlProbe.pictures(first, count)", [first, BATCH])
        )
        pieces.append(np.frombuffer(data, np.uint8).reshape(-1, SIDE, SIDE))
    return np.concatenate(pieces)[:count]


def _write_wav(path: Path, sound: Sound) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(MEDIA_RATE_HZ)
        file.writeframes(sound.astype("<i2").tobytes())
