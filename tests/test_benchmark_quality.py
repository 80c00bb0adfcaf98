"""The quality benchmark measures what it says, shown on pictures whose quality is known."""

import numpy as np
import pytest

from benchmarks import quality
from benchmarks.face_tracker import Sight
from benchmarks.machine import REPOSITORY
from engines.bundle import open_bundle
from flap import coefficients as co

BUNDLE = REPOSITORY / "bundles" / "flap-small"
GREY = np.full((256, 256, 3), 100, np.uint8)
REST = Sight(mouth_opening=0.01, yaw_deg=1, pitch_deg=6, roll_deg=-1, smile=0.1, eyes_closed=0.0)


def person() -> quality.Person:
    turned = co.from_arkit({"jawOpen": 0.5}, co.rotation_from_degrees(yaw_deg=10, pitch_deg=4, roll_deg=2))[None]
    masks = np.zeros((3, 64, 64, 4), np.float32)
    masks[:, 20:40, 20:40, 1] = 1
    return quality.Person("ada", GREY, np.concatenate([turned, *quality.variants(turned)]), [GREY] * 3, masks)


def test_variants_keep_the_pose_or_the_expression_and_nothing_else() -> None:
    face, at_rest, ahead = person().faces
    assert np.array_equal(at_rest[co.ROTATION], face[co.ROTATION])
    assert np.array_equal(at_rest[3:], co.neutral()[3:])
    assert np.array_equal(ahead[3:], face[3:])
    assert not ahead[co.ROTATION].any()


def test_a_region_is_measured_by_itself_and_left_out_where_it_is_not_seen() -> None:
    wrong_outside = GREY.copy()
    wrong_outside[:40] = 0
    assert quality.region_psnr_db([wrong_outside], person(), 1) == [60]
    assert quality.region_psnr_db([wrong_outside], person(), 2) == []


def test_pose_error_and_leaks_come_from_what_the_tracker_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    moved = Sight(mouth_opening=0.11, yaw_deg=14, pitch_deg=10, roll_deg=1, smile=0.1, eyes_closed=0.0)
    at_rest = Sight(mouth_opening=0.01, yaw_deg=11, pitch_deg=10, roll_deg=1, smile=0.1, eyes_closed=0.0)
    ahead = Sight(mouth_opening=0.08, yaw_deg=1, pitch_deg=6, roll_deg=-1, smile=0.1, eyes_closed=0.0)
    monkeypatch.setattr(quality, "track", lambda pictures: [moved, at_rest, ahead, REST])
    found = quality.control([GREY] * 3, person(), motions=1)
    assert found["pose_error"] == [pytest.approx(1.0, abs=1e-4)]  # 3 degrees of yaw, over three angles
    assert found["pose_leak"] == [pytest.approx(1.0)]
    assert found["expression_leak"] == [pytest.approx(0.01)]


def test_a_face_that_the_tracker_does_not_find_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "track", lambda pictures: [None, None, None, REST])
    assert quality.control([GREY] * 3, person(), motions=1) == {
        "pose_error": [],
        "pose_leak": [],
        "expression_leak": [],
    }


def test_identity_is_the_likeness_to_the_portrait_over_that_of_the_true_picture() -> None:
    class Recogniser:
        """Tells pictures apart by their brightness: 0.1 of distance for 10 levels."""

        def embed(self, picture: np.ndarray) -> np.ndarray | None:
            return np.array([picture.mean() / 100]) if picture.any() else None

    known = quality.Person(
        "ada", GREY, np.zeros((2, 120), np.float32), [GREY + 10, GREY + 10], np.zeros((2, 64, 64, 4))
    )
    made = [GREY + 20, np.zeros_like(GREY)]
    assert quality.identity_ratios(known, made, Recogniser()) == [pytest.approx(0.8 / 0.9)]  # type: ignore[arg-type]


def test_a_speech_is_compared_after_its_first_second_in_frames_spread_over_it() -> None:
    frames = quality.spoken_frames(co.neutral(300), 12)
    assert (len(frames), frames[0], frames[-1]) == (12, 25, 299)
    assert {b - a for a, b in zip(frames, frames[1:], strict=False)} <= {24, 25}


def test_what_is_spoken_moves_the_mouth_and_the_head_a_little() -> None:
    spoken, _ = quality.spoken_faces(open_bundle(BUNDLE))
    assert spoken.shape == (quality.SPEECH_S * 25, co.SIZE)
    assert spoken[:, co.JAW.start].std() > 0.02
    turned_deg = np.degrees(np.abs(spoken[:, co.ROTATION])).max(0)
    assert (turned_deg > 0.5).all() and (turned_deg < 20).all()


def test_a_stream_has_a_frame_for_each_face() -> None:
    class Stage:
        def init_state(self, name: str) -> int:
            return 0

        def step(self, faces: np.ndarray, state: int) -> tuple[np.ndarray, int]:
            return np.stack([GREY + state] * len(faces)), state + 1

    pictures = quality.stream(Stage(), "ada", co.neutral(6))  # type: ignore[arg-type]
    assert [int(picture[0, 0, 0]) for picture in pictures] == [100, 101, 102, 103, 104, 105]


def likeness(face_db: float, pose_error_deg: list[float]) -> quality.Likeness:
    """Of somebody whose mouth and eyes are never seen."""
    regions = {"face": [face_db, face_db], "mouth": [], "eyes": []}
    return quality.Likeness(regions, regions, {"pose_error": pose_error_deg}, {}, [], {}, [])


def test_figures_are_means_over_everything_that_was_seen_of_all_people() -> None:
    people = [likeness(30, [1.0]), likeness(36, [2.0, 6.0])]
    found = quality.likeness_figures("seen", people)
    assert found["psnr_face_seen_db"] == found["psnr_face_speaking_seen_db"] == 33
    assert found["psnr_mouth_seen_db"] is None
    found = quality.control_figures(people)
    assert found["pose_error_deg"] == 3 and found["tracker_floor_deg"] is None
