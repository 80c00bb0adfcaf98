"""What is encoded can be decoded, packet by packet, from any key frame on."""

from typing import get_args

import av
import numpy as np
import pytest

from flap import coefficients as co
from realtime.encoder import SoundEncoder, VideoCodec, VideoEncoder
from tests.fakes import SKIN, draw

DECODERS = {"H264": "h264", "VP8": "vp8"}


@pytest.mark.parametrize("codec", get_args(VideoCodec))
def test_a_viewer_can_start_at_a_requested_key_frame(codec: VideoCodec) -> None:
    encoder = VideoEncoder(codec, 256)
    pictures = [draw(co.from_arkit({"jawOpen": 0.1 * i}), SKIN["ada"]) for i in range(8)]
    packets = [encoder.encode(picture, i, key_frame=i in (0, 5)) for i, picture in enumerate(pictures)]
    assert [len(group) for group in packets] == [1] * 8, "no picture waits in the encoder"
    flat = [group[0] for group in packets]
    assert [i for i, packet in enumerate(flat) if packet.is_keyframe] == [0, 5]
    assert [packet.pts for packet in flat] == [3600 * i for i in range(8)]
    decoder = av.CodecContext.create(DECODERS[codec], "r")
    shown = [frame for packet in flat[5:] for frame in decoder.decode(packet)] + decoder.decode(None)
    assert len(shown) == 3
    error = shown[0].to_ndarray(format="rgb24").astype(float) - pictures[5]
    assert np.abs(error).mean() < 8


def test_sound_keeps_its_numbers_and_its_level() -> None:
    encoder, decoder = SoundEncoder(), av.CodecContext.create("libopus", "r")
    tone = (np.sin(2 * np.pi * 440 * np.arange(960 * 20) / 48_000) * 10_000).astype(np.int16).reshape(20, 960)
    levels = []
    for block, samples in enumerate(tone):
        packets = encoder.encode(samples, block)
        assert [packet.pts for packet in packets] == [block * 960]
        levels += [np.abs(frame.to_ndarray()).astype(float).mean() for p in packets for frame in decoder.decode(p)]
    scale = 32_768 if max(levels) < 2 else 1
    assert levels[-1] * scale == pytest.approx(10_000 * 2 / np.pi, rel=0.2)
