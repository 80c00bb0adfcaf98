"""How alike faces stay to their portraits, with a recogniser that a test plays."""

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch")

from benchmarks import identity  # noqa: E402
from benchmarks.identity import FACES, IdentityUnavailable, likeness  # noqa: E402


class ByBrightness:
    """Tells people apart by how bright their pictures are; finds no face in a black one."""

    def embed(self, picture: NDArray[np.uint8]) -> NDArray[np.float64] | None:
        return np.array([picture.mean() / 255]) if picture.any() else None


def grey(level: int) -> NDArray[np.uint8]:
    return np.full((8, 8, 3), level, np.uint8)


def test_each_presenter_is_compared_with_its_own_portrait_and_with_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {"ada": grey(51), "bob": grey(0)}
    monkeypatch.setattr(identity, "render", lambda stage, name, face: made[name])
    portraits = {"ada": grey(102), "bob": grey(204)}
    found = likeness(None, portraits, ByBrightness())  # type: ignore[arg-type]
    ada = found["ada"]
    assert (ada["mean"], ada["least"], ada["same_person"], ada["others"]) == (0.8, 0.8, 1.0, 0.6)
    assert ada["faces"].keys() == FACES.keys() and ada["lost"] == 0
    assert found["bob"] == {"lost": len(FACES)}, "no face was found in any of its pictures"


def test_without_the_recogniser_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "PACKAGES", ("no_such_package",))
    with pytest.raises(IdentityUnavailable, match="not installed: no_such_package"):
        identity.FaceRecogniser()
    with pytest.raises(SystemExit, match="cannot measure: not installed"):
        identity.main([])
