"""The operator's commands act when they should, smoothly, and on nothing else."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flap import coefficients as co
from realtime.control.commands import MOST_PASSING, Command, blink_requested
from realtime.control.layers import LIMITS
from realtime.control.state import ControlState
from realtime.control.tickets import Event, Finished, Refused
from realtime.protocol import messages as m
from realtime.protocol.directives import Target
from tests.directed import TALKING, assert_within_limits, commanded, degrees, direct, play, still


def test_without_commands_the_face_is_speech_alone() -> None:
    faces, _, applied = play({}, 5)
    assert np.allclose(faces, TALKING)
    assert applied == []


def test_yaw_is_reached_within_its_ease_and_leaves_the_mouth_alone() -> None:
    faces, _, applied = play({2: [m.PoseSet("a", yaw_deg=25)]}, 10)
    assert applied[0].frame == 4
    assert degrees(faces, co.YAW)[4 + 6 :] == pytest.approx(25, abs=0.01)  # 240 ms are 6 frames
    assert np.allclose(faces[:, 3:], TALKING[3:])
    assert np.allclose(faces[:, [co.PITCH, co.ROLL]], TALKING[[co.PITCH, co.ROLL]])


def test_an_overlay_adds_to_the_motion_of_speech() -> None:
    faces, _, _ = play({0: [m.PoseSet("a", yaw_deg=10, mode="overlay", ease_ms=0)]}, 3)
    assert degrees(faces, co.YAW)[-1] == pytest.approx(13, abs=0.01)


def test_release_and_hold_time_give_the_head_back() -> None:
    released, _, _ = play({0: [m.PoseSet("a", yaw_deg=25)], 10: [m.PoseRelease("b")]}, 20)
    held, _, _ = play({0: [m.PoseSet("a", yaw_deg=25, hold_ms=400)]}, 20)
    for faces in (released, held):
        assert degrees(faces, co.YAW)[12] == pytest.approx(25, abs=0.01)
        assert degrees(faces, co.YAW)[-1] == pytest.approx(3, abs=0.01)


def test_the_head_never_turns_faster_than_the_limit() -> None:
    script = {
        1: [m.PoseSet("a", yaw_deg=40, ease_ms=0)],
        4: [m.PoseSet("b", yaw_deg=-40, ease_ms=0)],
        6: [m.GesturePlay("c", "shake", 2, 2)],
    }
    faces, _, _ = play(script, 20)
    assert_within_limits(faces)


poses = st.builds(
    m.PoseSet, id=st.just("p"), yaw_deg=st.floats(-40, 40), pitch_deg=st.none() | st.floats(-25, 25),
    mode=st.sampled_from(["override", "overlay"]), ease_ms=st.floats(0, 600), hold_ms=st.none() | st.floats(0, 400),
)  # fmt: skip
gestures = st.builds(
    m.GesturePlay, id=st.just("g"), name=st.sampled_from(["nod", "shake", "tilt"]), amplitude=st.floats(0.1, 2)
)
faces_commands = st.builds(
    m.ExpressionSet, id=st.just("e"), name=st.sampled_from(["happy", "sad"]), ease_ms=st.floats(0, 600)
)
anything = (
    poses | gestures | faces_commands | st.sampled_from([m.PoseRelease("r"), m.Freeze("f", True), m.Neutral("n")])
)


@given(st.dictionaries(st.integers(0, 20), st.lists(anything, max_size=4), max_size=10))
@settings(max_examples=60, deadline=None)
def test_whatever_is_asked_the_head_keeps_its_limits(script: dict[int, list[m.Directive]]) -> None:
    faces, _, _ = play(script, 25)
    assert_within_limits(faces)


@given(st.dictionaries(st.integers(0, 8), st.lists(poses, max_size=3), max_size=5))
@settings(max_examples=40, deadline=None)
def test_no_pose_touches_anything_but_the_head(script: dict[int, list[m.Directive]]) -> None:
    faces, _, _ = play(script, 10)
    assert np.array_equal(faces[:, co.ROTATION.stop :], np.tile(TALKING[co.ROTATION.stop :], (len(faces), 1)))


@given(poses, faces_commands)
@settings(max_examples=40, deadline=None)
def test_a_command_given_twice_counts_once_and_pose_and_expression_come_in_any_order(
    pose: m.PoseSet, expression: m.ExpressionSet
) -> None:
    once, _, _ = play({2: [pose, expression]}, 10)
    twice, _, _ = play({2: [pose, pose, expression, expression]}, 10)
    turned, _, _ = play({2: [expression, pose]}, 10)
    assert np.array_equal(once, twice)
    assert np.array_equal(once, turned)


@pytest.mark.parametrize(("name", "axis"), [("nod", co.PITCH), ("shake", co.YAW)])
def test_gestures_swing_their_axis_both_ways_and_end_where_they_began(name: str, axis: int) -> None:
    faces, state, _ = play({0: [m.GesturePlay("g", name)]}, 25)
    swing = degrees(faces, axis) - np.rad2deg(TALKING[axis])
    assert swing.max() > 4
    assert swing.min() < -4
    assert swing[-1] == pytest.approx(0, abs=1e-3)
    assert state.gestures == ()


def test_a_gesture_is_repeated_and_one_channel_can_be_given_back() -> None:
    faces, state, _ = play({0: [m.GesturePlay("g", "nod", repeats=2)]}, 31)
    pitch = degrees(faces, co.PITCH)
    assert pitch[:29].max() == pytest.approx(pitch[29:58].max(), abs=1)
    assert state.gestures == ()
    script = {0: [m.PoseSet("a", yaw_deg=20, pitch_deg=10)], 8: [m.PoseRelease("b", channels=("pitch_deg",))]}
    faces, _, _ = play(script, 20)
    assert degrees(faces, co.YAW)[-1] == pytest.approx(20, abs=0.01)
    assert degrees(faces, co.PITCH)[-1] == pytest.approx(-2, abs=0.01)


def test_a_gesture_with_a_face_leaves_the_speaking_jaw_and_every_shape_it_does_not_name() -> None:
    faces, state, _ = play({0: [m.GesturePlay("g", "greet")]}, 30)
    smile = co.EXPRESSION_INDEX["mouthSmileLeft"]
    assert faces[:, smile].max() == pytest.approx(0.7, abs=0.01)
    assert np.allclose(faces[:, co.JAW], TALKING[co.JAW])
    assert np.allclose(faces[:, co.EXPRESSION_INDEX["mouthFunnel"]], 0.3)
    assert np.allclose(faces[-1], TALKING, atol=1e-5)
    assert state.gestures == ()


def test_a_smile_adds_to_speech_and_can_be_released() -> None:
    smile = co.EXPRESSION_INDEX["mouthSmileLeft"]
    faces, _, _ = play({0: [m.ExpressionSet("a", name="smile")], 8: [m.ExpressionRelease("b")]}, 16)
    assert faces[12, smile] == pytest.approx(0.8, abs=1e-3)
    assert faces[-1, smile] == pytest.approx(0, abs=1e-3)
    assert np.allclose(faces[:, co.JAW], TALKING[co.JAW])
    assert np.allclose(faces[:, co.EXPRESSION_INDEX["mouthFunnel"]], 0.3)


def test_a_fixed_head_keeps_still_but_for_the_pose_and_neutral_lets_it_go() -> None:
    script = {0: [m.HeadFix("a", True)], 6: [m.PoseSet("b", yaw_deg=10, mode="overlay")], 14: [m.Neutral("c")]}
    faces, state, _ = play(script, 24)
    assert np.allclose(faces[8:12, co.ROTATION], 0, atol=1e-5)
    assert degrees(faces, co.YAW)[26] == pytest.approx(10, abs=0.01)
    assert np.allclose(faces[:, co.JAW], TALKING[co.JAW])
    assert np.allclose(faces[-1], TALKING, atol=1e-5)
    assert not state.head_fixed


def test_the_gaze_turns_both_eyes_and_nothing_else_and_comes_back() -> None:
    faces, state, _ = play({1: [m.GazeSet("a", yaw_deg=15, pitch_deg=-5, hold_ms=400)]}, 20)
    yaw, pitch = co.gaze_from_6d(faces[8, co.EYES].reshape(2, 6))
    assert np.rad2deg(yaw) == pytest.approx([15, 15], abs=0.01)
    assert np.rad2deg(pitch) == pytest.approx([-5, -5], abs=0.01)
    others = np.delete(faces, range(co.EYES.start, co.EYES.stop), axis=1)
    assert np.array_equal(others, np.tile(others[0], (len(others), 1)))
    assert np.allclose(faces[-1], TALKING, atol=1e-5)
    assert state.eyes.target_deg is None


def test_freeze_holds_the_face_and_lets_it_go_smoothly() -> None:
    faces, state, _ = play({2: [m.Freeze("a", True)]}, 6)
    other = co.from_arkit({"jawOpen": 0.1})
    held, state, _ = play({}, 4, state, other)
    assert np.allclose(held, TALKING, atol=1e-6)
    freed, state, _ = play({0: [m.Freeze("b", False)]}, 8, state, other)
    assert np.allclose(freed[-1], other, atol=1e-5)
    assert np.abs(np.diff(freed[:, co.JAW.start])).max() < 0.06


def test_a_face_that_is_frozen_in_a_blink_opens_its_eyes_and_holds_the_rest() -> None:
    shut = co.from_arkit({"jawOpen": 0.5, "eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0})
    _, state, _ = play({2: [m.Freeze("a", True)]}, 4, face=shut)
    half = co.from_arkit({"eyeBlinkLeft": 0.4, "eyeBlinkRight": 0.4})
    for face, lids in ((half, 0.4), (TALKING, 0.0), (shut, 0.0)):
        held, state, _ = play({}, 2, state, face)
        assert held[-1, co.EYELIDS] == pytest.approx([lids, lids], abs=1e-3)
        assert np.allclose(held[:, co.JAW], shut[co.JAW])


@pytest.mark.parametrize(
    "opens", [m.GesturePlay("g", "laugh"), m.ExpressionSet("e", shapes={"jawOpen": 0.4, "mouthLowerDownLeft": 0.5})]
)
@pytest.mark.parametrize("mouth", [{"mouthPressLeft": 0.4, "mouthPressRight": 0.4}, {"mouthRollLower": 0.7}])
def test_lips_close_for_p_and_f_whatever_opens_the_mouth_besides(opens: m.Directive, mouth: dict[str, float]) -> None:
    rest, spoken = co.neutral(1)[0], co.from_arkit(mouth)
    laughing, _, _ = play({0: [opens]}, 12, face=rest)
    speaking, _, _ = play({0: [opens]}, 12, face=spoken)
    lower = co.EXPRESSION_INDEX["mouthLowerDownLeft"]
    assert laughing[:, co.JAW.start].max() > 0.15 * co.JAW_OPEN_RAD
    assert speaking[:, co.JAW.start].max() < 0.01 * co.JAW_OPEN_RAD and speaking[:, lower].max() < 0.01


def test_a_mouth_that_is_taken_from_speech_stays_as_it_was_asked_for() -> None:
    spoken = co.from_arkit({"mouthPressLeft": 0.4, "mouthPressRight": 0.4})
    asked = m.ExpressionSet("e", shapes={"jawOpen": 0.4}, keep={"jaw": 0, "lips": 0})
    faces, _, _ = play({0: [asked]}, 20, face=spoken)
    assert faces[-1, co.JAW.start] == pytest.approx(0.4 * co.JAW_OPEN_RAD, rel=0.01)


def test_a_gesture_that_ends_as_another_is_queued_is_reported_all_the_same() -> None:
    for step in range(20, 28):
        script = {0: [m.GesturePlay("a", "bow")], step: [m.GesturePlay("b", "nod", when="queue")]}
        _, _, events = play(script, 60)
        assert sorted(event.id for event in events if isinstance(event, Finished)) == ["a", "b"], step


def test_neutral_releases_everything() -> None:
    script = {
        0: [m.PoseSet("a", yaw_deg=20), m.ExpressionSet("b", name="smile"), m.GesturePlay("c", "nod")],
        6: [m.Neutral("d")],
    }
    faces, state, _ = play(script, 20)
    assert np.allclose(faces[-1], TALKING, atol=1e-5)
    assert state.expression.targets == {}


def over(events: list[Event]) -> list[tuple[str, int, str, str | None]]:
    return [(e.id, e.frame, e.outcome, e.by) for e in events if isinstance(e, Finished)]


def test_every_command_ends_once_by_itself_by_another_or_by_being_called_off() -> None:
    script = {
        0: [m.PoseSet("hold", yaw_deg=5, ease_ms=80, hold_ms=80), m.PoseSet("two", pitch_deg=3, roll_deg=2)],
        2: [m.PoseSet("pitch", pitch_deg=1)],
        4: [m.PoseSet("roll", roll_deg=1), m.GesturePlay("nod", "nod")],
        6: [m.PoseRelease("free", channels=("roll_deg",), ease_ms=80)],
        8: [m.GesturePlay("again", "nod")],
        10: [m.Neutral("n")],
    }
    _, _, events = play(script, 20)
    assert over(events) == [
        ("hold", 4, "ended", None),
        ("two", 8, "replaced", "roll"),  # when its last channel was taken
        ("roll", 12, "cancelled", "free"),
        ("free", 14, "ended", None),
        ("nod", 16, "replaced", "again"),
        ("pitch", 20, "cancelled", "n"),
        ("again", 20, "cancelled", "n"),
        ("n", 28, "ended", None),
    ]


def test_a_weaker_gesture_is_refused_while_a_stronger_one_plays_and_others_wait_their_turn() -> None:
    script = {
        0: [m.GesturePlay("strong", "nod", priority=9), m.GesturePlay("brows", "raise_brows")],
        1: [m.GesturePlay("weak", "bow")],
        2: [m.GesturePlay("later", "tilt", when="queue"), m.GesturePlay("sooner", "shake", when="queue", priority=8)],
    }
    faces, state, events = play(script, 75)
    assert [(e.id, e.code) for e in events if isinstance(e, Refused)] == [("weak", "conflict")]
    assert [e.id for e in events if isinstance(e, Finished)] == ["brows", "strong", "sooner", "later"]
    assert np.abs(degrees(faces, co.YAW) - 3)[:28].max() < 0.01
    assert state.gestures == ()


def test_gestures_are_called_off_smoothly_by_name() -> None:
    script = {
        0: [m.GesturePlay("a", "tilt"), m.GesturePlay("b", "nod", when="queue")],
        5: [m.GestureCancel("c", "tilt")],
    }
    faces, _, events = play(script, 40)
    assert over(events)[0] == ("a", 10, "cancelled", "c")
    assert np.abs(np.diff(degrees(faces, co.ROLL))).max() < 6
    assert np.ptp(degrees(faces, co.PITCH)[16:]) > 10, "the one that waited plays"
    _, _, events = play({0: [m.GestureCancel("d", "wink")]}, 1)
    assert [(e.id, e.code) for e in events if isinstance(e, Refused)] == [("d", "not_found")]


def gaze_yaw_deg(faces: co.Array) -> np.ndarray:
    return np.rad2deg([co.gaze_from_6d(face[co.EYES].reshape(2, 6))[0].mean() for face in faces])


def test_a_look_turns_the_eyes_first_and_the_head_after_them_to_where_the_scene_says() -> None:
    faces, state, _ = play({1: [m.LookAt("l", "product_right")]}, 12)
    head, eyes = degrees(faces, co.YAW), gaze_yaw_deg(faces)
    assert eyes[4] > 15 and head[4] < 12
    assert head[-1] == pytest.approx(26, abs=0.01) and eyes[-1] == pytest.approx(0, abs=0.1)
    assert np.allclose(faces[:, co.JAW], TALKING[co.JAW])
    shop = m.SceneDefine("s", "shop", {"product_right": Target(10, 0)})
    faces, state, _ = play({0: [shop, m.SceneUse("u", "shop")]}, 12, state)
    assert degrees(faces, co.YAW)[-1] == pytest.approx(10, abs=0.01)
    _, state, events = play({0: [m.PoseSet("p", yaw_deg=-5)]}, 12, state)
    assert over(events)[0] == ("l", 0, "replaced", "p")
    assert state.look is None and state.channels["pitch_deg"].weight.end == 0


def test_unknown_targets_and_scenes_are_refused() -> None:
    _, state, events = play({0: [m.LookAt("a", "moon"), m.SceneUse("b", "moon")]}, 1)
    assert [(e.id, e.code) for e in events if isinstance(e, Refused)] == [("a", "not_found"), ("b", "not_found")]
    assert state.look is None and state.scene == "default"


def test_an_expression_adds_to_speech_overrides_it_or_scales_it_by_group() -> None:
    frown = m.ExpressionSet("a", shapes={"jawOpen": 0.2, "mouthFrownLeft": 0.4}, keep={"jaw": 0.0, "lips": 0.5})
    faces, state, _ = play({0: [frown]}, 8)
    weights = co.to_arkit(faces[-1])
    assert weights["jawOpen"] == pytest.approx(0.2, abs=1e-3)
    assert weights["mouthFunnel"] == pytest.approx(0.15, abs=1e-3)
    assert weights["mouthFrownLeft"] == pytest.approx(0.4, abs=1e-3)
    faces, _, _ = play({0: [m.ExpressionRelease("b")]}, 8, state)
    assert np.allclose(faces[-1], TALKING, atol=1e-5)


def test_all_120_coefficients_can_be_put_on_but_for_the_pose() -> None:
    wanted = co.from_arkit({"jawOpen": 0.3, "browInnerUp": 0.6, "eyeLookInLeft": 0.5}, co.rotation_from_degrees(30))
    keep = dict.fromkeys(("lips", "jaw", "brows", "eyes", "lids"), 0.0)
    faces, _, _ = play({0: [m.ExpressionSet("a", coefficients=tuple(map(float, wanted)), keep=keep)]}, 8)
    assert np.allclose(faces[-1][3:], wanted[3:], atol=1e-5)
    assert np.allclose(faces[-1][:3], TALKING[:3], atol=1e-5)


def test_where_the_picture_stands_moves_smoothly_and_touches_no_face() -> None:
    directed = direct(still(10), commanded({1: [m.PoseSet("z", x=0.3, zoom=2.0, ease_ms=0)]}))
    assert np.allclose(directed.faces, TALKING)
    x, _, zoom = directed.framing.T
    assert x[-1] == pytest.approx(0.3) and np.exp(zoom[-1]) == pytest.approx(2)
    assert np.abs(np.diff(x)).max() <= LIMITS["x"].velocity + 1e-9
    assert np.abs(np.diff(zoom)).max() <= LIMITS["zoom"].velocity + 1e-9


def test_control_state_survives_a_pickle() -> None:
    script = {
        0: [m.PoseSet("a", zoom=1.5), m.GesturePlay("g", "greet"), m.LookAt("l", "chat"), m.StyleSet("s", "calm")]
    }
    _, state, _ = play(script, 4)
    carried, _, _ = play({}, 10, pickle.loads(pickle.dumps(state)))
    kept, _, _ = play({}, 10, state)
    assert np.array_equal(carried, kept)


def test_the_same_script_gives_the_same_faces_and_state_is_a_value() -> None:
    script = {1: [m.PoseSet("a", yaw_deg=12)], 3: [m.ExpressionSet("b", name="surprised")]}
    first, state, _ = play(script, 8)
    again, _, _ = play(script, 8)
    assert np.array_equal(first, again)
    once, _, _ = play({}, 3, state)
    twice, _, _ = play({}, 3, state)
    assert np.array_equal(once, twice)


def test_random_commands_never_leave_the_ranges_of_the_model() -> None:
    rng = np.random.default_rng(0)
    script: dict[int, list[m.Directive]] = {}
    for step in range(60):
        kind = rng.integers(5)
        script[step] = [
            [
                m.PoseSet("a", yaw_deg=float(rng.uniform(-40, 40)), ease_ms=float(rng.uniform(0, 500))),
                m.PoseRelease("b"), m.GesturePlay("c", "nod", 2.0, 2.0),
                m.ExpressionSet("d", shapes={"jawOpen": 1.0, "eyeBlinkLeft": 1.0}), m.Neutral("e"),
            ][kind]
        ]  # fmt: skip
    faces, _, _ = play(script, 80)
    assert np.isfinite(faces).all()
    assert np.allclose(co.limit(faces), faces, atol=1e-5)


def test_blink_is_passed_on_to_idle_motion() -> None:
    assert blink_requested([Command(m.BlinkNow("a"))])
    assert not blink_requested([Command(m.Neutral("a"))])


def test_a_blink_that_is_asked_for_is_seen_whoever_drives_the_lids() -> None:
    open_eyes = m.DriveFrame("f", "webcam", shapes={"eyeBlinkLeft": 0.0})
    script: dict[int, list[m.Directive]] = {chunk: [open_eyes] for chunk in range(20)}
    script[0] = [open_eyes, m.DriveMix("m", "webcam", {"lids": 1.0}, ease_ms=0)]
    script[10] = [open_eyes, m.BlinkNow("b")]
    faces, _, _ = play(script, 20)
    assert faces[20:24, co.EYELIDS].max() == pytest.approx(1.0)
    assert not faces[30:, co.EYELIDS].any()


def test_eyes_that_an_expression_has_closed_stay_closed_while_frozen() -> None:
    script = {
        0: [m.ExpressionSet("e", name="eyes_closed", hold_ms=800, ease_ms=0)],
        6: [m.Freeze("f", on=True)],
    }
    faces, _, _ = play(script, 30)
    assert faces[-1][co.EYELIDS].min() > 0.9


def test_what_the_eyes_make_up_for_is_what_is_seen_of_the_heads_own_motion() -> None:
    state = ControlState()
    assert np.array_equal(state.own_share(0), np.ones(3, np.float32))
    _, fixed, _ = play({0: [m.HeadFix("h", on=True)]}, 20)
    assert not fixed.own_share(40).any()
    _, held, _ = play({0: [m.PoseSet("p", yaw_deg=10, ease_ms=0)]}, 2)
    assert held.own_share(4)[co.YAW] == 0 and held.own_share(4)[co.PITCH] == 1
    _, calm, _ = play({0: [m.StyleSet("s", name="calm")]}, 20)
    assert calm.own_share(40) == pytest.approx(np.full(3, 0.5))


def test_commands_that_pass_are_not_kept_without_end() -> None:
    script = {chunk: [m.GestureCancel(f"c{chunk}-{i}", ease_ms=60_000) for i in range(8)] for chunk in range(40)}
    _, state, events = play(script, 40)
    passing = [place for place in state.tickets.holders if place.startswith("passing ")]
    assert len(passing) == MOST_PASSING
    assert sum(isinstance(event, Finished) for event in events) == 320 - MOST_PASSING
