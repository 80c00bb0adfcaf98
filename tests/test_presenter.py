"""A photograph of one person becomes a presenter; every other one is refused with a reason."""

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from flap import coefficients as co
from flap import portrait_alignment as alignment
from flap import presenter
from flap.face_landmarks import FaceLandmarker
from flap.pictures import PictureError
from tests.photographs import photograph, photograph_file, png


@pytest.fixture(scope="module")
def landmarker() -> Iterator[FaceLandmarker]:
    with FaceLandmarker(presenter.MAX_FACES) as opened:
        yield opened


def test_the_face_stands_where_training_shows_faces(landmarker: FaceLandmarker) -> None:
    portrait = presenter.prepare(photograph(), landmarker)
    (face,) = landmarker.find(portrait.picture)
    expected = alignment.expected_points(portrait.coefficients[co.ROTATION])
    assert portrait.picture.shape == (512, 512, 3)
    assert np.abs(alignment.face_points(face.points) / 2 - expected).max() < 8
    assert portrait.coefficients[co.JAW.start] < 0.05
    assert not portrait.remarks


def test_a_tilted_head_comes_upright(landmarker: FaceLandmarker) -> None:
    picture = photograph()
    turn = cv2.getRotationMatrix2D((256, 230), 25, 0.8)
    tilted = cv2.warpAffine(picture, turn, (512, 600), borderMode=cv2.BORDER_REPLICATE)
    (face,) = landmarker.find(presenter.prepare(np.asarray(tilted, np.uint8), landmarker).picture)
    right, left, _ = alignment.face_points(face.points)
    assert abs(left[1] - right[1]) < 10


def refusal(picture: np.ndarray, landmarker: FaceLandmarker) -> str:
    with pytest.raises(PictureError) as refused:
        presenter.prepare(np.ascontiguousarray(picture, np.uint8), landmarker)
    return refused.value.code


def test_a_picture_without_a_face_is_refused(landmarker: FaceLandmarker) -> None:
    assert refusal(np.full((300, 300, 3), 128), landmarker) == "no_face"


def test_two_people_are_refused(landmarker: FaceLandmarker) -> None:
    assert refusal(np.concatenate([photograph(), photograph()], 1), landmarker) == "several_faces"


def test_a_tiny_face_is_refused(landmarker: FaceLandmarker) -> None:
    small = cv2.resize(photograph(), None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    assert refusal(small, landmarker) == "face_too_small"


def test_half_a_face_is_refused(landmarker: FaceLandmarker) -> None:
    assert refusal(photograph()[:300], landmarker) == "face_cut_off"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"rotation": (0, 0.6, 0)}, "face_turned"),
        ({"rotation": (-0.5, 0, 0)}, "face_turned"),
        ({"lids": 0.9}, "eyes_closed"),
    ],
)
def test_turned_heads_and_closed_eyes_are_refused(
    change: dict, code: str, landmarker: FaceLandmarker, monkeypatch: pytest.MonkeyPatch
) -> None:
    face = co.neutral()
    face[co.ROTATION] = change.get("rotation", (0, 0, 0))
    face[co.EYELIDS] = change.get("lids", 0)
    monkeypatch.setattr(presenter, "coefficients_of", lambda _: face)
    assert refusal(photograph(), landmarker) == code


def test_the_command_adds_lists_and_removes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = ["--folder", str(tmp_path), "--json"]
    who = ["--name", "Grace", "--consent", "public domain", "--added-by", "me"]
    presenter.main([*folder, "add", str(photograph_file()), *who])
    added = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert added["name"] == "Grace" and Path(added["portrait"]).is_file()
    presenter.main([*folder, "list"])
    assert "public domain" in json.loads(capsys.readouterr().out)[added["id"]]
    presenter.main([*folder, "remove", added["id"]])
    presenter.main([*folder, "list"])
    assert not json.loads(capsys.readouterr().out.splitlines()[-1])
    with pytest.raises(SystemExit):
        presenter.main([*folder, "remove", added["id"]])
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "not_found"


def test_a_refused_picture_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "grey.png"
    file.write_bytes(png(np.full((200, 200, 3), 128, np.uint8)))
    with pytest.raises(SystemExit, match="no face"):
        presenter.main(["--folder", str(tmp_path / "kept"), "add", str(file), "--name", "Nobody", "--consent", "none"])
    assert not (tmp_path / "kept").exists()


def test_a_user_without_a_name_can_add_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr("getpass.getuser", nobody)
    folder = ["--folder", str(tmp_path), "--json"]
    presenter.main([*folder, "add", str(photograph_file()), "--name", "Grace", "--consent", "public domain"])
    presenter.main([*folder, "list"])
    assert "somebody without a name" in capsys.readouterr().out
