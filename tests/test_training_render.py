"""The renderer's motion is exact: the portrait's own pixels, moved by it, make the frame."""

import os
from pathlib import Path

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2")
pytest.importorskip("moderngl")

from flap import coefficients as co  # noqa: E402
from training.render.assets import AssetError, Assets  # noqa: E402
from training.render.character import Character  # noqa: E402
from training.render.identities import random_identity  # noqa: E402
from training.render.rasterizer import Stage  # noqa: E402

ASSETS = Path(os.environ.get("FLAP_MAKEHUMAN_ASSETS", "../shared/assets/makehuman"))


@pytest.fixture(scope="module")
def stage() -> Stage:
    if not ASSETS.is_dir():
        pytest.skip(f"no MakeHuman assets at {ASSETS}; set FLAP_MAKEHUMAN_ASSETS")
    return Stage(Character(Assets(ASSETS), random_identity(2)))


def test_a_folder_without_assets_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="base/base.obj"):
        Assets(tmp_path)


def test_the_same_seed_renders_the_same_picture(stage: Stage) -> None:
    face = co.from_arkit({"jawOpen": 0.4}, co.rotation_from_degrees(yaw_deg=10))
    assert np.array_equal(stage.render(face)[0], stage.render(face)[0])
    assert random_identity(5) == random_identity(5) != random_identity(6)


def test_the_portrait_moved_by_the_motion_is_the_frame_where_it_is_seen(stage: Stage) -> None:
    portrait, still = stage.render(co.neutral())
    frame, motion = stage.render(
        co.from_arkit({"jawOpen": 0.3, "mouthSmileLeft": 0.5}, co.rotation_from_degrees(yaw_deg=12))
    )
    source = cv2.resize(motion.portrait_xy, (256, 256), interpolation=cv2.INTER_LINEAR)
    at = ((source + 1) * 256 - 1) / 2
    moved = cv2.remap(portrait, at[..., 0], at[..., 1], cv2.INTER_LINEAR)
    seen = cv2.erode(cv2.resize(motion.masks[..., 0] * motion.masks[..., 1], (256, 256)), np.ones((9, 9))) > 0.99
    unmoved_error = np.abs(frame[seen].astype(int) - portrait[seen]).mean()
    moved_error = np.abs(frame[seen].astype(int) - moved[seen]).mean()
    assert seen.mean() > 0.2
    assert moved_error < 0.4 * unmoved_error  # what is left is light and shade
    assert np.abs(still.portrait_xy - still.unposed_xy).max() < 1e-5


def test_yaw_turns_the_face_to_the_viewers_right_and_pitch_looks_down(stage: Stage) -> None:
    def nose(face: co.Array) -> np.ndarray:
        body = next(s for s in stage.character.surfaces if s.name == "body")
        rest = stage.character.points(body, co.neutral())
        tip = np.argmax(np.where(np.abs(rest[:, 0]) < 0.05, rest[:, 2], -9))
        return stage._project(stage.character.points(body, face))[tip, :2]

    ahead = nose(co.neutral())
    turned, down, rolled = co.neutral(), co.neutral(), co.neutral()
    turned[co.ROTATION] = co.rotation_from_degrees(yaw_deg=20)
    down[co.ROTATION] = co.rotation_from_degrees(pitch_deg=15)
    rolled[co.ROTATION] = co.rotation_from_degrees(roll_deg=15)
    assert nose(turned)[0] > ahead[0] + 0.1
    assert nose(down)[1] > ahead[1] + 0.1


def test_the_neutral_face_shows_no_teeth_and_an_open_jaw_hides_part_of_the_portrait(stage: Stage) -> None:
    _, closed = stage.render(co.neutral())
    _, opened = stage.render(co.from_arkit({"jawOpen": 0.7}))

    def unseen_mouth(motion) -> float:  # type: ignore[no-untyped-def]
        return float(((motion.masks[..., 2] > 0.9) & (motion.masks[..., 0] < 0.5)).sum())

    assert unseen_mouth(opened) > unseen_mouth(closed) + 5
