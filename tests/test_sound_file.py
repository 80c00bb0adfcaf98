"""Sound files are read by a confined process, and nothing but the formats that are named is tried."""

import asyncio
import io
import sys
from dataclasses import replace

import av
import numpy as np
import pytest
import soundfile

from realtime.errors import BadRequest, TooLarge, Unavailable
from realtime.sound import sound_file
from realtime.sound.sound_file import decode, read_sound


def tone(seconds: float, rate_hz: int = 48_000) -> np.ndarray:
    return (np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate_hz)) / rate_hz) * 12_000).astype(np.int16)


def wav(seconds: float, rate_hz: int = 48_000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, tone(seconds, rate_hz), rate_hz, format="WAV", subtype="PCM_16")
    return file.getvalue()


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
    monkeypatch.setattr(sound_file, "MAX_CLIP_S", 1)
    with pytest.raises(TooLarge, match="in parts"):
        decode(wav(1.5))


@pytest.mark.parametrize("data", [b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", b"ffconcat version 1.0\nfile a.wav\n"])
def test_a_playlist_is_never_opened(data: bytes) -> None:
    with pytest.raises(BadRequest, match="no sound file that this server reads"):
        decode(data)


def test_a_confined_process_reads_what_this_one_would() -> None:
    data = wav(0.5, 44_100)
    assert np.array_equal(asyncio.run(read_sound(data)), decode(data))


@pytest.mark.parametrize("data", [b"hello", wav(0.2)[:30]])
def test_its_refusals_come_through(data: bytes) -> None:
    with pytest.raises(BadRequest, match="send wav|no sound"):
        asyncio.run(read_sound(data))


def test_a_file_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound_file, "BOUNDS", replace(sound_file.BOUNDS, seconds=0.02))
    with pytest.raises(Unavailable, match="too long"):
        asyncio.run(read_sound(wav(0.5)))


@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited on Linux")
def test_a_file_that_takes_too_much_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound_file, "BOUNDS", replace(sound_file.BOUNDS, memory_bytes=2**28))
    with pytest.raises(BadRequest, match="limits"):
        asyncio.run(read_sound(wav(250, 16_000)))
