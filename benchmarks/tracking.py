"""How true `flap.track` reads faces, against rendered ground truth: python -m benchmarks.tracking --json

Needs what training needs (make install-dev) and the MakeHuman assets. Nothing was fitted on these people. The last line
is one JSON object:

pose_error_deg          mean absolute error of pitch, yaw and roll, against the rendered head, and
pose_error_own_rest_deg the same counted from the person's own neutral picture (--rest)
uncorrected_yaw_slope   read yaw over true yaw when the lens is taken for MediaPipe's, and `yaw_slope` with its own
expression_error        mean absolute error of the weights (0..1): jaw, smile, lids, gaze; `expression_correlation` beside
found                   share of the frames in which a face is found
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import DEFAULT_ASSETS, commit, machine
from flap import coefficients as co
from flap.face_coefficients import ANYBODY, Rest, coefficients_of, rest_of
from flap.face_landmarks import ASSUMED_FIELD_OF_VIEW_DEG, FaceLandmarker, FaceLandmarkerError

FIRST_PERSON = 900  # beyond those that training renders
FULL, QUICK = (12, 24), (3, 10)  # people, frames of each
SHAPES = {
    "jaw_open": ("jawOpen",), "smile": ("mouthSmileLeft", "mouthSmileRight"), "pucker": ("mouthPucker",),
    "lids": ("eyeBlinkLeft", "eyeBlinkRight"), "gaze_sideways": ("eyeLookOutLeft", "eyeLookInLeft"),
}  # fmt: skip
Sample = tuple[co.Array, co.Array, co.Array, co.Array]  # true, read, read from their own rest, read with the wrong lens


def render(assets: Any, number: int, frames: int) -> tuple[co.Array, list[NDArray[np.uint8]], float]:
    """Faces `[frames + 1, 120]` of one person, the first at rest, their pictures and the lens in degrees."""
    from training.motions import random_face
    from training.render.character import Character
    from training.render.identities import random_identity
    from training.render.rasterizer import Stage
    from training.render.scenes import studio

    rng = np.random.default_rng([78, number])
    faces = np.stack([co.neutral(), *(random_face(rng) for _ in range(frames))])
    scene = studio(number)
    stage = Stage(Character(assets, random_identity(number)), scene)
    pictures = [stage.render(face)[0] for face in faces]
    stage.context.release()
    return faces, pictures, scene.field_of_view_deg


def read(landmarker: FaceLandmarker, picture: NDArray[np.uint8], lens_deg: float, rest: Rest) -> co.Array | None:
    faces = landmarker.find(picture, lens_deg)
    return coefficients_of(faces[0], rest) if faces else None


def track_person(
    landmarker: FaceLandmarker, faces: co.Array, pictures: list[NDArray[np.uint8]], lens_deg: float
) -> list[Sample]:
    """What is read in every frame in which the face is found with both lenses; none when it is not found at rest."""
    at_rest = landmarker.find(pictures[0], lens_deg)
    if not at_rest:
        return []
    own, samples = rest_of(at_rest[0]), []
    for face, picture in zip(faces[1:], pictures[1:], strict=True):
        readings = (
            read(landmarker, picture, lens_deg, ANYBODY), read(landmarker, picture, lens_deg, own),
            read(landmarker, picture, ASSUMED_FIELD_OF_VIEW_DEG, ANYBODY),
        )  # fmt: skip
        kept = [reading for reading in readings if reading is not None]
        if len(kept) == len(readings):
            samples.append((face, kept[0], kept[1], kept[2]))
    return samples


def weight(faces: co.Array, names: tuple[str, ...]) -> NDArray[np.float64]:
    """Mean weight of the named shapes in each of `[n, 120]`; the second of a gaze pair counts against the first."""
    rows = [co.to_arkit(face) for face in faces]
    signs = (1, -1) if names[0].startswith("eyeLook") else (1, 1)
    return np.array([np.mean([s * row[name] for s, name in zip(signs, names, strict=False)]) for row in rows])


def figures(samples: list[Sample], frames: int) -> dict[str, Any]:
    """The numbers that `samples` give; `frames` is how many there might have been."""
    true, anybody, own, wrong_lens = (np.stack(column) for column in zip(*samples, strict=True))
    angles = [np.degrees(faces[:, co.ROTATION]) for faces in (true, anybody, own, wrong_lens)]

    def pose_error(read_deg: NDArray[Any]) -> dict[str, float]:
        errors = np.abs(read_deg - angles[0]).mean(0)
        return {
            name: round(float(errors[i]), 2) for name, i in (("pitch", co.PITCH), ("yaw", co.YAW), ("roll", co.ROLL))
        }

    def yaw_slope(read_deg: NDArray[Any]) -> float:
        return round(float(np.polyfit(angles[0][:, co.YAW], read_deg[:, co.YAW], 1)[0]), 3)

    pairs = {name: (weight(true, shapes), weight(anybody, shapes)) for name, shapes in SHAPES.items()}
    return {
        "pose_error_deg": pose_error(angles[1]),
        "pose_error_own_rest_deg": pose_error(angles[2]),
        "yaw_slope": yaw_slope(angles[1]),
        "uncorrected_yaw_slope": yaw_slope(angles[3]),
        "expression_error": {name: round(float(np.abs(a - b).mean()), 3) for name, (a, b) in pairs.items()},
        "expression_correlation": {name: round(float(np.corrcoef(a, b)[0, 1]), 2) for name, (a, b) in pairs.items()},
        "found": round(len(samples) / frames, 3),
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="fewer people, done within a minute")
    parser.add_argument("--assets", type=Path, default=DEFAULT_ASSETS, help="folder of the MakeHuman assets")
    options = parser.parse_args(arguments)
    people, frames = QUICK if options.quick else FULL
    try:
        from training.render.assets import AssetError, Assets

        assets = Assets(options.assets)
        samples: list[Sample] = []
        with FaceLandmarker() as landmarker:
            for number in range(FIRST_PERSON, FIRST_PERSON + people):
                samples += track_person(landmarker, *render(assets, number, frames))
    except ImportError as error:
        sys.exit(f"cannot measure: {error}; make install-dev installs what the renderer needs")
    except (AssetError, FaceLandmarkerError) as error:
        sys.exit(f"cannot measure: {error}")
    if not samples:
        sys.exit("cannot measure: no face was found in any picture")
    counted = {"people": people, "frames": people * frames}
    result = counted | figures(samples, people * frames) | {"machine": machine(), "commit": commit()}
    for name, value in result.items():
        print(f"{name:<26} {value}")
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
