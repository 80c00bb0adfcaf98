"""Faces from elsewhere are mixed in by group, taken from their neutral face, ease out when they are lost, and never break a limit."""

import pickle
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flap import coefficients as co
from realtime.control.commands import Command
from realtime.control.layers import LIMITS
from realtime.control.merge import merge
from realtime.control.state import ControlState
from realtime.control.tickets import Applied, Event, Finished, Refused
from realtime.drive.inbox import HOLD_S, DriveInput
from realtime.errors import Conflict
from realtime.protocol import messages as m
from tests.directed import STEP_FRAMES, TALKING, assert_within_limits, by_frame, degrees, direct, still
from tests.test_desk import Show, heard

LIPS, BROWS = co.EXPRESSION_INDEX["mouthFunnel"], co.EXPRESSION_INDEX["browInnerUp"]


def sees(source: str = "webcam", offset: int = 0, **fields: object) -> Command:
    return Command(m.DriveFrame("f", source, **fields), offset=offset)  # type: ignore[arg-type]


def run(
    script: Mapping[int, Iterable[Command]],
    steps: int,
    every: Sequence[Command] = (),
    state: ControlState | None = None,
    begin: int = 0,
) -> tuple[co.Array, ControlState, list[Event]]:
    """Faces `[2 * steps, 120]` from step `begin` on, with commands given at their steps, and `every` at each."""
    given_at = {step: [*script.get(step, ()), *every] for step in range(begin, begin + steps)}
    directed = direct(still(steps), by_frame(given_at), state, STEP_FRAMES * begin)
    return directed.faces, directed.state, directed.events


def mix(source: str = "webcam", **groups: float) -> Command:
    return Command(m.DriveMix("m", source, groups))


def test_a_source_that_is_not_mixed_in_moves_nothing_and_is_not_acknowledged() -> None:
    faces, state, events = run({}, 6, [sees(shapes={"jawOpen": 1.0}, yaw_deg=30)])
    assert np.allclose(faces, TALKING, atol=1e-6)
    assert events == [] and state.drive["webcam"].tracking


def test_pose_comes_from_one_source_lips_from_another_and_the_rest_from_speech() -> None:
    every = [
        sees("webcam", yaw_deg=20, shapes={"mouthFunnel": 0.9}),
        sees("vmc", shapes={"mouthFunnel": 0.8}, yaw_deg=-20),
    ]
    faces, state, events = run({0: [mix("webcam", pose=1), mix("vmc", lips=1)]}, 20, every)
    assert degrees(faces, co.YAW)[-1] == pytest.approx(20, abs=0.01)
    assert faces[-1, LIPS] == pytest.approx(0.8, abs=1e-3)
    assert np.allclose(faces[-1, co.JAW], TALKING[co.JAW])
    assert [type(e) for e in events] == [Applied, Applied, Finished, Finished]
    assert {source: layer.groups for source, layer in state.drive.items()} == {
        "webcam": {"pose": 1.0},
        "vmc": {"lips": 1.0},
    }


def test_half_a_weight_is_half_the_way_and_mixing_out_gives_the_group_back() -> None:
    every = [sees(yaw_deg=23)]
    half, state, _ = run({0: [mix(pose=0.5)]}, 20, every)
    assert degrees(half, co.YAW)[-1] == pytest.approx((23 + 3) / 2, abs=0.01)
    back, _, _ = run({20: [mix()]}, 20, every, state, begin=20)
    assert np.allclose(back[-1], TALKING, atol=1e-5)


def test_the_calibrated_face_is_at_rest_and_what_begins_at_0_still_reaches_its_full_range() -> None:
    rest, wide = {"browInnerUp": 0.4, "jawOpen": 0.2}, {"browInnerUp": 1.0, "jawOpen": 0.2}
    before = [sees(shapes=rest, yaw_deg=12)]
    script = {0: [mix(pose=1, brows=1, jaw=1)], 10: [Command(m.DriveCalibrate("c", "webcam"))]}
    faces, state, _ = run(script, 30, before)
    assert degrees(faces, co.YAW)[18] == pytest.approx(12, abs=0.1)
    assert degrees(faces, co.YAW)[-1] == pytest.approx(0, abs=0.01)
    assert faces[-1, BROWS] == pytest.approx(0, abs=1e-3) and faces[-1, co.JAW.start] == pytest.approx(0, abs=1e-3)
    assert state.drive["webcam"].neutral is not None
    faces, _, _ = run({}, 10, [sees(shapes=wide, yaw_deg=22)], state, begin=30)
    assert degrees(faces, co.YAW)[-1] == pytest.approx(10, abs=0.01)
    assert faces[-1, BROWS] == pytest.approx(1.0, abs=1e-3)


def test_a_neutral_face_that_was_taken_in_a_blink_leaves_blinks_to_follow() -> None:
    blinks = {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}
    script = {0: [mix(lids=1)], 5: [Command(m.DriveCalibrate("c", "webcam"))]}
    _, state, _ = run(script, 20, [sees(shapes=blinks)])
    opened, state, _ = run({}, 5, [sees(shapes={})], state, begin=20)
    shut, _, _ = run({}, 5, [sees(shapes=blinks)], state, begin=25)
    assert opened[-1, co.EYELIDS].max() < 0.05 and shut[-1, co.EYELIDS].min() > 0.9


def test_what_is_calibrated_on_air_goes_there_smoothly() -> None:
    seen = sees(shapes={"browInnerUp": 0.6}, yaw_deg=20)
    script = {0: [mix(pose=1, brows=1)], 10: [Command(m.DriveCalibrate("c", "webcam"))]}
    faces, _, events = run(script, 30, [seen])
    assert faces[19, BROWS] == pytest.approx(0.6, abs=1e-3) and faces[-1, BROWS] == pytest.approx(0, abs=1e-3)
    assert np.abs(np.diff(faces[12:, BROWS])).max() < 0.2
    (done,) = [event.frame for event in events if isinstance(event, Finished) and event.id == "c"]
    assert faces[done, BROWS] == pytest.approx(0, abs=1e-3)


def test_calibrating_a_source_that_shows_nothing_is_refused() -> None:
    _, _, events = run({0: [Command(m.DriveCalibrate("c", "vmc"))]}, 1)
    assert [(e.id, e.code) for e in events if isinstance(e, Refused)] == [("c", "conflict")]


@pytest.mark.parametrize("how", ["silent", "untracked"])
def test_a_lost_face_eases_back_to_speech_and_a_found_one_comes_back_as_smoothly(how: str) -> None:
    every = [sees(yaw_deg=25, shapes={"mouthFunnel": 1.0})]
    _, state, _ = run({0: [mix(pose=1, lips=1)]}, 20, every)
    lost, state, _ = run({}, 20, [sees(tracked=False)] if how == "untracked" else [], state, begin=20)
    assert degrees(lost, co.YAW)[-1] == pytest.approx(3, abs=0.01) and lost[-1, LIPS] == pytest.approx(0.3, abs=1e-3)
    assert not state.drive["webcam"].tracking
    found, state, _ = run({}, 20, every, state, begin=40)
    assert degrees(found, co.YAW)[-1] == pytest.approx(25, abs=0.01)
    for faces in (lost, found):
        assert np.abs(np.diff(faces[:, LIPS])).max() < 0.25
        assert_within_limits(faces)


def test_the_pictures_of_a_longer_chunk_each_have_their_own_sight() -> None:
    every = [sees(shapes={"mouthFunnel": 0.2}), sees(shapes={"mouthFunnel": 0.7}, offset=1)]
    _, state, _ = run({0: [mix(lips=1)]}, 20, every[:1])
    for frame in range(40, 80, 2):
        merged, state = merge(still(1), every, state, frame)
    assert merged.faces[:, LIPS] == pytest.approx([0.2, 0.7], abs=1e-3)


def test_a_fixed_head_is_fixed_for_sources_too_and_a_pose_lies_over_them() -> None:
    every = [sees(yaw_deg=20, pitch_deg=10)]
    script = {0: [mix(pose=1)], 10: [Command(m.PoseSet("p", yaw_deg=-10))]}
    faces, state, _ = run(script, 25, every)
    assert (degrees(faces, co.YAW)[-1], degrees(faces, co.PITCH)[-1]) == pytest.approx((-10, 10), abs=0.01)
    fixed, _, _ = run({25: [Command(m.HeadFix("h", True))]}, 20, every, state, begin=25)
    assert degrees(fixed, co.PITCH)[-1] == pytest.approx(0, abs=0.01)


def test_neutral_leaves_the_sources_and_a_pickle_keeps_them() -> None:
    every = [sees(yaw_deg=20)]
    _, state, _ = run({0: [mix(pose=1)], 10: [Command(m.Neutral("n"))]}, 25, every)
    kept, _, _ = run({}, 3, every, pickle.loads(pickle.dumps(state)), begin=25)
    assert degrees(kept, co.YAW)[-1] == pytest.approx(20, abs=0.01)


angles = st.floats(-90, 90)
sights = st.builds(
    m.DriveFrame, id=st.just("f"), source=st.sampled_from(["webcam", "vmc"]), tracked=st.booleans(),
    shapes=st.dictionaries(st.sampled_from(sorted(co.ARKIT_NAMES)), st.floats(0, 1), max_size=6),
    yaw_deg=angles, pitch_deg=angles, roll_deg=angles, x=st.floats(-1, 1), zoom=st.floats(0.25, 4),
)  # fmt: skip
mixes = st.builds(
    m.DriveMix, id=st.just("m"), source=st.sampled_from(["webcam", "vmc"]), ease_ms=st.floats(0, 400),
    groups=st.dictionaries(st.sampled_from(["pose", "lips", "jaw", "brows", "eyes", "lids"]), st.floats(0, 1), max_size=6),
)  # fmt: skip
calibrations = st.builds(m.DriveCalibrate, id=st.just("c"), source=st.sampled_from(["webcam", "vmc"]))
asked = st.builds(Command, sights | mixes | calibrations)
scripts = st.dictionaries(st.integers(0, 41), st.lists(asked, max_size=5), max_size=12)  # by frame


@given(scripts)
@settings(max_examples=60, deadline=None)
def test_whatever_a_source_shows_the_face_stays_within_what_a_face_can_do(script: dict[int, list[Command]]) -> None:
    directed = direct(still(25), script)
    faces, state = directed.faces, directed.state
    assert np.isfinite(faces).all() and np.allclose(co.limit(faces), faces, atol=1e-5)
    assert_within_limits(faces)
    assert abs(state.framing()[0]) <= LIMITS["x"].high


@given(scripts)
@settings(max_examples=30, deadline=None)
def test_the_pose_of_a_source_touches_nothing_but_the_head(script: dict[int, list[Command]]) -> None:
    for commands in script.values():
        commands[:] = [
            c for c in commands if not isinstance(c.directive, m.DriveMix) or set(c.directive.groups) <= {"pose"}
        ]
    faces = direct(still(25), script).faces
    assert np.allclose(faces[:, co.ROTATION.stop :], TALKING[co.ROTATION.stop :], atol=1e-6)


@given(sights, sights)
@settings(max_examples=30, deadline=None)
def test_sights_of_two_sources_may_come_in_any_order(one: m.DriveFrame, other: m.DriveFrame) -> None:
    start = {0: [mix("webcam", pose=1, lips=0.5), mix("vmc", pose=0.5, lips=1)]}
    frames = [
        Command(one),
        Command(m.DriveFrame(**{**other.__dict__, "source": "vmc" if one.source == "webcam" else "webcam"})),
    ]
    _, state, _ = run(start, 3)
    forth, _, _ = run({}, 6, frames, state, begin=3)
    back, _, _ = run({}, 6, frames[::-1], state, begin=3)
    assert np.array_equal(forth, back)


def test_of_each_source_and_picture_the_newest_frame_counts_and_nobody_cuts_in() -> None:
    driven = DriveInput()
    for yaw_deg, frame in ((1.0, 10), (2.0, 10)):
        driven.put(m.DriveFrame("f", "webcam", yaw_deg=yaw_deg), "o1", frame, 0.0)
    with pytest.raises(Conflict, match="somebody else drives with webcam"):
        driven.put(m.DriveFrame("f", "webcam"), "o2", 11, 0.5)
    taken = driven.take()
    assert [(c.directive.yaw_deg, c.offset, c.operator) for c in taken] == [(2.0, 0, "o1")]
    assert driven.take() == ()
    driven.put(m.DriveFrame("f", "webcam"), "o2", 12, 0.1 + HOLD_S)


def test_a_clip_is_taken_by_itself_and_live_sources_without_it() -> None:
    driven = DriveInput()
    for source in ("vmc", "clip", "webcam"):
        driven.put(m.DriveFrame("f", source), "o1", 10, 0.0)
    assert [c.directive.source for c in driven.take()] == ["vmc", "webcam"]
    assert [[c.directive.source for c in driven.take_of("clip")] for _ in range(2)] == [["clip"], []]


def test_frames_reach_the_face_through_the_desk_past_a_lock_and_operators_see_the_source() -> None:
    show = Show()
    anna, ben = show.desk.join("Anna"), show.desk.join("Ben")
    show.send(anna, "lock.take")
    assert show.send(ben, "drive.mix", source="webcam", groups={"pose": 1}) == "locked"
    assert show.send(anna, "drive.mix", source="webcam", groups={"pose": 1}) is None
    for _ in range(20):
        assert show.send(ben, "drive.frame", source="webcam", yaw_deg=15) is None
        show.chunk(2)
    assert show.send(anna, "drive.frame", source="webcam", yaw_deg=15) == "conflict"
    said = heard(anna, "state", "face", "catalog")
    faces = [message for message in said if message["type"] == "face"]
    assert faces[-1]["pose"]["yaw_deg"] == pytest.approx(15, abs=0.1)
    states = [message for message in said if message["type"] == "state"]
    assert states[-1]["sources"] == [
        {"source": "webcam", "tracking": True, "groups": {"pose": 1.0}, "calibrated": False}
    ]
    assert "webcam" in next(message for message in said if message["type"] == "catalog")["sources"]
    assert len(states) < 8, "not every frame is a change"
    codes = [show.send(ben, "drive.frame", source="webcam") for _ in range(100)]
    assert "too_many" in codes


def test_where_a_head_stands_counts_from_where_it_was_calibrated() -> None:
    there = [sees(x=0.2, zoom=0.8)]
    _, state, _ = run({0: [mix(pose=1.0)]}, 12, there)
    assert np.abs(state.framing()).max() < 1e-6
    calibrate = Command(m.DriveCalibrate("c", "webcam"))
    _, state, _ = run({13: [calibrate]}, 6, there, state, 12)
    assert np.abs(state.framing()).max() < 1e-6
    _, state, _ = run({}, 12, [sees(x=0.25, zoom=1.2)], state, 18)
    assert state.framing() == pytest.approx([0.05, 0, np.log(1.5)], abs=1e-6)


def test_what_a_source_saw_before_the_renderer_died_is_not_asked_for_again() -> None:
    show = Show()
    anna = show.desk.join("")
    show.send(anna, "drive.frame", source="webcam", yaw_deg=15)
    show.send(anna, "blink.now")
    commands = show.desk.waiting.take()
    assert len(commands) == 2
    show.desk.waiting.give_back(commands)
    assert [command.directive.type for command in show.desk.waiting.take()] == ["blink.now"]


def test_a_face_that_is_found_again_before_it_has_gone_leads_over() -> None:
    smiling, open_mouthed = {"mouthFunnel": 1.0}, {"mouthFunnel": 0.0, "browInnerUp": 1.0}
    _, state, _ = run({0: [mix(lips=1, brows=1)]}, 20, [sees(shapes=smiling)])
    lost, state, _ = run({20: [sees(tracked=False)]}, 2, state=state, begin=20)
    back, _, _ = run({}, 10, [sees(shapes=open_mouthed)], state, begin=22)
    lips = np.concatenate([lost, back])[:, LIPS]
    assert np.abs(np.diff(lips)).max() < 0.35
    assert back[-1][BROWS] == pytest.approx(1.0, abs=0.02) and back[-1][LIPS] == pytest.approx(0.0, abs=0.02)


def test_calibrate_that_is_pressed_twice_is_one_way_to_the_neutral_face() -> None:
    every = [sees(yaw_deg=20, shapes={"browInnerUp": 0.6})]
    _, state, _ = run({0: [mix(pose=1, brows=1)]}, 20, every)
    script = {20: [Command(m.DriveCalibrate("a", "webcam"))], 22: [Command(m.DriveCalibrate("b", "webcam"))]}
    faces, _, _ = run(script, 12, every, state, begin=20)
    assert np.abs(np.diff(faces[:, BROWS])).max() < 0.14
    assert np.abs(np.diff(degrees(faces, co.YAW))).max() < 4.5
