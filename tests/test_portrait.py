"""The shipped bundle animates its presenters: reproducibly, separately and as it is told."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from engines.bundle import open_bundle
from engines.engine import EngineError
from flap import coefficients as co
from flap.config import CHUNK_FRAMES, CONTEXT_FRAMES
from realtime.render.detail import enlarged
from realtime.render.past_frames import ROOM_FRAMES
from realtime.render.portrait import PortraitStage, move

BUNDLE = Path(__file__).parent.parent / "bundles" / "flap-small"


@pytest.fixture(scope="module")
def stage() -> PortraitStage:
    return PortraitStage(open_bundle(BUNDLE))


def frames(stage: PortraitStage, face: co.Array, chunks: int = 6, presenter: str | None = None) -> np.ndarray:
    state, out = stage.init_state(presenter or next(iter(stage.presenters))), []
    for _ in range(chunks):
        made, state = stage.step(np.tile(face, (CHUNK_FRAMES, 1)), state)
        out.append(made)
    return np.concatenate(out).astype(np.int16)


def test_the_same_seed_gives_the_same_frames(stage: PortraitStage) -> None:
    assert np.array_equal(frames(stage, co.neutral()), frames(stage, co.neutral()))


def test_chunks_drawn_side_by_side_are_those_drawn_one_after_the_other(stage: PortraitStage) -> None:
    """Also where the past frames are copied to the front of their room, and for a machine with one thread."""
    alone = PortraitStage(open_bundle(BUNDLE, threads=1))
    assert (stage.at_once, alone.at_once) == (2, 1)
    faces = [
        co.from_arkit({"jawOpen": i % 5 / 5}, co.rotation_from_degrees(yaw_deg=i))[None]
        for i in range(ROOM_FRAMES + CONTEXT_FRAMES)
    ]
    for beside in (stage, alone):
        state, drawings = beside.init_state(next(iter(beside.presenters))), []
        for face in faces:
            drawing, state = beside.begin(face, state)
            drawings.append(drawing)
        state = stage.init_state(next(iter(stage.presenters)))
        for face, drawing in zip(faces, drawings, strict=True):
            expected, state = stage.step(face, state)
            assert np.array_equal(drawing.result().frames, expected)


def test_an_error_in_one_chunk_is_that_of_those_that_follow_from_it_and_of_no_other(
    stage: PortraitStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, move_by, fails = stage.init_state(next(iter(stage.presenters))), stage._move, [True]

    def moved(*given: Any) -> Any:
        if fails.pop() if fails else False:
            raise EngineError("no more")
        return move_by(*given)

    monkeypatch.setattr(stage, "_move", moved)
    failed, state = stage.begin(co.neutral(CHUNK_FRAMES), start)
    after, _ = stage.begin(co.neutral(CHUNK_FRAMES), state)
    for drawing in (failed, after):
        with pytest.raises(EngineError, match="no more"):
            drawing.result(5)
    assert stage.step(co.neutral(CHUNK_FRAMES), start)[0].any()


def test_graphs_that_draw_more_in_a_run_are_refused(stage: PortraitStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime.render.portrait.CHUNK_FRAMES", 2)
    with pytest.raises(EngineError, match="draws 1 frames in a run, not 2: export the bundle again"):
        PortraitStage(open_bundle(BUNDLE))


def test_pictures_are_finished_by_the_thread_that_draws_them(stage: PortraitStage) -> None:
    names = []

    def finish(frames: np.ndarray) -> np.ndarray:
        names.append(threading.current_thread().name)
        return 255 - frames

    state = stage.init_state(next(iter(stage.presenters)))
    drawing, _ = stage.begin(co.neutral(CHUNK_FRAMES), state, finish=finish)
    assert np.array_equal(255 - drawing.result().frames, stage.step(co.neutral(CHUNK_FRAMES), state)[0])
    assert names[0].startswith("portrait") and drawing.result().spent_ms > 0


def test_presenters_who_were_not_shown_for_longest_are_forgotten_and_streams_of_them_go_on(
    stage: PortraitStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded, encode_by = list[str](), stage._encode

    def encode(presenter_id: str) -> Any:
        encoded.append(presenter_id)
        return encode_by(presenter_id)

    monkeypatch.setattr(stage, "_encode", encode)
    monkeypatch.setattr(stage, "_encoded", {})
    monkeypatch.setattr("realtime.render.portrait.MAX_ENCODED", 2)
    first, second, third = list(stage.presenters)[:3]
    expected, _ = stage.step(co.neutral(CHUNK_FRAMES), stage.init_state(second))
    stream = stage.init_state(second)
    for presenter in (first, second, first, third, first):
        stage.init_state(presenter)
    assert encoded == [second, first, third] and list(stage._encoded) == [third, first]
    assert np.array_equal(stage.step(co.neutral(CHUNK_FRAMES), stream)[0], expected)
    stage.init_state(second)
    assert encoded == [second, first, third, second] and list(stage._encoded) == [first, second]


def test_two_streams_do_not_touch_each_other(stage: PortraitStage) -> None:
    first, second = (stage.init_state(name) for name in list(stage.presenters)[:2])
    alone, _ = stage.step(co.neutral(CHUNK_FRAMES), first)
    stage.step(co.neutral(CHUNK_FRAMES), second)
    again, _ = stage.step(co.neutral(CHUNK_FRAMES), first)
    assert np.array_equal(alone, again)


def test_a_state_can_be_stepped_from_twice(stage: PortraitStage) -> None:
    ahead, turned = (
        co.neutral(CHUNK_FRAMES),
        np.tile(co.from_arkit({}, co.rotation_from_degrees(yaw_deg=25)), (CHUNK_FRAMES, 1)),
    )
    _, state = stage.step(ahead, stage.init_state(next(iter(stage.presenters))))
    _, after_ahead = stage.step(ahead, state)
    expected, _ = stage.step(ahead, after_ahead)
    _, after_ahead = stage.step(ahead, state)
    stage.step(turned, state)
    assert np.array_equal(stage.step(ahead, after_ahead)[0], expected)


def psnr_db(one: np.ndarray, other: np.ndarray) -> float:
    return float(-10 * np.log10(np.square(one.astype(float) - other).mean() / 255**2))


def test_twice_as_large_a_head_at_rest_has_the_fine_detail_of_its_portrait(stage: PortraitStage) -> None:
    fine, presenter = PortraitStage(open_bundle(BUNDLE), picture_size=512), next(iter(stage.presenters))
    portrait = cv2.cvtColor(cv2.imread(str(stage.presenters[presenter].portrait_path)), cv2.COLOR_BGR2RGB)
    drawn, large = (frames(each, co.neutral(), 1, presenter)[0] for each in (stage, fine))
    smooth = enlarged(drawn.astype(np.uint8), 512)
    assert large.shape == (512, 512, 3)
    assert psnr_db(large, portrait) > psnr_db(smooth, portrait) + 5
    turned = co.from_arkit({}, co.rotation_from_degrees(yaw_deg=15))
    turned_small, turned_large = (frames(each, turned, 1, presenter)[0] for each in (stage, fine))
    assert psnr_db(turned_large, enlarged(turned_small.astype(np.uint8), 512)) > 26, "it is the same picture, but finer"


def test_a_presenter_whose_portrait_is_small_is_enlarged_without_detail(stage: PortraitStage, tmp_path: Path) -> None:
    presenter = next(iter(stage.presenters.values()))
    portrait = cv2.imread(str(presenter.portrait_path))
    cv2.imwrite(str(tmp_path / "small.png"), cv2.resize(portrait, (256, 256), interpolation=cv2.INTER_AREA))
    bundle = open_bundle(BUNDLE)
    small = replace(presenter, portrait_path=tmp_path / "small.png")
    fine = PortraitStage(replace(bundle, presenters={presenter.id: small}), picture_size=512)
    drawn, large = (frames(each, co.neutral(), 1, presenter.id)[0] for each in (stage, fine))
    assert np.array_equal(large, enlarged(drawn.astype(np.uint8), 512))


@pytest.mark.parametrize("shape", [(300, 300, 3), (256, 512, 3)])
def test_a_portrait_of_another_size_is_refused(stage: PortraitStage, tmp_path: Path, shape: tuple[int, ...]) -> None:
    presenter = next(iter(stage.presenters.values()))
    cv2.imwrite(str(tmp_path / "odd.png"), np.zeros(shape, np.uint8))
    odd = replace(presenter, portrait_path=tmp_path / "odd.png")
    with pytest.raises(EngineError, match="is no picture of 256 x 256 or 512 x 512"):
        PortraitStage(replace(open_bundle(BUNDLE), presenters={"odd": odd})).init_state("odd")


def test_frames_of_one_chunk_are_not_overwritten_by_the_next(stage: PortraitStage) -> None:
    first, state = stage.step(co.neutral(CHUNK_FRAMES), stage.init_state(next(iter(stage.presenters))))
    kept = first.copy()
    stage.step(np.tile(co.from_arkit({"jawOpen": 1.0}), (CHUNK_FRAMES, 1)), state)
    assert np.array_equal(first, kept)


def test_a_still_face_stays_still(stage: PortraitStage) -> None:
    made = frames(stage, co.neutral(), chunks=16)
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
        stage.step(np.full((CHUNK_FRAMES, 120), np.nan, np.float32), state)
    with pytest.raises(ValueError, match="120"):
        stage.step(np.zeros((CHUNK_FRAMES, 100), np.float32), state)
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
