"""Sound files of strangers to samples: `python -m realtime.sound.sound_file` reads a file and writes what is in it.

The server runs this as a confined process (`read_sound`): FFmpeg's readers are large, and files may be made to harm them.
"""

import io
import sys
from collections.abc import Iterator

import av
import numpy as np
from numpy.typing import NDArray

from flap.config import MEDIA_RATE_HZ
from realtime.confined import Bounds, raise_refusal, refuse, run_confined
from realtime.errors import BadRequest, TooLarge

MAX_UPLOAD_BYTES = 16 * 2**20
MAX_CLIP_S = 300
BOUNDS = Bounds(seconds=20, memory_bytes=2**30, answer_bytes=(MAX_CLIP_S + 10) * MEDIA_RATE_HZ * 2)
REFUSALS = (BadRequest, TooLarge)
ADVICE = "send wav, mp3, ogg, flac or m4a"
READERS = ("wav", "mp3", "ogg", "flac", "mov")  # FFmpeg's names; a reader that is not named is never asked
CODECS = ("mp3", "mp3float", "vorbis", "libvorbis", "opus", "libopus", "flac", "aac", "alac")  # and pcm_*


def reader_of(data: bytes) -> str | None:
    """The reader for a file, by how it begins; None for what is not allowed."""
    if data[:4] in (b"RIFF", b"RF64") and data[8:12] == b"WAVE":
        return "wav"
    if data[:4] == b"OggS":
        return "ogg"
    if data[:4] == b"fLaC":
        return "flac"
    if data[4:8] == b"ftyp":
        return "mov"
    if data[:3] == b"ID3" or (len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0):
        return "mp3"
    return None


def decode(data: bytes) -> NDArray[np.int16]:
    """Mono sound `[n]` at 48 kHz of a file. Raises BadRequest when it has none, TooLarge beyond MAX_CLIP_S."""
    reader = reader_of(data)
    if reader is None:
        raise BadRequest(f"the file is no sound file that this server reads: {ADVICE}")
    try:
        with av.open(io.BytesIO(data), format=reader, metadata_errors="ignore") as container:
            pieces = list(_pieces(container))
    except av.FFmpegError as error:
        raise BadRequest(f"the file cannot be read as sound ({error.strerror}): {ADVICE}") from error
    if not pieces:
        raise BadRequest("the file has no sound in it")
    return np.concatenate(pieces)


def _pieces(container: av.container.InputContainer) -> Iterator[NDArray[np.int16]]:
    if not container.streams.audio:
        raise BadRequest(f"the file has no sound: {ADVICE}")
    codec = container.streams.audio[0].codec_context.name
    if codec not in CODECS and not codec.startswith("pcm_"):
        raise BadRequest(f"sound in {codec} is not read: {ADVICE}")
    resampler = av.AudioResampler("s16", "mono", MEDIA_RATE_HZ)
    count = 0
    for frame in container.decode(audio=0):
        for piece in resampler.resample(frame):
            samples = np.asarray(piece.to_ndarray()[0], np.int16)
            count += len(samples)
            yield samples
        if count > MAX_CLIP_S * MEDIA_RATE_HZ:
            raise TooLarge(f"the sound is longer than {MAX_CLIP_S} s: send it in parts")


async def read_sound(data: bytes) -> NDArray[np.int16]:
    """`decode` in a confined process. Raises BadRequest, TooLarge, or Unavailable when it takes too long."""
    outcome = await run_confined(["-m", "realtime.sound.sound_file"], data, BOUNDS)
    if outcome.status == 0:
        return np.frombuffer(outcome.said, np.int16)
    raise_refusal(outcome.said, REFUSALS, f"the file cannot be read as sound within this server's limits: {ADVICE}")


def main() -> None:
    try:
        sys.stdout.buffer.write(decode(sys.stdin.buffer.read()).tobytes())
    except REFUSALS as error:
        refuse(error)


if __name__ == "__main__":
    main()
