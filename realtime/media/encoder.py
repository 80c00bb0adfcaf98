"""One encode a session: each picture to H.264, VP8, JPEG or nothing, each 20 ms of sound to Opus, AAC or nothing."""

from fractions import Fraction
from typing import Literal, Protocol

import av
import cv2
import numpy as np
from av.video.frame import PictureType
from numpy.typing import NDArray

from flap.config import FRAME_RATE_HZ, IMAGE_SIZE, MEDIA_RATE_HZ
from realtime.media.bitrate import RATES
from realtime.media.clock import BLOCK_SAMPLES
from realtime.media.disclosure import mark_h264, mark_jpeg

VideoCodec = Literal["H264", "VP8", "JPEG", "RGB"]  # RGB: the picture itself
SoundCodec = Literal["opus", "AAC", "PCM"]  # PCM: the samples themselves
WEBRTC_CODECS: tuple[VideoCodec, ...] = ("H264", "VP8")  # the first that a viewer offers is taken
VIDEO_CLOCK_HZ = 90_000  # RTP clock of every video codec (RFC 6184, RFC 7741)
OPUS_BITS_PER_SECOND = 48_000
AAC_BITS_PER_SECOND = 96_000
AAC_CONFIG = bytes.fromhex("1190")  # AudioSpecificConfig (ISO 14496-3): low complexity, 48 kHz, stereo
JPEG_QUALITY = 90


class PictureEncoder(Protocol):
    bits_per_second: int | None  # None: as many as it takes

    def encode(self, picture: NDArray[np.uint8], frame: int, key_frame: bool) -> list[av.Packet]: ...


class SoundEncoder(Protocol):
    def encode(self, samples: NDArray[np.int16], block: int) -> list[av.Packet]: ...


def picture_encoder(codec: VideoCodec, size: int, bits_per_second: int = RATES[IMAGE_SIZE][0]) -> PictureEncoder:
    """An encoder for square pictures; JPEG and RGB take what they take."""
    if codec == "JPEG":
        return JpegEncoder()
    return RawPictures() if codec == "RGB" else VideoEncoder(codec, size, bits_per_second)


def sound_encoder(codec: SoundCodec) -> SoundEncoder:
    encoders: dict[SoundCodec, type[SoundEncoder]] = {"opus": OpusEncoder, "AAC": AacEncoder, "PCM": RawSound}
    return encoders[codec]()


class VideoEncoder:
    """RGB frames `[h, w, 3]` to packets, one in, one out, no delay."""

    def __init__(self, codec: Literal["H264", "VP8"], size: int, bits_per_second: int = RATES[IMAGE_SIZE][0]):
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
            # x264 would make up for what hours of a still picture have saved
            most = str(3 * bits_per_second // 2)
            context.options |= {"maxrate": most, "bufsize": most}
        else:
            context.qmin, context.qmax = 2, 50
            context.options = {
                "deadline": "realtime",
                "cpu-used": "-8",
                "lag-in-frames": "0",
                "bufsize": rate,
                "maxrate": rate,
            }
        self._context, self._marks = context, codec == "H264"
        self.bits_per_second: int | None = bits_per_second

    def encode(self, picture: NDArray[np.uint8], frame: int, key_frame: bool) -> list[av.Packet]:
        """Packets of `picture` as frame number `frame`; `key_frame` makes it one that can be decoded alone."""
        planes = cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420)
        video_frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        video_frame.pts, video_frame.time_base = frame, self._context.time_base
        video_frame.pict_type = PictureType.I if key_frame else PictureType.NONE
        return [self._finish(packet, frame) for packet in self._context.encode(video_frame)]

    def _finish(self, packet: av.Packet, frame: int) -> av.Packet:
        """The packet on the media clock; an H.264 key frame says that it is made by AI."""
        data = mark_h264(bytes(packet)) if self._marks and packet.is_keyframe else bytes(packet)
        return _picture_packet(data, frame, packet.is_keyframe)


class JpegEncoder:
    """RGB frames to JPEG files, each of which says that it is made by AI."""

    bits_per_second: int | None = None

    def encode(self, picture: NDArray[np.uint8], frame: int, key_frame: bool) -> list[av.Packet]:
        _, jpeg = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        return [_picture_packet(mark_jpeg(jpeg.tobytes()), frame, key_frame=True)]


class RawPictures:
    """RGB frames as they are, row by row."""

    bits_per_second: int | None = None

    def encode(self, picture: NDArray[np.uint8], frame: int, key_frame: bool) -> list[av.Packet]:
        return [_picture_packet(picture.tobytes(), frame, key_frame=True)]


class OpusEncoder:
    """Mono 20 ms blocks at 48 kHz to Opus packets."""

    def __init__(self) -> None:
        context = av.CodecContext.create("libopus", "w")
        context.sample_rate, context.bit_rate = MEDIA_RATE_HZ, OPUS_BITS_PER_SECOND
        context.format, context.layout = "s16", "mono"
        context.time_base = Fraction(1, MEDIA_RATE_HZ)
        context.options = {"application": "voip", "frame_duration": "20"}
        self._context = context

    def encode(self, samples: NDArray[np.int16], block: int) -> list[av.Packet]:
        """Packets of `samples` `[960]` as 20 ms block number `block`."""
        # libopus dates packets back by its look-ahead; viewers must see equal numbers for what leaves together
        return [
            _sound_packet(bytes(packet), block * BLOCK_SAMPLES)
            for packet in self._context.encode(_frame(samples, block))
        ]


class AacEncoder:
    """Mono 20 ms blocks at 48 kHz to AAC-LC in stereo, which is what players and platforms expect."""

    def __init__(self) -> None:
        context = av.CodecContext.create("aac", "w")
        context.sample_rate, context.bit_rate = MEDIA_RATE_HZ, AAC_BITS_PER_SECOND
        context.format, context.layout = "fltp", "stereo"
        context.time_base = Fraction(1, MEDIA_RATE_HZ)
        context.open()
        self._context, self._next_block = context, -1
        self._regroup = self._new_regroup()

    @staticmethod
    def _new_regroup() -> av.AudioResampler:
        return av.AudioResampler("fltp", "stereo", MEDIA_RATE_HZ, frame_size=1024)

    def encode(self, samples: NDArray[np.int16], block: int) -> list[av.Packet]:
        """Packets that became complete with `samples` `[960]`: one or none, dated by their own first sample."""
        # the same sample left and right: a resampler that makes stereo of mono takes 3 dB away
        if block != self._next_block:  # blocks were left out: begin afresh at the new time
            self._regroup = self._new_regroup()
        self._next_block = block + 1
        packets = [
            p
            for whole in self._regroup.resample(_frame(np.repeat(samples, 2), block, "stereo"))
            for p in self._context.encode(whole)
        ]
        return [_sound_packet(bytes(packet), packet.pts) for packet in packets]


class RawSound:
    """Mono 20 ms blocks as they are: 16-bit samples at 48 kHz."""

    def encode(self, samples: NDArray[np.int16], block: int) -> list[av.Packet]:
        return [_sound_packet(samples.tobytes(), block * BLOCK_SAMPLES)]


def _frame(samples: NDArray[np.int16], block: int, layout: str = "mono") -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout=layout)
    frame.sample_rate, frame.pts, frame.time_base = MEDIA_RATE_HZ, block * BLOCK_SAMPLES, Fraction(1, MEDIA_RATE_HZ)
    return frame


def _sound_packet(data: bytes, sample: int) -> av.Packet:
    packet = av.Packet(data)
    packet.pts = packet.dts = sample
    packet.time_base, packet.is_keyframe = Fraction(1, MEDIA_RATE_HZ), True
    return packet


def _picture_packet(data: bytes, frame: int, key_frame: bool) -> av.Packet:
    packet = av.Packet(data)
    packet.pts = packet.dts = frame * (VIDEO_CLOCK_HZ // FRAME_RATE_HZ)
    packet.time_base, packet.is_keyframe = Fraction(1, VIDEO_CLOCK_HZ), key_frame
    return packet
