"""Programs speak through the avatar by PCM on a WebSocket: as it comes, in order, interruptible, refused with a sentence."""

import asyncio
import json
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType, WSServerHandshakeError
from aiohttp.test_utils import TestClient

from flap.config import MEDIA_FRAME_SAMPLES
from realtime.config import ServerConfig
from realtime.media.playout import Playout
from realtime.sound.concealment import FADE_SAMPLES
from realtime.sound.speech import MAX_WAITING_S
from realtime.speaking import Speaking
from realtime.web import speech_line
from realtime.web.speech_line import SpeechLine
from tests.live_client import living, serving
from tests.test_sound_file import tone, wav

ROOT = Path(__file__).parent.parent


class FakeSpeaker:
    """A session that only has a queue."""

    id, delay_ms, next_frame = "s", 260.0, 10

    def __init__(self) -> None:
        playout = SimpleNamespace(clock=SimpleNamespace(delay_s=0.26), hush=lambda frames: 0)
        self.speaking = Speaking(cast(Playout, playout), lambda message: None)
        self.queue = self.speaking._queue

    def stop_speech(self) -> None:
        self.speaking.stop(self.next_frame)

    def join_line(self, line: SpeechLine) -> None: ...


class Line:
    """A line whose clock stands still unless it is moved."""

    def __init__(self, rate_hz: int = 48_000) -> None:
        self.speaker, self.now_s = FakeSpeaker(), 0.0
        self.line = SpeechLine(self.speaker, rate_hz, lambda: self.now_s)
        assert self.told()[0]["type"] == "ready"

    def told(self) -> list[dict[str, Any]]:
        queue = self.line.outgoing
        return [json.loads(queue.get_nowait() or "{}") for _ in range(queue.qsize())]

    def ask(self, kind: str) -> None:
        self.line.obey(json.dumps({"type": kind, "id": kind}))

    def spoken(self) -> np.ndarray:
        """Everything that is in line."""
        heard, _ = self.speaker.queue.take(200_000)
        assert heard is not None
        return np.trim_zeros(heard, "b")


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.mark.parametrize("rate_hz", speech_line.RATES_HZ)
def test_pieces_of_any_rate_become_one_utterance_of_the_same_length(rate_hz: int) -> None:
    line, sound = Line(rate_hz), tone(0.5, rate_hz).tobytes()
    for at in range(0, len(sound), 1000):
        line.line.hear(sound[at : at + 1000])
    line.ask("end")
    queued, ack = line.told()
    assert (queued["type"], queued["begins_in_ms"]) == ("queued", 260)
    assert (ack["type"], ack["id"], ack["command"], ack["frame"]) == ("ack", "end", "end", 10)
    heard = line.spoken()
    assert len(heard) == pytest.approx(24_000, abs=60)
    assert np.abs(np.diff(heard.astype(int))).max() < 1200, "no click where pieces meet"


def test_utterances_follow_each_other_and_tell_how_much_is_before_them(line: Line) -> None:
    for level in (100, 200):
        line.line.hear(np.full(48_000, level, np.int16).tobytes()[: speech_line.MAX_MESSAGE_BYTES])
        line.ask("end")
    begins = [message["begins_in_ms"] for message in line.told() if message["type"] == "queued"]
    assert begins == [260, 260 + round(32_768 / 48)]
    heard = line.spoken()
    assert heard[0] == 100 and heard[-FADE_SAMPLES - 1] == 200


@pytest.mark.parametrize("data", [b"", b"abc"])
def test_half_samples_are_refused_and_end_the_utterance(line: Line, data: bytes) -> None:
    line.line.hear(bytes([1, 0] * 9600))
    line.line.hear(data)
    line.line.hear(bytes([2, 0] * 9600))
    queued, error = line.told()
    assert (queued["type"], error["type"], error["code"]) == ("queued", "error", "bad_request")
    assert "16-bit" in error["message"] and "send end" in error["message"]
    assert set(line.spoken()) == {1}, "what follows a hole is not spoken"
    line.ask("end")
    line.line.hear(bytes([3, 0] * 9600))
    assert [message["type"] for message in line.told()] == ["ack", "queued"]
    assert set(line.spoken()[:-FADE_SAMPLES]) == {3}, "then it waits for more"


def test_more_than_may_wait_is_refused_once(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime.sound.speech.MAX_WAITING_S", 1)
    for _ in range(30):
        line.line.hear(bytes(9600))
    assert [(m["type"], m.get("code")) for m in line.told()] == [("queued", None), ("error", "too_many")]


def test_a_flood_of_tiny_messages_is_refused(line: Line) -> None:
    for _ in range(2001):
        line.line.hear(b"\1\0")
    assert line.told()[-1]["code"] == "too_many"
    line.now_s = 1.0
    line.ask("end")
    line.line.hear(bytes(9600))
    assert line.told()[-1]["type"] == "queued", "whoever slows down is heard again"
    for _ in range(41):
        line.ask("end")
    assert line.told()[-1]["code"] == "too_many"


def test_an_interrupt_of_its_own_begins_anew_and_an_operators_swallows_the_rest(line: Line) -> None:
    line.line.hear(bytes([1, 0] * 9600))
    line.ask("interrupt")
    line.line.hear(bytes([2, 0] * 9600))
    line.ask("end")
    assert set(line.spoken()[:-FADE_SAMPLES]) == {2}
    line.line.hear(bytes([3, 0] * 9600))
    line.speaker.stop_speech()
    line.line.hear(bytes([3, 0] * 9600))
    assert line.speaker.queue.waiting_s == 0
    line.ask("end")
    line.line.hear(bytes([4, 0] * 9600))
    assert line.speaker.queue.waiting_s > 0


def test_a_pause_ends_an_utterance_and_what_comes_then_begins_another(line: Line) -> None:
    line.line.hear(bytes([1, 0] * 9600))
    while not (line.line._clip and line.line._clip.is_over):
        line.speaker.queue.take(3840)
    line.line.hear(bytes([2, 0] * 9600))
    assert [message["type"] for message in line.told()] == ["queued", "queued"]


@pytest.mark.parametrize(
    ("text", "id_"), [("hello", None), ('{"type": "end"}', None), ('{"type": "sing", "id": "x"}', "x")]
)
def test_requests_that_are_none_are_refused(line: Line, text: str, id_: str | None) -> None:
    line.line.obey(text)
    (error,) = line.told()
    assert (error["type"], error["code"], error["id"]) == ("error", "bad_command", id_)


async def wait_for(socket: ClientWebSocketResponse, kind: str, what: str | None = None) -> dict[str, Any]:
    while True:
        message = await socket.receive_json(timeout=60)
        if message["type"] == kind and message.get("what") == what:
            return dict(message)


def test_the_avatar_speaks_what_is_streamed_and_is_silent_at_once_when_interrupted(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as http, living(http, loud=False) as client:
            await client.watch(0.3)
            path = f"/api/sessions/{client.session_id}/audio"
            async with http.ws_connect(f"{path}?rate_hz=24000") as socket:
                described = await (await http.get(path.removesuffix("/audio"))).json()
                assert (await wait_for(socket, "ready"))["delay_ms"] == pytest.approx(described["delay_ms"], abs=20)
                for piece in np.split(tone(10, 24_000), 100):
                    await socket.send_bytes(piece.tobytes())
                queued = await wait_for(socket, "queued")
                started = await wait_for(socket, "speech", "started")
                assert started["clip"] == queued["clip"]
                heard = await client.watch(1.5)
                assert max(heard.openings) > min(heard.openings) + 5, "the mouth speaks"
                assert heard.levels[-1][1] > 1000
                asked_s = time.monotonic()
                await socket.send_json({"type": "interrupt", "id": "halt"})
                over = await wait_for(socket, "speech", "interrupted")
                assert (await wait_for(socket, "ack"))["id"] == "halt"
                assert 1000 < over["spoken_ms"] < 4000
                await asyncio.sleep(0.6)
                last_s = max(second for second, level in client.watched.levels if level > 100)
                assert last_s - asked_s < 0.2
                assert client.watched.openings[-1] < max(heard.openings) - 5, "and comes to rest"

    asyncio.run(run())


def test_the_door_refuses_wrong_rates_plain_requests_and_a_fifth_channel(tmp_path: Path) -> None:
    async def refused(http: TestClient, path: str) -> int:
        with pytest.raises(WSServerHandshakeError) as error:
            await http.ws_connect(path)
        return error.value.status

    async def run() -> None:
        async with serving(tmp_path, ServerConfig(port=0, session_idle_s=1)) as http:
            session = await (await http.post("/api/sessions")).json()
            path = session["audio_url"]
            for query in ("", "?rate_hz=11025", "?rate_hz=-1", "?rate_hz=1e3", "?rate_hz=%C2%B2"):
                assert await refused(http, path + query) == 400
            assert (await http.get(f"{path}?rate_hz=48000")).status == 400
            assert await refused(http, "/api/sessions/none/audio?rate_hz=48000") == 404
            sockets = [await http.ws_connect(f"{path}?rate_hz=48000") for _ in range(4)]
            assert await refused(http, f"{path}?rate_hz=48000") == 503
            await sockets[0].close()
            sockets[0] = await http.ws_connect(f"{path}?rate_hz=48000")
            await sockets[1].send_bytes(bytes(speech_line.MAX_MESSAGE_BYTES + 2))
            while (message := await sockets[1].receive(timeout=60)).type is WSMsgType.TEXT:
                pass
            assert message.data == 1009
            await asyncio.sleep(1.5)
            assert (await http.get(f"/api/sessions/{session['id']}")).status == 200, "an agent keeps a session alive"
            await http.delete(f"/api/sessions/{session['id']}")
            assert (await wait_for(sockets[2], "ended"))["reason"] == "deleted"

    asyncio.run(run())


def test_the_example_client_speaks_a_file(tmp_path: Path) -> None:
    """docs/examples/speak.py, from a pipe as protocol.md shows it."""

    async def run() -> None:
        async with serving(tmp_path) as http:
            command = [sys.executable, ROOT / "docs/examples/speak.py", str(http.make_url("")).rstrip("/"), "-"]
            piped = {"input": wav(0.5, 24_000), "capture_output": True, "timeout": 60}
            done = await asyncio.to_thread(subprocess.run, command, **piped)  # type: ignore[arg-type]
            said = done.stdout.decode().splitlines()
            assert done.returncode == 0, done.stderr.decode()
            assert said[0].startswith("watch: http")
            assert "'what': 'ended'" in said[-1]

    asyncio.run(run())


def test_the_example_client_interrupts_the_avatar_when_it_is_interrupted(tmp_path: Path) -> None:
    (tmp_path / "long.wav").write_bytes(wav(20, 16_000))

    async def run() -> None:
        async with serving(tmp_path) as http:
            command = [
                str(ROOT / "docs/examples/speak.py"),
                str(http.make_url("")).rstrip("/"),
                str(tmp_path / "long.wav"),
            ]
            client = await asyncio.create_subprocess_exec(
                sys.executable, *command, stdout=asyncio.subprocess.PIPE,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # what runs behind a shell's & ignores it
            )  # fmt: skip
            assert client.stdout
            async with asyncio.timeout(60):
                while b"'started'" not in (await client.stdout.readline()):
                    pass
                client.send_signal(signal.SIGINT)
                assert b"'interrupted'" in await client.stdout.read()
                assert await client.wait() == 0

    asyncio.run(run())


def heard_by_the_example_client(*said: dict[str, object]) -> tuple[bool, int]:
    """(what its `listen` says, how many of the messages it has read)."""
    read = 0

    class Channel:
        async def __aiter__(self) -> AsyncIterator[SimpleNamespace]:
            nonlocal read
            for message in said:
                read += 1
                yield SimpleNamespace(json=lambda message=message: message)

    was_spoken = asyncio.run(runpy.run_path(str(ROOT / "docs/examples/speak.py"))["listen"](Channel()))
    return was_spoken, read


def speech(what: str, clip: str) -> dict[str, object]:
    return {"type": "speech", "what": what, "clip": clip}


QUEUED, ANOTHER, ACK = {"type": "queued", "clip": "c"}, {"type": "queued", "clip": "d"}, {"type": "ack", "id": "end"}


def test_the_example_client_waits_for_its_own_utterances_alone() -> None:
    theirs = speech("ended", "another program's")
    assert heard_by_the_example_client(QUEUED, theirs, ACK, speech("ended", "c"), theirs) == (True, 4)
    assert heard_by_the_example_client(QUEUED, speech("ended", "c"), ANOTHER, ACK, speech("ended", "d")) == (True, 5)
    assert heard_by_the_example_client(ACK, theirs) == (True, 1), "there was nothing to speak"


def test_an_answer_that_was_on_its_way_is_not_taken_for_that_of_the_interrupt() -> None:
    assert heard_by_the_example_client(QUEUED, ACK, speech("interrupted", "c"), ACK) == (False, 3)


def test_the_example_client_fails_when_not_everything_was_spoken() -> None:
    assert heard_by_the_example_client(QUEUED, {"type": "error", "code": "too_many"}, ACK) == (False, 2)
    assert heard_by_the_example_client(QUEUED, ACK, {"type": "ended", "reason": "deleted"}) == (False, 3)


def test_a_quarter_of_an_hour_is_within_what_a_channel_takes_at_once() -> None:
    piece_s = runpy.run_path(str(ROOT / "docs/examples/speak.py"))["PIECE_S"]
    assert MAX_WAITING_S / piece_s < 2000 and piece_s * max(speech_line.RATES_HZ) * 2 <= speech_line.MAX_MESSAGE_BYTES


def test_an_interrupt_silences_what_waits_of_an_utterance_before_the_one_that_is_spoken(line: Line) -> None:
    hushed: list[int] = []
    line.speaker.speaking._playout.hush = lambda frames: hushed.extend(f for f in range(100) if f in frames) or 0  # type: ignore[method-assign, func-returns-value]
    speech = np.full(MEDIA_FRAME_SAMPLES * 5, 1000, np.int16).tobytes()
    for first_frame in (10, 20):
        line.line.hear(speech)
        line.ask("end")
        for frame in range(first_frame, first_frame + 7):
            line.speaker.speaking.take(frame)
    line.speaker.speaking.stop(30)
    assert hushed == [*range(10, 15), *range(20, 25)]
