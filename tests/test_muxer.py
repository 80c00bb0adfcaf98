"""What is muxed can be played, begins at a key frame and says that it is made by AI."""

import io
import struct
from typing import Literal

import av
import numpy as np
import pytest

from realtime.media.disclosure import MARK
from realtime.media.encoder import picture_encoder, sound_encoder
from realtime.outputs.muxer import Muxer
from tests.shows import TONE, Show


class Buffer(io.BytesIO):
    def close(self) -> None:
        """Keeps what was written."""


@pytest.mark.parametrize("size", [256, 512])
@pytest.mark.parametrize("container", ["mpegts", "flv"])
def test_a_player_sees_and_hears_the_same_from_the_first_key_frame_on(
    container: Literal["mpegts", "flv"], size: int
) -> None:
    show, buffer = Show(size), Buffer()
    video, sound = picture_encoder("H264", size), sound_encoder("AAC")
    muxer = Muxer(buffer, container, picture_size=size, sound=True)
    video.encode(show.picture(), 0, key_frame=True)
    for block in range(600, 650):
        for packet in sound.encode(TONE, block):
            muxer.put(False, packet)
        if block % 2 == 0:
            for packet in video.encode(show.picture(), block // 2, key_frame=block == 610):
                muxer.put(True, packet)
    muxer.close()
    assert MARK.encode() in buffer.getvalue()
    if container == "flv":  # says so before its pictures, as a number of eight bytes
        assert b"\x00\x05width\x00" + struct.pack(">d", size) in buffer.getvalue()
    with av.open(io.BytesIO(buffer.getvalue()), format=container) as played:
        assert (played.streams.video[0].width, played.streams.video[0].height) == (size, size)
    frames = list(av.open(io.BytesIO(buffer.getvalue()), format=container).decode(video=0))
    voice = list(av.open(io.BytesIO(buffer.getvalue()), format=container).decode(audio=0))
    assert len(frames) == 20
    assert np.abs(frames[0].to_ndarray(format="rgb24").astype(int) - show.picture()).mean() < 8
    assert abs(frames[0].time - voice[0].time) < 0.05, "sound and picture begin together"
    assert len(voice) * 1024 / 48_000 == pytest.approx(0.8, abs=0.08)
    assert np.abs(voice[10].to_ndarray()).mean() == pytest.approx(8000 / 32_768 * 2 / np.pi, rel=0.15)


def test_without_sound_there_is_one_stream_and_others_packets_stay_as_they_were() -> None:
    buffer, video = Buffer(), picture_encoder("H264", 256)
    muxer = Muxer(buffer, "mpegts", picture_size=256, sound=False)
    packets = [p for i in range(100, 110) for p in video.encode(Show().picture(), i, key_frame=i == 100)]
    before = [(p.pts, p.time_base, p.stream_index) for p in packets]
    for packet in packets:
        muxer.put(True, packet)
    muxer.close()
    assert [(p.pts, p.time_base, p.stream_index) for p in packets] == before
    assert len(av.open(io.BytesIO(buffer.getvalue()), format="mpegts").streams) == 1
