"""Coefficients from a video or a picture: `python -m flap.track clip.mp4 out.npz`.

The file holds `coefficients` [n, 120] at 25 frames a second, `found` [n] (False where no face was seen; there the
coefficients are drawn between the faces before and after) and `frame_rate_hz`. Needs MediaPipe: make install-faces.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from flap import coefficients as co
from flap.config import FRAME_RATE_HZ
from flap.face_coefficients import ANYBODY, Rest, coefficients_of, rest_of
from flap.face_landmarks import ASSUMED_FIELD_OF_VIEW_DEG, FaceLandmarker, FaceLandmarkerError, Picture
from flap.pictures import PictureError, read_picture

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
MAX_SIDE = 1280  # frames are scaled down to this before a face is looked for
MAX_CLIP_S = 3600


class TrackError(Exception):
    """A file gives no coefficients; the message says why."""


@dataclass(frozen=True)
class Track:
    """One face through time, `FRAME_RATE_HZ` times a second."""

    coefficients: co.Array  # [n, 120]
    found: NDArray[np.bool_]  # [n]


def read_video(path: Path, frame_rate_hz: float = FRAME_RATE_HZ) -> Iterator[Picture]:
    """RGB frames of a video by its own clock: at each tick the newest frame. Raises TrackError when it is no video."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise TrackError(f"{path} has no picture in it")
            shown: Picture | None = None
            ticks, time_s = 0, 0.0
            begin_s: float | None = None
            for frame in container.decode(video=0):
                time_s = frame.time or 0.0
                begin_s = time_s if begin_s is None else begin_s
                if time_s - begin_s > MAX_CLIP_S:
                    raise TrackError(f"{path} is longer than {MAX_CLIP_S} s: track it in parts")
                while shown is not None and ticks / frame_rate_hz < time_s - begin_s - 1e-6:
                    yield shown
                    ticks += 1
                shown = _upright(frame)
            if shown is not None and begin_s is not None and ticks / frame_rate_hz < time_s - begin_s + 1e-6:
                yield shown
    except (av.FFmpegError, OSError) as error:
        raise TrackError(f"{path} cannot be read as video: {error}") from error


def _upright(frame: av.VideoFrame) -> Picture:
    """The frame as RGB, turned as a phone's file says, at most MAX_SIDE long."""
    picture = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))
    scale = MAX_SIDE / max(picture.shape[:2])
    if scale < 1:
        picture = np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    return np.ascontiguousarray(picture, np.uint8)


def track(
    pictures: Iterable[Picture], landmarker: FaceLandmarker, field_of_view_deg: float = ASSUMED_FIELD_OF_VIEW_DEG,
    rest: Rest = ANYBODY,
) -> Track:  # fmt: skip
    """One face of each picture, each picture by itself. Raises TrackError when no picture has a face."""
    rows: list[co.Array | None] = []
    for picture in pictures:
        faces = landmarker.find(picture, field_of_view_deg)
        rows.append(coefficients_of(faces[0], rest) if faces else None)
    found = np.array([row is not None for row in rows], bool)
    if not found.any():
        raise TrackError("no face was found: is one turned to the camera, and larger than a tenth of the picture?")
    seen = np.stack([row for row in rows if row is not None])
    at, frames = np.flatnonzero(found), np.arange(len(rows))
    filled = np.stack([np.interp(frames, at, column) for column in seen.T], 1)
    return Track(filled.astype(np.float32), found)


def smooth(faces: co.Array, width_ms: float, frame_rate_hz: float = FRAME_RATE_HZ) -> co.Array:
    """Coefficients `[n, 120]` averaged over time by a Gaussian of this standard deviation, without delay.

    Lids are left alone: a blink lasts three frames.
    """
    deviation = width_ms / 1000 * frame_rate_hz
    if deviation <= 0 or len(faces) < 2:
        return faces
    reach = max(1, int(np.ceil(3 * deviation)))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    padded = np.pad(faces, ((reach, reach), (0, 0)), "edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=0)
    out = (windows @ (taps / taps.sum())).astype(np.float32)
    out[:, co.EYELIDS] = faces[:, co.EYELIDS]
    return out


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0], epilog=__doc__.split("\n\n")[1], prog="python -m flap.track"
    )
    parser.add_argument("input", type=Path, help="a video, or a JPEG, PNG or WebP picture")
    parser.add_argument("output", type=Path, help="the .npz to write")
    parser.add_argument(
        "--field-of-view-deg", type=float, default=ASSUMED_FIELD_OF_VIEW_DEG,
        help="vertical field of view of the camera; give less for a long lens or a cropped picture (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--smooth-ms", type=float, default=0.0, help="Gaussian smoothing in time, standard deviation (default: none)"
    )
    parser.add_argument("--rest", type=Path, help="a picture of the same person at rest, looking ahead")
    options = parser.parse_args(arguments)
    try:
        _check_output(options.output)
        with FaceLandmarker() as landmarker:
            rest = ANYBODY if options.rest is None else _read_rest(options.rest, landmarker, options.field_of_view_deg)
            pictures = _pictures(options.input)
            tracked = track(pictures, landmarker, options.field_of_view_deg, rest)
        faces = smooth(tracked.coefficients, options.smooth_ms)
        np.savez(options.output, coefficients=faces, found=tracked.found, frame_rate_hz=FRAME_RATE_HZ)
    except (FaceLandmarkerError, PictureError, TrackError, OSError) as error:
        sys.exit(f"cannot track: {error}")
    print(f"{options.output}: {len(faces)} frames, a face in {int(tracked.found.sum())} of them")


def _check_output(path: Path) -> None:
    """Raises TrackError where a file cannot be written: an hour of tracking would be lost."""
    if path.suffix != ".npz":
        raise TrackError(f"{path} does not end in .npz: give the output a name that does")
    if not path.parent.is_dir():
        raise TrackError(f"{path.parent} is no folder: make it first")


def _pictures(path: Path) -> Iterable[Picture]:
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return [read_picture(path.read_bytes())]
    return read_video(path)


def _read_rest(path: Path, landmarker: FaceLandmarker, field_of_view_deg: float) -> Rest:
    faces = landmarker.find(read_picture(path.read_bytes()), field_of_view_deg)
    if not faces:
        raise TrackError(f"no face was found in {path}")
    return rest_of(faces[0])


if __name__ == "__main__":
    main()
