"""The shipped bundle animates its presenters: reproducibly, separately and as it is told."""

import time
from pathlib import Path

import numpy as np
import pytest

from engines.bundle import open_bundle
from engines.engine import EngineError
from flap import coefficients as co
from realtime.render.portrait import PortraitStage, move

BUNDLE = Path(__file__).parent.parent / "bundles" / "flap-small"


@pytest.fixture(scope="module")
def stage() -> PortraitStage:
    return PortraitStage(open_bundle(BUNDLE))


def frames(stage: PortraitStage, face: co.Array, chunks: int = 3, presenter: str | None = None) -> np.ndarray:
    state, out = stage.init_state(presenter or next(iter(stage.presenters))), []
    for _ in range(chunks):
        made, state = stage.step(np.tile(face, (2, 1)), state)
        out.append(made)
    return np.concatenate(out).astype(np.int16)


def test_the_same_seed_gives_the_same_frames(stage: PortraitStage) -> None:
    assert np.array_equal(frames(stage, co.neutral()), frames(stage, co.neutral()))


def test_frames_drawn_side_by_side_are_those_drawn_one_after_the_other(stage: PortraitStage) -> None:
    alone = PortraitStage(open_bundle(BUNDLE, threads=1))
    turning = co.from_arkit({"jawOpen": 0.5}, co.rotation_from_degrees(yaw_deg=10))
    assert np.array_equal(frames(stage, turning), frames(alone, turning))


def test_an_error_in_one_frame_is_the_chunks_when_the_other_is_over(
    stage: PortraitStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = stage.init_state(next(iter(stage.presenters)))
    for failing in (0, 1):
        over = []

        def draw(part: slice, *_: object, failing: int = failing, over: list[int] = over) -> None:
            if part.start == failing:
                raise EngineError("no more")
            time.sleep(0.1)
            over.append(part.start)

        monkeypatch.setattr(stage, "_draw", draw)
        with pytest.raises(EngineError, match="no more"):
            stage.step(co.neutral(2), state)
        assert over == [1 - failing]


def test_two_streams_do_not_touch_each_other(stage: PortraitStage) -> None:
    first, second = (stage.init_state(name) for name in list(stage.presenters)[:2])
    alone, _ = stage.step(co.neutral(2), first)
    stage.step(co.neutral(2), second)
    again, _ = stage.step(co.neutral(2), first)
    assert np.array_equal(alone, again)


def test_a_state_can_be_stepped_from_twice(stage: PortraitStage) -> None:
    ahead, turned = co.neutral(2), np.tile(co.from_arkit({}, co.rotation_from_degrees(yaw_deg=25)), (2, 1))
    _, state = stage.step(ahead, stage.init_state(next(iter(stage.presenters))))
    _, after_ahead = stage.step(ahead, state)
    expected, _ = stage.step(ahead, after_ahead)
    _, after_ahead = stage.step(ahead, state)
    stage.step(turned, state)
    assert np.array_equal(stage.step(ahead, after_ahead)[0], expected)


def test_frames_of_one_chunk_are_not_overwritten_by_the_next(stage: PortraitStage) -> None:
    first, state = stage.step(co.neutral(2), stage.init_state(next(iter(stage.presenters))))
    kept = first.copy()
    stage.step(np.tile(co.from_arkit({"jawOpen": 1.0}), (2, 1)), state)
    assert np.array_equal(first, kept)


def test_a_still_face_stays_still(stage: PortraitStage) -> None:
    made = frames(stage, co.neutral(), chunks=8)
    assert np.abs(np.diff(made[10:], axis=0)).mean() < 0.5  # of 255


def test_a_turn_changes_the_picture_and_a_neutral_face_is_near_the_portrait(stage: PortraitStage) -> None:
    ahead = frames(stage, co.neutral())[-1]
    turned = frames(stage, co.from_arkit({}, co.rotation_from_degrees(yaw_deg=25)))[-1]
    presenter = next(iter(stage.presenters))
    portrait = (stage.init_state(presenter).portrait.pixels + 1) * 127.5
    assert np.abs(ahead - portrait).mean() < 6
    assert np.abs(turned - portrait).mean() > 2 * np.abs(ahead - portrait).mean()


def test_bad_input_is_refused(stage: PortraitStage) -> None:
    state = stage.init_state(next(iter(stage.presenters)))
    with pytest.raises(ValueError, match="finite"):
        stage.step(np.full((2, 120), np.nan, np.float32), state)
    with pytest.raises(ValueError, match="120"):
        stage.step(np.zeros((2, 100), np.float32), state)
    with pytest.raises(KeyError):
        stage.init_state("nobody")


def test_moving_by_the_grid_itself_changes_nothing() -> None:
    centres = (np.arange(64, dtype=np.float32) + 0.5) / 32 - 1
    grid = np.stack(np.meshgrid(centres, centres))[None]
    image = np.random.default_rng(0).random((64, 64, 3), np.float32)
    assert np.allclose(move(image, grid)[0], image, atol=0.02)


def test_moving_writes_where_it_is_told() -> None:
    image, source = np.random.default_rng(0).random((256, 256, 3), np.float32), np.zeros((2, 2, 64, 64), np.float32)
    out = np.empty((2, 256, 256, 3), np.float32)
    assert move(image, source, out) is out and np.array_equal(out, move(image, source))
