"""What is encoded can be decoded, packet by packet, from any key frame on."""

import av
import cv2
import numpy as np
import pytest

from flap import coefficients as co
from realtime.media.disclosure import MARK
from realtime.media.encoder import (
    AAC_CONFIG,
    WEBRTC_CODECS,
    AacEncoder,
    OpusEncoder,
    VideoCodec,
    VideoEncoder,
    picture_encoder,
    sound_encoder,
)
from tests.fakes import SKIN, draw

DECODERS = {"H264": "h264", "VP8": "vp8"}


@pytest.mark.parametrize("codec", WEBRTC_CODECS)
def test_a_viewer_can_start_at_a_requested_key_frame(codec: VideoCodec) -> None:
    encoder = picture_encoder(codec, 256)
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


def test_an_h264_key_frame_says_that_it_is_made_by_ai_and_others_need_not() -> None:
    encoder = VideoEncoder("H264", 256)
    first, second = (encoder.encode(draw(co.neutral(), SKIN["ada"]), i, key_frame=i == 0)[0] for i in range(2))
    assert MARK.encode() in bytes(first) and MARK.encode() not in bytes(second)


def test_a_jpeg_is_a_picture_and_a_raw_picture_is_itself() -> None:
    picture = draw(co.neutral(), SKIN["ada"])
    (jpeg,), (raw,) = (picture_encoder(codec, 256).encode(picture, 3, key_frame=False) for codec in ("JPEG", "RGB"))
    decoded = cv2.imdecode(np.frombuffer(bytes(jpeg), np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    assert np.abs(decoded.astype(int) - picture).mean() < 4
    assert bytes(raw) == picture.tobytes()
    assert (jpeg.pts, jpeg.is_keyframe, raw.pts) == (3 * 3600, True, 3 * 3600)


def test_aac_is_heard_at_its_own_time_even_after_a_gap() -> None:
    encoder, decoder = AacEncoder(), av.CodecContext.create("aac", "r")
    decoder.extradata = AAC_CONFIG
    burst = (np.sin(2 * np.pi * 1000 * np.arange(960) / 48_000) * 10_000).astype(np.int16)
    heard = {}
    for block in [*range(40), *range(90, 130)]:
        packets = encoder.encode(burst if block in (20, 110) else np.zeros(960, np.int16), block)
        heard.update({p.pts: np.abs(f.to_ndarray()).max() for p in packets for f in decoder.decode(p)})
    loud_s = [pts / 48_000 for pts, level in heard.items() if level > 0.1]
    assert {round(second, 1) for second in loud_s} == {0.4, 2.2}
    assert max(heard) > 120 * 960


def test_raw_sound_is_itself() -> None:
    samples = np.arange(960, dtype=np.int16)
    (packet,) = sound_encoder("PCM").encode(samples, 7)
    assert (bytes(packet), packet.pts) == (samples.tobytes(), 7 * 960)


def test_sound_keeps_its_numbers_and_its_level() -> None:
    encoder, decoder = OpusEncoder(), av.CodecContext.create("libopus", "r")
    tone = (np.sin(2 * np.pi * 440 * np.arange(960 * 20) / 48_000) * 10_000).astype(np.int16).reshape(20, 960)
    levels = []
    for block, samples in enumerate(tone):
        packets = encoder.encode(samples, block)
        assert [packet.pts for packet in packets] == [block * 960]
        levels += [np.abs(frame.to_ndarray()).astype(float).mean() for p in packets for frame in decoder.decode(p)]
    scale = 32_768 if max(levels) < 2 else 1
    assert levels[-1] * scale == pytest.approx(10_000 * 2 / np.pi, rel=0.2)


def test_a_show_after_a_long_still_takes_no_more_than_half_as_much_again_as_it_should() -> None:
    encoder, rng = VideoEncoder("H264", 256, bits_per_second=700_000), np.random.default_rng(0)
    still = draw(co.neutral(), SKIN["ada"])
    for frame in range(1500):
        encoder.encode(still, frame, key_frame=frame == 0)
    wall = cv2.GaussianBlur(rng.integers(0, 255, (500, 600, 3), np.uint8), (0, 0), 1.2)
    sizes = []
    for i in range(100):  # a camera that passes along it
        passed = np.ascontiguousarray(wall[2 * i :][:256, 3 * i :][:, :256])
        sizes += [len(bytes(packet)) for packet in encoder.encode(passed, 1500 + i, key_frame=False)]
    assert sum(sizes[25:]) * 8 / 3 < 1.6 * 700_000
