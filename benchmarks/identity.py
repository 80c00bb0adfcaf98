"""How alike animated faces stay to their portraits, as a face recogniser has it:

pip install --no-deps dlib-bin face_recognition_models     # dlib's network, which tests do without
python -m benchmarks.identity --json --presenters-folder FOLDER

For each presenter of the bundle, and of a folder with photographs: 1 - distance to the portrait, which the recogniser
takes for the same person above 0.4, of each of FACES; `lost` counts pictures in which it finds no face. `others` is the
highest likeness of a portrait to anybody else's, as a scale.
"""

import argparse
import importlib.util
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.contact_sheet import render
from benchmarks.machine import REPOSITORY, commit, machine
from engines.bundle import BundleError, open_bundle
from engines.engine import EngineError
from flap import coefficients as co
from flap.pictures import read_picture
from flap.presenter_folder import PresenterFolder
from realtime.cast import Cast
from realtime.render.portrait import PortraitStage

PACKAGES = ("dlib", "face_recognition_models")
SAME_PERSON = 0.4
SPEAKING = {"jawOpen": 0.35}
FACES: dict[str, co.Array] = {
    "rest": co.neutral(), "speaking": co.from_arkit(SPEAKING),
    "smile": co.from_arkit({"mouthSmileLeft": 0.8, "mouthSmileRight": 0.8}),
    **{
        f"{axis} {degrees}, speaking": co.from_arkit(SPEAKING, co.rotation_from_degrees(**{f"{axis}_deg": float(degrees)}))
        for axis, most in (("yaw", 15), ("pitch", 10), ("roll", 10))
        for degrees in (-most, most)
    },
}  # fmt: skip


class IdentityUnavailable(Exception):
    """The face recogniser is not installed."""


class FaceRecogniser:
    """dlib's ResNet (99.4 % on LFW): pictures to 128 numbers whose distance is below 0.6 for the same person."""

    def __init__(self) -> None:
        missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
        if missing:
            raise IdentityUnavailable(f"not installed: {', '.join(missing)} (see {__name__})")
        import dlib

        spec = importlib.util.find_spec("face_recognition_models")
        assert spec is not None and spec.submodule_search_locations is not None
        models = Path(spec.submodule_search_locations[0]) / "models"
        self._detector = dlib.get_frontal_face_detector()
        self._landmarks = dlib.shape_predictor(str(models / "shape_predictor_5_face_landmarks.dat"))
        self._network = dlib.face_recognition_model_v1(str(models / "dlib_face_recognition_resnet_model_v1.dat"))

    def embed(self, picture: NDArray[np.uint8]) -> NDArray[np.float64] | None:
        """128 numbers of the largest face in an RGB picture; None when there is none."""
        faces = self._detector(picture, 1)
        if not faces:
            return None
        face = max(faces, key=lambda box: box.area())
        return np.array(self._network.compute_face_descriptor(picture, self._landmarks(picture, face)))


def similarities(
    portrait: NDArray[np.uint8], pictures: Sequence[NDArray[np.uint8]], recogniser: FaceRecogniser
) -> list[float | None]:
    """1 - distance to the portrait of each picture; None where no face is found in either."""
    own = recogniser.embed(portrait)
    found = [recogniser.embed(picture) for picture in pictures]
    return [None if own is None or other is None else 1 - float(np.linalg.norm(own - other)) for other in found]


def likeness(
    stage: PortraitStage, portraits: Mapping[str, NDArray[np.uint8]], recogniser: FaceRecogniser
) -> dict[str, dict[str, Any]]:
    """What the module's head describes, by presenter. One whose portrait the recogniser finds no face in has `lost` alone."""
    embedded = {name: recogniser.embed(portrait) for name, portrait in portraits.items()}
    own = {name: numbers for name, numbers in embedded.items() if numbers is not None}
    found: dict[str, dict[str, Any]] = {}
    for name, portrait in portraits.items():
        made = similarities(portrait, [render(stage, name, face) for face in FACES.values()], recogniser)
        by_face = {face: None if value is None else round(value, 3) for face, value in zip(FACES, made, strict=True)}
        values = [value for value in made if value is not None]
        found[name] = {"lost": len(made) - len(values)}
        if values and name in own:
            others = [1 - float(np.linalg.norm(own[name] - other)) for them, other in own.items() if them != name]
            found[name] |= {
                "mean": round(float(np.mean(values)), 3), "least": round(min(values), 3),
                "same_person": round(float(np.mean(np.array(values) > SAME_PERSON)), 3),
                "others": round(max(others), 3) if others else None, "faces": by_face,
            }  # fmt: skip
    return found


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--bundle", type=Path, default=REPOSITORY / "bundles" / "flap-small")
    parser.add_argument(
        "--presenters-folder", type=Path, help="presenters made of photographs (python -m flap.presenter)"
    )
    options = parser.parse_args(arguments)
    try:
        recogniser, bundle = FaceRecogniser(), open_bundle(options.bundle)
    except (IdentityUnavailable, BundleError, EngineError) as error:
        sys.exit(f"cannot measure: {error}")
    if options.presenters_folder:
        bundle = replace(bundle, presenters=Cast(bundle.presenters, PresenterFolder(options.presenters_folder)))
    stage = PortraitStage(bundle)
    portraits = {
        name: read_picture(presenter.portrait_path.read_bytes()) for name, presenter in stage.presenters.items()
    }
    found = likeness(stage, portraits, recogniser)
    for name, figures in found.items():
        print(f"{name:<16} {figures}")
    if options.json:
        print(json.dumps({"presenters": found, "machine": machine(), "commit": commit()}))


if __name__ == "__main__":
    main()
