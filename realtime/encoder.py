"""One encode a session: frames to H.264 or VP8 packets, sound to Opus packets."""

from fractions import Fraction
from typing import Literal

import av
import cv2
import numpy as np
from av.video.frame import PictureType
from numpy.typing import NDArray

from flap.config import FRAME_RATE_HZ, MEDIA_RATE_HZ
from realtime.clock import BLOCK_SAMPLES

VideoCodec = Literal["H264", "VP8"]
VIDEO_CLOCK_HZ = 90_000  # RTP clock of every video codec (RFC 6184, RFC 7741)
SOUND_BITS_PER_SECOND = 48_000


class VideoEncoder:
    """RGB frames `[h, w, 3]` to packets, one in, one out, no delay."""

    def __init__(self, codec: VideoCodec, size: int, bits_per_second: int = 700_000):
        name = {"H264": "libx264", "VP8": "libvpx"}[codec]
        context = av.CodecContext.create(name, "w")
        context.width = context.height = size
        context.pix_fmt = "yuv420p"
        context.bit_rate = bits_per_second
        context.time_base = Fraction(1, FRAME_RATE_HZ)
        context.framerate = Fraction(FRAME_RATE_HZ, 1)
        context.gop_size = 10 * FRAME_RATE_HZ
        context.thread_count = 1
        rate = str(bits_per_second)
        if codec == "H264":
            context.profile = "Baseline"
            # without forced-idr a requested key frame need not be one that a new viewer can start from
            context.options = {"preset": "superfast", "tune": "zerolatency", "forced-idr": "1", "level": "31"}
        else:
            context.qmin, context.qmax = 2, 50
            context.options = {
                "deadline": "realtime",
                "cpu-used": "-8",
                "lag-in-frames": "0",
                "bufsize": rate,
                "maxrate": rate,
            }
        self._context = context

    def encode(self, picture: NDArray[np.uint8], frame: int, key_frame: bool) -> list[av.Packet]:
        """Packets of `picture` as frame number `frame`; `key_frame` makes it one that can be decoded alone."""
        planes = cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420)
        video_frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        video_frame.pts, video_frame.time_base = frame, self._context.time_base
        video_frame.pict_type = PictureType.I if key_frame else PictureType.NONE
        packets = self._context.encode(video_frame)
        for packet in packets:
            packet.pts = packet.pts * (VIDEO_CLOCK_HZ // FRAME_RATE_HZ)
            packet.time_base = Fraction(1, VIDEO_CLOCK_HZ)
        return packets


class SoundEncoder:
    """Mono 20 ms blocks at 48 kHz to Opus packets."""

    def __init__(self) -> None:
        context = av.CodecContext.create("libopus", "w")
        context.sample_rate, context.bit_rate = MEDIA_RATE_HZ, SOUND_BITS_PER_SECOND
        context.format, context.layout = "s16", "mono"
        context.time_base = Fraction(1, MEDIA_RATE_HZ)
        context.options = {"application": "voip", "frame_duration": "20"}
        self._context = context

    def encode(self, samples: NDArray[np.int16], block: int) -> list[av.Packet]:
        """Packets of `samples` `[960]` as 20 ms block number `block`."""
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = MEDIA_RATE_HZ, block * BLOCK_SAMPLES
        frame.time_base = Fraction(1, MEDIA_RATE_HZ)
        packets = self._context.encode(frame)
        for packet in packets:
            # libopus dates packets back by its look-ahead; viewers must see equal numbers for what leaves together
            packet.pts, packet.time_base = block * BLOCK_SAMPLES, Fraction(1, MEDIA_RATE_HZ)
        return packets
