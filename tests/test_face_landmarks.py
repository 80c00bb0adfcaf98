"""The tracker's model is found or asked for by name, and its angles are read through the right camera."""

import io
from pathlib import Path

import numpy as np
import pytest

from flap import face_landmarks
from flap.face_landmarks import FaceLandmarker, FaceLandmarkerError, find_model, margin_pixels
from tests.photographs import photograph


def test_the_setting_names_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "any.task"
    monkeypatch.setenv("FLAP_FACE_LANDMARKER", str(model))
    with pytest.raises(FaceLandmarkerError, match="which is no file"):
        find_model()
    model.write_bytes(b"model")
    assert find_model() == model


def test_a_download_is_kept_only_with_the_right_checksum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLAP_FACE_LANDMARKER", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(face_landmarks, "BESIDE_THE_CHECKOUT", tmp_path / "nowhere")
    monkeypatch.setattr(face_landmarks.urllib.request, "urlopen", lambda *_, **__: io.BytesIO(b"model"))
    with pytest.raises(FaceLandmarkerError, match="wrong checksum"):
        find_model()
    assert not list(tmp_path.rglob("*.task"))
    monkeypatch.setattr(face_landmarks, "MODEL_SHA256", face_landmarks.hashlib.sha256(b"model").hexdigest())
    assert find_model().read_bytes() == b"model"


def test_without_mediapipe_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "mediapipe", None)
    with pytest.raises(FaceLandmarkerError, match="make install-faces"):
        FaceLandmarker()


def test_a_long_lens_gets_a_border_and_a_wide_one_none() -> None:
    assert margin_pixels(256, 63) == margin_pixels(256, 90) == 0
    assert margin_pixels(100, 5) == margin_pixels(100, face_landmarks.LEAST_FIELD_OF_VIEW_DEG)
    assert margin_pixels(100, 2 * np.rad2deg(np.arctan(np.tan(np.deg2rad(31.5)) / 3))) == 100


def test_a_face_is_found_where_it_is_whatever_the_lens() -> None:
    with FaceLandmarker() as landmarker:
        (wide,), (long,) = landmarker.find(photograph()), landmarker.find(photograph(), 25)
        assert not landmarker.find(np.zeros((200, 200, 3), np.uint8))
    assert np.abs(wide.points[:, :2] - long.points[:, :2]).mean() < 4
    assert wide.points[152, 1] > wide.points[10, 1] + 100  # the chin is below the forehead
    assert np.allclose(wide.rotation @ wide.rotation.T, np.eye(3), atol=1e-3)
