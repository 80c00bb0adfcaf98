"""What the merge promises of every script: nothing jumps, asking again changes nothing, different things come in any order."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flap import coefficients as co
from realtime.control.layers import LIMITS
from realtime.protocol import messages as m
from realtime.protocol.directives import CHANNELS, DEFAULT_TARGETS, GROUPS, STYLES
from tests.directed import STEP_FRAMES, TALKING, assert_within_limits, commanded, direct, play, still

SETTLED = 22  # steps
ease = st.floats(0, 1000)
poses = st.builds(
    m.PoseSet, id=st.just("p"), yaw_deg=st.floats(-40, 40), pitch_deg=st.floats(-25, 25), roll_deg=st.floats(-20, 20),
    x=st.floats(-0.3, 0.3), y=st.floats(-0.3, 0.3), zoom=st.floats(0.5, 2), mode=st.sampled_from(["override", "overlay"]),
    ease_ms=ease,
)  # fmt: skip
expressions = st.builds(
    m.ExpressionSet, id=st.just("e"), intensity=st.floats(0, 1), ease_ms=ease,
    shapes=st.dictionaries(st.sampled_from(sorted(co.ARKIT_NAMES)), st.floats(0, 1), max_size=5),
    keep=st.dictionaries(st.sampled_from(GROUPS), st.floats(0, 1), max_size=3),
)  # fmt: skip
gazes = st.builds(m.GazeSet, id=st.just("g"), yaw_deg=st.floats(-30, 30), pitch_deg=st.floats(-20, 20), ease_ms=ease)
looks = st.builds(m.LookAt, id=st.just("l"), target=st.sampled_from(sorted(DEFAULT_TARGETS)), ease_ms=ease)
styles = st.builds(m.StyleSet, id=st.just("s"), name=st.sampled_from(STYLES), head=st.floats(0, 2))
fixes = st.builds(m.HeadFix, id=st.just("h"), on=st.booleans(), ease_ms=ease)
rates = st.builds(m.BlinkRate, id=st.just("b"), per_minute=st.floats(0, 60))
mixes = st.builds(
    m.DriveMix, id=st.just("m"), source=st.just("webcam"), groups=st.just({"pose": 0.5, "brows": 1.0}), ease_ms=ease
)
lasting = poses | expressions | gazes | looks | styles | fixes | mixes


def framing_of(script: dict[int, list[m.Directive]], steps: int) -> np.ndarray:
    """Where the picture stands `[2 * steps, 3]`."""
    return direct(still(steps), commanded(script)).framing


@given(st.dictionaries(st.integers(0, 15), st.lists(lasting, max_size=3), max_size=8))
@settings(max_examples=25, deadline=None)
def test_neither_head_nor_picture_jumps(script: dict[int, list[m.Directive]]) -> None:
    faces, _, _ = play(script, 20)
    assert_within_limits(faces)
    for place, channel in zip(framing_of(script, 20).T, CHANNELS[3:], strict=True):
        limits = LIMITS[channel]
        assert np.abs(np.diff(place)).max() <= limits.velocity + 1e-9
        assert np.abs(np.diff(place, 2)).max() <= limits.acceleration + 1e-9
        assert limits.low - 1e-9 <= place.min() and place.max() <= limits.high + 1e-9


@given(st.dictionaries(st.integers(0, 15), st.lists(expressions, max_size=2), max_size=8))
@settings(max_examples=20, deadline=None)
def test_no_expression_appears_within_one_picture(script: dict[int, list[m.Directive]]) -> None:
    faces, _, _ = play(script, 20)
    for group in (co.EXPRESSION, co.EYELIDS):
        assert np.abs(np.diff(faces[:, group], axis=0)).max() < 0.85


@given(lasting)
@settings(max_examples=25, deadline=None)
def test_asking_again_for_what_is_there_already_changes_nothing(asked: m.Directive) -> None:
    faces, _, _ = play({0: [asked], SETTLED: [replace(asked, id="again")]}, SETTLED + 10)
    after = faces[STEP_FRAMES * (SETTLED - 1) :]
    assert np.allclose(after, after[0], atol=1e-5)


@given(st.tuples(poses, expressions, gazes, styles, fixes, rates, mixes).flatmap(lambda all_: st.permutations(all_)))
@settings(max_examples=20, deadline=None)
def test_commands_that_touch_different_things_come_in_any_order(asked: list[m.Directive]) -> None:
    forth, _, _ = play({1: asked}, 12)
    back, _, _ = play({1: asked[::-1]}, 12)
    assert np.array_equal(forth, back)


@given(st.lists(poses | looks | fixes | st.just(m.PoseRelease("r")), max_size=5))
@settings(max_examples=20, deadline=None)
def test_what_turns_the_head_leaves_jaw_lips_and_lids_alone(asked: list[m.Directive]) -> None:
    faces, _, _ = play({1: asked}, 12)
    others = np.delete(faces, range(co.ROTATION.start, co.EYES.stop), axis=1)
    assert np.array_equal(others, np.tile(others[0], (len(others), 1)))
    assert np.allclose(others[0], np.delete(TALKING, range(co.ROTATION.start, co.EYES.stop)), atol=1e-6)
