"""Makes a presenter of a photograph:

    python -m flap.presenter add portrait.jpg --name Ada --consent "it is me"
    python -m flap.presenter list
    python -m flap.presenter remove ID

A running server offers who was added. Needs MediaPipe: make install-faces.
"""

import argparse
import getpass
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flap import coefficients as co
from flap import portrait_alignment as alignment
from flap.config import FINE_SIZE
from flap.face_coefficients import coefficients_of
from flap.face_landmarks import FaceLandmarker, FaceLandmarkerError, LandmarkedFace, Picture
from flap.pictures import PictureError, read_picture
from flap.presenter_folder import AddedPresenter, Origin, PresenterFolder, PresenterFolderError, default_folder

# A head that fills a portrait is seen under 13 degrees by a portrait lens, under 35 in a selfie at arm's length.
FIELD_OF_VIEW_DEG = 20.0
MIN_EYE_DISTANCE_PIXELS = 26  # half of what the networks see
MAX_YAW_DEG, MAX_PITCH_DEG = 25.0, 20.0
EYES_CLOSED = 0.55
BYSTANDER = 1 / 3  # of the eye distance of the largest face: whoever is larger is a second person
LARGE_BORDER = 0.35
MAX_FACES = 4
# The tracker reads the other shapes of still faces little better than chance (docs/presenters.md).
TRUSTED = (
    "jawOpen", "mouthSmileLeft", "mouthSmileRight", "mouthPucker", "mouthUpperUpLeft", "mouthUpperUpRight",
    "mouthLowerDownLeft", "mouthLowerDownRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookInLeft", "eyeLookInRight",
    "eyeLookOutLeft", "eyeLookOutRight",
)  # fmt: skip
NOISE = 0.1  # weights below it are nothing


@dataclass(frozen=True)
class Portrait:
    """A photograph made ready: the head where training shows it, and what the face does in it."""

    picture: NDArray[np.uint8]  # [512, 512, 3] RGB
    coefficients: co.Array  # [120]
    remarks: tuple[str, ...]  # what may spoil the result, as sentences


def prepare(photograph: Picture, landmarker: FaceLandmarker) -> Portrait:
    """The portrait of the one person in a photograph; `landmarker` must look for two faces or more.

    Raises PictureError `no_face`, `several_faces`, `face_too_small`, `face_turned`, `face_cut_off` or `eyes_closed`.
    """
    face = _one_face(landmarker.find(photograph))
    first = alignment.framing(face.points, coefficients_of(face)[co.ROTATION])
    closer = landmarker.find(alignment.crop(photograph, first), FIELD_OF_VIEW_DEG)
    if not closer:
        raise PictureError("no_face", "the face cannot be seen clearly: take a sharper, evenly lit picture")
    found = coefficients_of(_largest(closer))
    _check(face, photograph, found)
    matrix = alignment.framing(face.points, found[co.ROTATION])
    return Portrait(alignment.crop(photograph, matrix, FINE_SIZE), _trusted(found), _remarks(photograph, matrix, found))


def _eye_distance(face: LandmarkedFace) -> float:
    right, left, _ = alignment.face_points(face.points)
    return float(np.linalg.norm(right - left))


def _largest(faces: list[LandmarkedFace]) -> LandmarkedFace:
    return max(faces, key=_eye_distance)


def _one_face(faces: list[LandmarkedFace]) -> LandmarkedFace:
    if not faces:
        raise PictureError(
            "no_face", "no face was found: use a picture of head and shoulders, looking into the camera, evenly lit"
        )
    largest = _largest(faces)
    others = [face for face in faces if face is not largest]
    if any(_eye_distance(face) > BYSTANDER * _eye_distance(largest) for face in others):
        raise PictureError("several_faces", "more than one face was found: crop the picture to one person")
    return largest


def _check(face: LandmarkedFace, photograph: Picture, found: co.Array) -> None:
    if (distance := _eye_distance(face)) < MIN_EYE_DISTANCE_PIXELS:
        raise PictureError(
            "face_too_small",
            f"the eyes are {distance:.0f} pixels apart, at least {MIN_EYE_DISTANCE_PIXELS} are needed: use a larger picture",
        )
    height, width = photograph.shape[:2]
    if ((face.points[:, :2] < 0) | (face.points[:, :2] >= (width, height))).any():
        raise PictureError("face_cut_off", "the face reaches beyond the picture: use one that shows the whole head")
    pitch_deg, yaw_deg, _ = np.degrees(found[co.ROTATION])
    if abs(yaw_deg) > MAX_YAW_DEG or abs(pitch_deg) > MAX_PITCH_DEG:
        raise PictureError(
            "face_turned",
            f"the head is turned by {abs(yaw_deg):.0f} degrees and tilted by {abs(pitch_deg):.0f}, at most "
            f"{MAX_YAW_DEG:.0f} and {MAX_PITCH_DEG:.0f} can be used: look into the camera",
        )
    if found[co.EYELIDS].min() > EYES_CLOSED:
        raise PictureError("eyes_closed", "the eyes are closed: use a picture in which they are open")


def _trusted(found: co.Array) -> co.Array:
    weights = co.to_arkit(found)
    kept = {name: min(weights[name], 1.0) for name in TRUSTED if weights[name] > NOISE}
    pitch, yaw, _ = found[co.ROTATION]
    return co.limit(co.from_arkit(kept, (pitch, yaw, 0.0)))  # `framing` took the roll out


def _remarks(photograph: Picture, matrix: NDArray[np.float64], found: co.Array) -> tuple[str, ...]:
    weights, remarks = co.to_arkit(found), []
    if weights["jawOpen"] > 0.25:
        remarks.append("the mouth is open: a closed one gives a better result")
    if max(weights["mouthSmileLeft"], weights["mouthSmileRight"]) > 0.5:
        remarks.append("the face smiles broadly: one at rest gives a better result")
    if 1 - float(alignment.inside(photograph, matrix).mean()) > LARGE_BORDER:
        remarks.append("the head fills the picture: one with more room around it gives a better result")
    return tuple(remarks)


def add_presenter(
    data: bytes, name: str, folder: PresenterFolder, landmarker: FaceLandmarker, origin: Origin
) -> AddedPresenter:
    """A presenter made of a picture file's bytes. Raises PictureError or PresenterFolderError."""
    folder.check_room(name, data)
    portrait = prepare(read_picture(data), landmarker)
    return folder.add(name, data, portrait.picture, portrait.coefficients, portrait.remarks, origin)


def _add(options: argparse.Namespace, folder: PresenterFolder) -> dict[str, Any]:
    data = sys.stdin.buffer.read() if str(options.picture) == "-" else options.picture.read_bytes()
    origin = Origin(options.added_by if options.added_by is not None else _user(), options.consent)
    with FaceLandmarker(max_faces=MAX_FACES) as landmarker:
        added = add_presenter(data, options.name, folder, landmarker, origin)
    return {"id": added.id, "name": added.name, "portrait": str(added.portrait_path), "remarks": list(added.remarks)}


def _listed(folder: PresenterFolder) -> dict[str, Any]:
    lines = {}
    for presenter_id in folder.ids():
        try:
            person = folder.get(presenter_id)
            lines[presenter_id] = (
                f"{person.name}, added {person.added_at} by {person.origin.added_by}: {person.origin.consent}"
            )
        except PresenterFolderError as error:
            lines[presenter_id] = str(error)
    return lines


def _remove(presenter_id: str, folder: PresenterFolder) -> dict[str, Any]:
    folder.remove(presenter_id)
    return {"removed": presenter_id}


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "somebody without a name"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=default_folder(), help="where presenters are kept")
    parser.add_argument("--json", action="store_true", help="print one JSON object, also when it fails")
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("add", help="makes a presenter of a photograph")
    add.add_argument("picture", type=Path, help="JPEG, PNG or WebP of head and shoulders; - reads standard input")
    add.add_argument("--name", required=True, help="shown on the page")
    add.add_argument("--consent", required=True, help="why you may use this face; kept with the presenter")
    add.add_argument("--added-by", help="kept with the presenter (default: who you are to this machine)")
    commands.add_parser("list", help="prints who was added")
    commands.add_parser("remove", help="deletes a presenter").add_argument("id")
    return parser


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    folder = PresenterFolder(options.folder)
    try:
        if options.command == "add":
            result = _add(options, folder)
        else:
            result = _listed(folder) if options.command == "list" else _remove(options.id, folder)
    except (PictureError, PresenterFolderError, FaceLandmarkerError, OSError) as error:
        if not options.json:
            sys.exit(str(error))
        code = getattr(error, "code", "unavailable" if isinstance(error, FaceLandmarkerError) else "unreadable")
        print(json.dumps({"error": {"code": code, "message": str(error)}}))
        sys.exit(1)
    if options.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name}: {value}")


if __name__ == "__main__":
    main()
