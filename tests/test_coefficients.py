"""The 120-number layout: signs, conversions and ranges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flap import coefficients as co

angles = st.floats(-80, 80)
weights = st.floats(0, 1, width=32)
OPPOSITES = [("jawLeft", "jawRight")] + [
    (f"eyeLook{a}{side}", f"eyeLook{b}{side}") for a, b in (("Up", "Down"), ("In", "Out")) for side in ("Left", "Right")
]


def test_the_groups_cover_the_120_numbers_once() -> None:
    covered = np.concatenate([np.arange(co.SIZE)[group] for group in co.GROUPS.values()])
    assert covered.tolist() == list(range(120))
    assert [group.stop - group.start for group in co.GROUPS.values()] == [3, 12, 3, 2, 100]


def test_all_52_arkit_names_are_known() -> None:
    assert len(co.ARKIT_NAMES) == 52


def test_a_face_at_rest_is_nothing_at_all() -> None:
    assert co.to_arkit(co.neutral()) == dict.fromkeys(co.ARKIT_NAMES, 0)
    assert co.neutral(3).shape == (3, 120)


def test_positive_angles_turn_to_the_avatars_left_down_and_tip_the_crown_right() -> None:
    forward, crown = np.array([0, 0, 1]), np.array([0, 1, 0])
    assert (co.euler_matrix(co.rotation_from_degrees(yaw_deg=20)) @ forward)[0] > 0.3  # x is the avatar's left
    assert (co.euler_matrix(co.rotation_from_degrees(pitch_deg=20)) @ forward)[1] < -0.3  # y is up
    assert (co.euler_matrix(co.rotation_from_degrees(roll_deg=20)) @ crown)[0] < -0.3


@given(angles, angles, angles)
def test_angles_survive_the_matrix(yaw: float, pitch: float, roll: float) -> None:
    rotation = co.rotation_from_degrees(yaw, pitch, roll)
    matrix = co.euler_matrix(rotation)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(co.euler_from_matrix(matrix), rotation, atol=1e-5)


@given(angles, angles)
def test_gaze_survives_the_6d_rotation_even_when_stretched(yaw: float, pitch: float) -> None:
    yaw_rad, pitch_rad = np.deg2rad([yaw, pitch])
    for stretch in (1, 3):
        back = co.gaze_from_6d(stretch * co.eye_6d(yaw_rad, pitch_rad))
        np.testing.assert_allclose(back, (yaw_rad, pitch_rad), atol=1e-5)


@given(st.dictionaries(st.sampled_from(sorted(co.ARKIT_NAMES)), weights))
def test_arkit_weights_survive_the_coefficients(shapes: dict[str, float]) -> None:
    for one, other in OPPOSITES:  # an eye that looks up and down at once has one angle
        if one in shapes:
            shapes.pop(other, None)
    back = co.to_arkit(co.from_arkit(shapes))
    assert back.keys() == co.ARKIT_NAMES
    for name, value in back.items():
        assert value == pytest.approx(shapes.get(name, 0), abs=1e-4), name


def test_eyes_that_look_to_the_avatars_left_agree() -> None:
    face = co.from_arkit({"eyeLookOutLeft": 0.5, "eyeLookInRight": 0.5})
    yaw, pitch = co.gaze_from_6d(face[co.EYES].reshape(2, 6))
    np.testing.assert_allclose(yaw, 0.5 * co.GAZE_YAW_RAD, atol=1e-6)
    np.testing.assert_allclose(pitch, 0, atol=1e-6)


def test_a_name_that_arkit_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="not ARKit blendshape names: browUp, grin"):
        co.from_arkit({"grin": 1, "browUp": 1, "jawOpen": 1})


@pytest.mark.parametrize("weight", [float("nan"), float("inf")])
def test_a_weight_that_is_not_finite_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        co.from_arkit({"jawOpen": weight})


@pytest.mark.parametrize("rotation", [0.1, [0.1], np.zeros((1, 3)), [0, float("nan"), 0]])
def test_a_head_that_is_not_turned_by_three_angles_is_refused(rotation: object) -> None:
    with pytest.raises(ValueError, match="rotation must be"):
        co.from_arkit({}, rotation)  # type: ignore[arg-type]


def test_limits_hold_what_the_model_was_trained_on_and_leave_the_rest() -> None:
    wild = co.neutral(2) + 10
    wild[:, co.EYES] = co.neutral()[co.EYES]
    tame = co.limit(wild)
    np.testing.assert_allclose(
        np.rad2deg(tame[0, co.ROTATION]), [co.MAX_ANGLE_DEG[axis] for axis in ("pitch", "yaw", "roll")], rtol=1e-5
    )
    assert tame[0, co.JAW.start] == pytest.approx(co.MAX_JAW_RAD)
    assert tame[:, co.EYELIDS].max() == 1 and tame[:, co.EXPRESSION].max() == 1
    np.testing.assert_array_equal(tame[:, co.EYES], wild[:, co.EYES])
    np.testing.assert_array_equal(co.limit(tame), tame)
    assert wild.max() > 9  # the argument is left alone


def test_a_jaw_cannot_close_past_shut() -> None:
    face = co.neutral()
    face[co.JAW.start] = -0.1
    assert co.limit(face)[co.JAW.start] == 0


@pytest.mark.parametrize(("faces", "message"), [(np.zeros((2, 119)), "must end in 120"), ([np.nan] * 120, "finite")])
def test_wrong_widths_and_nan_are_refused(faces: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        co.check(faces)  # type: ignore[arg-type]


def test_a_flame_trackers_output_comes_in_through_the_users_matrix() -> None:
    basis = np.zeros((len(co.EXPRESSION_UNITS), 100))
    basis[co.EXPRESSION_UNITS.index("mouthSmileLeft"), 7] = 0.5
    expression = np.zeros(100)
    expression[7] = 1.2
    turn = np.deg2rad(15)
    face = co.from_flame([0, turn, 0], [0, 0.2, 0, 0, 0.2, 0], [0.1, 0, 0], [0.3, 0.4], expression, basis)
    np.testing.assert_allclose(face[co.ROTATION], [0, turn, 0], atol=1e-6)
    np.testing.assert_allclose(co.gaze_from_6d(face[co.EYES].reshape(2, 6))[0], 0.2, atol=1e-6)
    np.testing.assert_allclose(face[co.JAW], [0.1, 0, 0], atol=1e-7)
    np.testing.assert_allclose(face[co.EYELIDS], [0.3, 0.4], atol=1e-7)
    assert face[co.EXPRESSION_INDEX["mouthSmileLeft"]] == pytest.approx(0.6)
    assert face[co.EXPRESSION].sum() == pytest.approx(0.6)


FLAME = {
    "rotation": np.zeros(3), "eyes": np.zeros(6), "jaw": np.zeros(3), "eyelids": np.zeros(2), "expression": np.zeros(100),
    "basis": np.zeros((len(co.EXPRESSION_UNITS), 100)),
}  # fmt: skip


@pytest.mark.parametrize("name", FLAME)
def test_a_flame_trackers_output_of_another_shape_or_that_is_not_finite_is_refused(name: str) -> None:
    co.from_flame(**FLAME)
    for other in (0.0, np.zeros(1), FLAME[name].T[:, None], FLAME[name][:-1]):
        with pytest.raises(ValueError, match=f"{name} must be "):
            co.from_flame(**{**FLAME, name: other})
    for number in (np.nan, np.inf):
        with pytest.raises(ValueError, match=f"{name} must be finite"):
            co.from_flame(**{**FLAME, name: np.full_like(FLAME[name], number)})


def test_a_face_in_the_mirror_of_a_mirror_is_itself_and_left_becomes_right() -> None:
    face = co.from_arkit(
        {"eyeBlinkLeft": 1.0, "jawLeft": 0.5, "mouthSmileRight": 0.7, "eyeLookOutLeft": 0.6}, (0.1, 0.2, 0.3)
    )
    seen = co.to_arkit(co.mirror(face))
    assert np.allclose(co.mirror(co.mirror(face)), face)
    assert seen["eyeBlinkRight"] == 1 and seen["eyeBlinkLeft"] == 0
    assert seen["jawRight"] == pytest.approx(0.5) and seen["mouthSmileLeft"] == pytest.approx(0.7)
    assert seen["eyeLookOutRight"] == pytest.approx(0.6, abs=1e-5)
    assert np.allclose(co.mirror(face)[co.ROTATION], (0.1, -0.2, -0.3))
