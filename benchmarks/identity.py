"""How alike two pictures of a face are to a face recogniser: dlib's network, from packages that tests do without.

pip install --no-deps dlib-bin face_recognition_models
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PACKAGES = ("dlib", "face_recognition_models")


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
