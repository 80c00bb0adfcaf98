"""A gesture out of a video: python -m flap.track clip.mp4 clip.npz, then python -m realtime.gestures.from_video clip.npz NAME

The first moments of the part that is taken count as the face at rest. A running server offers the gesture within a second.
"""

import argparse
import sys
from pathlib import Path

from flap.config import FRAME_RATE_HZ
from realtime.config import ServerConfig
from realtime.drive.face_clip import read_track
from realtime.errors import BadRequest, FlapError
from realtime.gestures.library import GestureLibrary
from realtime.gestures.motion import gesture_of, of_coefficients


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("track", type=Path, help="the .npz of python -m flap.track")
    parser.add_argument("name", help="what the gesture is called")
    parser.add_argument("--from-s", type=float, default=0.0, help="where it begins in the video (default: 0)")
    parser.add_argument("--to-s", type=float, help="where it ends (default: the end)")
    parser.add_argument(
        "--folder", type=Path, default=ServerConfig().gestures_folder, help="the server's --gestures-folder"
    )
    options = parser.parse_args(arguments)
    end = None if options.to_s is None else round(options.to_s * FRAME_RATE_HZ)
    try:
        faces = read_track(options.track.read_bytes())[round(options.from_s * FRAME_RATE_HZ) : end]
        if not len(faces):
            raise BadRequest(f"{options.track} has nothing between these seconds")
        curve = gesture_of(of_coefficients(faces))
        GestureLibrary(options.folder).save(options.name, curve)
    except (FlapError, OSError) as error:
        sys.exit(f"cannot import: {error}")
    print(f"{options.name}: {curve.duration_s:.2f} s, moves {', '.join(curve.channels)}")


if __name__ == "__main__":
    main()
