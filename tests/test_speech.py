"""Files are spoken one after the other, and can be interrupted."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from realtime.config import ServerConfig
from realtime.errors import TooMany
from realtime.media.delay import Budget, delay_ms
from realtime.sound import speech
from realtime.sound.concealment import FADE_SAMPLES
from realtime.sound.speech import SpeechClip, SpeechEvent, SpeechQueue
from realtime.web import sessions
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
    assert second is not None and (second[: 700 - FADE_SAMPLES] == 100).all() and not second[700:].any()
    assert np.abs(np.diff(second)).max() <= 1, "the last one fades out"
    assert events == [SpeechEvent("a", "ended", 1000), SpeechEvent("b", "started"), SpeechEvent("b", "ended", 500)]
    assert queue.take(800) == (None, [])


@pytest.mark.parametrize("left", [1, 20, FADE_SAMPLES - 1])
def test_a_clip_fades_out_across_the_pieces_that_it_is_taken_in(left: int) -> None:
    queue = SpeechQueue()
    queue.put(SpeechClip("a", np.full(1920 + left, 10_000, np.int16)))
    queue.put(SpeechClip("b"))  # a stream of which nothing has come
    heard = np.concatenate([queue.take(1920)[0], queue.take(1920)[0]]).astype(int)
    assert np.abs(np.diff(heard)).max() <= 10_000 / FADE_SAMPLES + 1
    assert (heard[: 1920 + left - FADE_SAMPLES] == 10_000).all() and not heard[1920 + left :].any()


def test_stopping_forgets_the_one_that_is_spoken_and_the_others() -> None:
    queue = SpeechQueue()
    queue.put(clip("a", 5000))
    queue.put(clip("b", 5000))
    queue.take(800)
    assert queue.stop() == [SpeechEvent("a", "interrupted", 800), SpeechEvent("b", "interrupted", 0)]
    assert queue.waiting_s == 0
    assert queue.take(800) == (None, [])
    queue.put(clip("c", 100))
    assert queue.take(800)[1] == [SpeechEvent("c", "started"), SpeechEvent("c", "ended", 100)]


def test_a_stream_is_begun_when_enough_of_it_waits_and_keeps_silent_where_it_runs_dry() -> None:
    queue, stream = SpeechQueue(), SpeechClip("s")
    stream.add(np.full(speech.HEAD_START_SAMPLES - 1, 100, np.int16))
    queue.put(stream)
    assert queue.take(800) == (None, []), "the microphone is heard until there is enough"
    queue.add(stream, np.full(1, 100, np.int16))
    heard, events = queue.take(speech.HEAD_START_SAMPLES + 500)
    assert heard is not None and heard[speech.HEAD_START_SAMPLES - FADE_SAMPLES - 1] == 100 and not heard[-500:].any()
    assert np.abs(np.diff(heard)).max() <= 1, "it fades out"
    assert events == [SpeechEvent("s", "started")]
    queue.add(stream, np.full(600, 100, np.int16))
    heard, events = queue.take(800)
    assert heard is not None and not heard.any() and events == [], "it waits for a head start again"
    stream.is_complete = True
    heard, events = queue.take(800)
    assert heard is not None and (heard[FADE_SAMPLES : 600 - FADE_SAMPLES] == 100).all() and not heard[600:].any()
    assert heard[0] == 0 and np.abs(np.diff(heard)).max() <= 1, "and in again, and out at its end"
    assert events == [SpeechEvent("s", "ended", speech.HEAD_START_SAMPLES + 600)]


def test_a_stream_that_never_goes_on_ends_and_lets_the_next_be_heard() -> None:
    queue, stream = SpeechQueue(), SpeechClip("s")
    stream.add(np.full(100, 100, np.int16))
    queue.put(stream)
    queue.put(clip("next", 100))
    told: list[SpeechEvent] = []
    for _ in range(26):
        assert not told, "not before its two seconds are over"
        told += queue.take(3840)[1]
    assert [event.what for event in told] == ["started", "ended"] * 2


def test_a_full_queue_refuses() -> None:
    queue = SpeechQueue()
    for i in range(speech.MAX_CLIPS):
        queue.put(clip(str(i), 100))
    with pytest.raises(TooMany, match="interrupt"):
        queue.put(clip("x", 100))


def test_more_speech_than_may_wait_is_refused() -> None:
    queue = SpeechQueue()
    queue.put(clip("a", (speech.MAX_WAITING_S - 1) * 48_000))
    with pytest.raises(TooMany, match="may wait"):
        queue.put(clip("b", 48_001))


def test_a_file_that_was_still_being_read_when_speech_was_stopped_is_not_spoken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_read, may_end, read = asyncio.Event(), asyncio.Event(), sessions.read_sound

    async def slowly(data: bytes) -> np.ndarray:
        samples = await read(data)
        is_read.set()
        await may_end.wait()
        return samples

    monkeypatch.setattr(sessions, "read_sound", slowly)

    async def run() -> None:
        async with serving(tmp_path) as http, living(http, loud=False) as client:
            path = f"/api/sessions/{client.session_id}/audio"
            sending = asyncio.create_task(http.post(path, data=wav(0.6)))
            await is_read.wait()
            assert (await http.delete(path)).status == 204
            may_end.set()
            refused = await sending
            assert refused.status == 409 and "stopped while this file was being read" in await refused.text()
            assert (await http.post(path, data=wav(0.6))).status == 202

    asyncio.run(run())


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
                least_ms = delay_ms(Budget(ServerConfig().least_render_budget_ms), lookahead_ms=80)
                assert least_ms <= sent["begins_in_ms"] <= 350
                heard = await client.watch(1.5)
                assert max(level for _, level in heard.levels) > 1000
                assert max(heard.openings) > min(heard.openings) + 5, "the mouth speaks the file"
                told = []
                while len(told) < 2:
                    message = await socket.receive_json(timeout=60)
                    if message["type"] == "speech":
                        told.append((message["clip"], message["what"]))
                assert told == [(sent["clip"], "started"), (sent["clip"], "ended")]
                await http.post(f"{path}/audio", data=wav(20))
                await socket.send_json({"type": "speech.stop", "id": "halt"})
                while (message := await socket.receive_json(timeout=60))["type"] != "speech":
                    pass
                while message.get("what") != "interrupted":
                    message = await socket.receive_json(timeout=60)
            assert (await http.post(f"{path}/audio", data=b"nothing")).status == 400

    asyncio.run(run())
