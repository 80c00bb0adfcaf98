"""Photographs are brought to where training shows a head."""

import cv2
import numpy as np
import pytest

from flap import coefficients as co
from flap import portrait_alignment as alignment
from flap.face_landmarks import FaceLandmarker
from flap.pictures import read_picture
from tests.photographs import PORTRAITS


def test_a_similarity_is_found_exactly() -> None:
    points = np.random.default_rng(0).normal(0, 50, (3, 2))
    angle, scale = 0.4, 1.7
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = alignment.similarity(points, points @ turn.T + (12, -7))
    assert np.allclose(found, np.concatenate([turn, [[12], [-7]]], 1))


def test_points_that_coincide_are_refused() -> None:
    with pytest.raises(ValueError, match="coincide"):
        alignment.similarity(np.ones((3, 2)), np.ones((3, 2)))


def test_a_head_that_turns_left_moves_its_eyes_to_the_picture_s_right() -> None:
    ahead = alignment.expected_points((0, 0, 0))
    turned = alignment.expected_points(co.rotation_from_degrees(yaw_deg=20))
    assert np.all(turned[:, 0] > ahead[:, 0] + 20)


def test_the_presenters_of_the_bundle_stand_where_photographs_are_brought() -> None:
    with FaceLandmarker() as landmarker:
        for path in PORTRAITS:
            (face,) = landmarker.find(picture := read_picture(path.read_bytes()))
            away = alignment.face_points(face.points) * (256 / len(picture)) - alignment.expected_points((0, 0, 0))
            assert np.abs(away).max() < 8, path.name
            assert np.abs(away.mean(0)).max() < 4, path.name


def test_a_crop_undoes_the_way_a_photograph_was_taken() -> None:
    portrait = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (256, 256, 3), dtype=np.uint8), (0, 0), 6)
    taken = np.concatenate([cv2.getRotationMatrix2D((128, 128), 20, 2.0)], 0)
    taken[:, 2] += 300
    photograph = cv2.warpAffine(portrait, taken, (900, 900), flags=cv2.INTER_CUBIC)
    back = alignment.crop(photograph, cv2.invertAffineTransform(taken))
    middle = slice(40, 216)
    assert np.abs(back[middle, middle].astype(int) - portrait[middle, middle]).mean() < 2


def test_a_larger_crop_shows_the_same_place_in_more_detail() -> None:
    rng = np.random.default_rng(0)
    photograph = cv2.GaussianBlur(rng.integers(0, 255, (900, 900, 3), dtype=np.uint8), (0, 0), 3)
    matrix = cv2.getRotationMatrix2D((450, 450), 10, 0.5)
    matrix[:, 2] -= 322
    small, large = (alignment.crop(photograph, matrix, size) for size in (256, 512))
    halved = cv2.resize(large, (256, 256), interpolation=cv2.INTER_AREA)

    def apart(picture: np.ndarray) -> float:
        return float(np.abs(picture.astype(int) - small)[40:216, 40:216].mean())

    assert large.shape == (512, 512, 3)
    assert apart(halved) < 1
    for half in (-0.5, 0.5):  # what a mistake about the middles of pixels would look like
        moved = cv2.warpAffine(halved, np.array([[1, 0, half], [0, 1, half]]), (256, 256))
        assert apart(moved) > 2 * apart(halved)


def test_what_lies_outside_the_photograph_is_filled_without_streaks() -> None:
    photograph = np.random.default_rng(0).integers(0, 255, (100, 100, 3), dtype=np.uint8)
    shift = np.array([[1.0, 0, 78], [0, 1, 78]])
    portrait = alignment.crop(photograph, shift)
    assert np.array_equal(portrait[80:176, 80:176], photograph[2:98, 2:98])
    assert portrait[:40].std() < 30 < photograph.std()
    assert alignment.inside(photograph, shift).mean() == pytest.approx(100**2 / 256**2, rel=0.05)
