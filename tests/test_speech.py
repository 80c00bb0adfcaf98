"""Files are spoken one after the other, and can be interrupted."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from realtime import speech
from realtime.errors import TooMany
from realtime.speech import SpeechClip, SpeechEvent, SpeechQueue
from tests.live_client import living, serving
from tests.test_sound_file import wav


def clip(name: str, samples: int) -> SpeechClip:
    return SpeechClip(name, np.full(samples, 100, np.int16))


def test_clips_follow_each_other_without_a_gap() -> None:
    queue = SpeechQueue()
    queue.put(clip("a", 1000))
    queue.put(clip("b", 500))
    first, events = queue.take(800)
    assert first is not None and (first == 100).all()
    assert events == [SpeechEvent("a", "started")]
    second, events = queue.take(800)
    assert second is not None and (second[:700] == 100).all() and not second[700:].any()
    assert events == [SpeechEvent("a", "ended"), SpeechEvent("b", "started"), SpeechEvent("b", "ended")]
    assert queue.take(800) == (None, [])


def test_stopping_fades_the_one_and_forgets_the_others() -> None:
    queue = SpeechQueue()
    queue.put(clip("a", 5000))
    queue.put(clip("b", 5000))
    queue.take(800)
    queue.stop()
    tail, events = queue.take(800)
    assert tail is not None and tail[0] == 100 and not tail[speech.FADE_SAMPLES :].any()
    assert events == [SpeechEvent("a", "interrupted"), SpeechEvent("b", "interrupted")]
    assert queue.waiting_s == 0
    queue.stop()
    queue.put(clip("c", 100))
    assert queue.take(800)[1] == [SpeechEvent("c", "started"), SpeechEvent("c", "ended")]


def test_a_full_queue_refuses() -> None:
    queue = SpeechQueue()
    for i in range(speech.MAX_CLIPS):
        queue.put(clip(str(i), 100))
    with pytest.raises(TooMany, match="speech.stop"):
        queue.put(clip("x", 100))


def test_more_speech_than_may_wait_is_refused() -> None:
    queue = SpeechQueue()
    queue.put(clip("a", (speech.MAX_WAITING_S - 1) * 48_000))
    with pytest.raises(TooMany, match="may wait"):
        queue.put(clip("b", 48_001))


def test_a_session_speaks_a_file_instead_of_the_microphone_and_tells_its_operators(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as http, living(http, loud=False) as client:
            await client.watch(0.3)
            path = f"/api/sessions/{client.session_id}"
            async with http.ws_connect(f"{path}/control") as socket:
                response = await http.post(f"{path}/audio", data=wav(0.6))
                assert response.status == 202
                sent = await response.json()
                assert sent["duration_ms"] == 600
                assert sent["begins_in_ms"] == 260
                heard = await client.watch(1.5)
                assert max(level for _, level in heard.levels) > 1000
                assert max(heard.openings) > min(heard.openings) + 5, "the mouth speaks the file"
                told = []
                while len(told) < 2:
                    message = await socket.receive_json(timeout=5)
                    if message["type"] == "speech":
                        told.append((message["clip"], message["what"]))
                assert told == [(sent["clip"], "started"), (sent["clip"], "ended")]
                await http.post(f"{path}/audio", data=wav(20))
                await socket.send_json({"type": "speech.stop", "id": "halt"})
                while (message := await socket.receive_json(timeout=5))["type"] != "speech":
                    pass
                while message.get("what") != "interrupted":
                    message = await socket.receive_json(timeout=5)
            assert (await http.post(f"{path}/audio", data=b"nothing")).status == 400

    asyncio.run(run())
