"""Files are decoded, spoken one after the other, and can be interrupted."""

import asyncio
import io
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from realtime import speech
from realtime.errors import BadRequest, TooLarge, TooMany
from realtime.speech import SpeechClip, SpeechEvent, SpeechQueue, decode
from tests.live_client import living, serving


def tone(seconds: float, rate_hz: int = 48_000) -> np.ndarray:
    return (np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate_hz)) / rate_hz) * 12_000).astype(np.int16)


def wav(seconds: float, rate_hz: int = 48_000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, tone(seconds, rate_hz), rate_hz, format="WAV", subtype="PCM_16")
    return file.getvalue()


def clip(name: str, samples: int) -> SpeechClip:
    return SpeechClip(name, np.full(samples, 100, np.int16))


@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 48_000])
def test_a_wav_of_any_rate_keeps_its_length(rate_hz: int) -> None:
    assert len(decode(wav(0.5, rate_hz))) == pytest.approx(24_000, abs=200)


def test_compressed_sound_is_decoded() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(0.5)[None], format="s16", layout="mono")
        frame.sample_rate = 48_000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    sound = decode(file.getvalue())
    assert len(sound) == pytest.approx(24_000, abs=2_000)
    assert np.abs(sound).max() > 6_000


@pytest.mark.parametrize("data", [b"", b"hello", wav(0.2)[:30], bytes(5000)])
def test_what_is_no_sound_is_refused_with_a_sentence(data: bytes) -> None:
    with pytest.raises(BadRequest, match="send wav|no sound"):
        decode(data)


def test_a_file_that_lasts_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "MAX_CLIP_S", 1)
    with pytest.raises(TooLarge, match="in parts"):
        decode(wav(1.5))


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
