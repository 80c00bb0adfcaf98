"""Pictures, videos and tracks of strangers to faces: `python -m realtime.drive.face_clip` reads a file and writes what it saw.

The server runs this as a confined process (`read_faces`), as it does with sound files.
"""

import io
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from flap import coefficients as co
from flap.config import FRAME_RATE_HZ
from flap.pictures import PictureError, read_picture
from flap.track import TrackError, read_video, track
from realtime.confined import Bounds, raise_refusal, refuse, run_confined
from realtime.errors import BadRequest, TooLarge, Unprocessable

MAX_UPLOAD_BYTES = 32 * 2**20
MAX_CLIP_S = 60
MAX_FRAMES = MAX_CLIP_S * FRAME_RATE_HZ
MAX_UNPACKED_BYTES = 64 * 2**20
BOUNDS = Bounds(seconds=120, memory_bytes=4 * 2**30, answer_bytes=MAX_FRAMES * co.SIZE * 4 + 1000)
ADVICE = "send an mp4, mov, webm or mkv video, a JPEG, PNG or WebP picture, or the .npz of python -m flap.track"
REFUSALS = (BadRequest, TooLarge, Unprocessable)


def kind_of(data: bytes) -> str:
    """`track`, `picture` or `video`, by how the file begins. Raises BadRequest for anything else."""
    if data[:4] == b"PK\x03\x04":
        return "track"
    if (
        data[:3] == b"\xff\xd8\xff"
        or data[:8] == b"\x89PNG\r\n\x1a\n"
        or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")
    ):
        return "picture"
    if data[4:8] == b"ftyp" or data[:4] == b"\x1a\x45\xdf\xa3":
        return "video"
    raise BadRequest(f"the file is nothing that this server reads faces from: {ADVICE}")


def faces_of(data: bytes) -> co.Array:
    """Coefficients `[n, 120]` at 25 a second. Raises BadRequest, TooLarge, or Unprocessable without MediaPipe."""
    kind = kind_of(data)
    if kind == "track":
        return read_track(data)
    from flap.face_landmarks import FaceLandmarker, FaceLandmarkerError

    try:
        with FaceLandmarker() as landmarker:
            return track(_pictures(data, kind), landmarker).coefficients
    except FaceLandmarkerError as error:
        raise Unprocessable(str(error)) from error
    except PictureError as error:
        raise BadRequest(str(error)) from error
    except TrackError as error:
        raise BadRequest(str(error).replace(tempfile.gettempdir(), "")) from error


def _pictures(data: bytes, kind: str) -> Iterable[np.ndarray]:
    return [read_picture(data)] if kind == "picture" else _video(data)


def _video(data: bytes) -> Iterator[np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip"
        path.write_bytes(data)
        frames = read_video(path)
        yield from islice(frames, MAX_FRAMES)
        if next(frames, None) is not None:
            raise TooLarge(f"the video is longer than {MAX_CLIP_S} s: send a part of it")


def read_track(data: bytes) -> co.Array:
    """The coefficients of a file of flap.track. Raises BadRequest or TooLarge."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:  # what it unpacks to is known before it is unpacked
            if sum(entry.file_size for entry in archive.infolist()) > MAX_UNPACKED_BYTES:
                raise TooLarge("the track is too large: send a part of it")
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            faces, rate_hz = co.check(file["coefficients"]), float(file["frame_rate_hz"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise BadRequest(f"the file is no track of python -m flap.track ({error})") from error
    if rate_hz != FRAME_RATE_HZ or faces.ndim != 2 or not len(faces):
        raise BadRequest(f"a track must have {FRAME_RATE_HZ} faces a second, not {rate_hz:g}")
    if len(faces) > MAX_FRAMES:
        raise TooLarge(f"the track is longer than {MAX_CLIP_S} s: send a part of it")
    return faces


async def read_faces(data: bytes) -> co.Array:
    """`faces_of` in a confined process. Raises what it does, or Unavailable when it takes too long."""
    outcome = await run_confined(["-m", "realtime.drive.face_clip"], data, BOUNDS)
    if outcome.status == 0:
        return np.frombuffer(outcome.said, np.float32).reshape(-1, co.SIZE)
    raise_refusal(outcome.said, REFUSALS, f"the file cannot be looked at within this server's limits: {ADVICE}")


def main() -> None:
    try:
        sys.stdout.buffer.write(faces_of(sys.stdin.buffer.read()).astype(np.float32).tobytes())
    except REFUSALS as error:
        refuse(error)


if __name__ == "__main__":
    main()
