"""What lies behind the head is what was asked for, and of the head nothing is lost."""

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.bundle import open_bundle
from flap import coefficients as co
from realtime.config import ConfigError, ServerConfig
from realtime.render.backdrop import Backdrop
from realtime.render.background import head_share, head_shares, put_behind, read_background
from realtime.render.portrait import PortraitStage

BUNDLE = Path(__file__).parent.parent / "bundles" / "flap-small"
GREEN = np.full((512, 512, 3), (0, 255, 0), np.uint8)
SKIN, WALL = (210, 160, 130), (90, 100, 120)


def disc(radius: float, size: int) -> np.ndarray:
    rows, columns = np.mgrid[0:size, 0:size] * (256 / size) + 128 / size
    return np.clip(radius + 0.5 - np.hypot(columns - 128, rows - 128), 0, 1).astype(np.float32)


@pytest.fixture
def frame() -> np.ndarray:
    """A head of 70 pixels before a wall, its edge a pixel wide."""
    share = disc(70, 256)[..., None]
    return np.rint(share * SKIN + (1 - share) * WALL).astype(np.uint8)


def blurred(radius: float) -> np.ndarray:
    return cv2.GaussianBlur(disc(radius, 64), (5, 5), 0)


def test_an_edge_that_is_roughly_known_is_found_on_the_pixels(frame: np.ndarray) -> None:
    wall = np.full_like(frame, WALL)
    for known_as in (68, 70, 72):
        rough, true = cv2.resize(blurred(known_as), (256, 256)), disc(70, 256)
        found = head_share(frame, blurred(known_as), wall)
        assert np.abs(found - true).mean() < 0.6 * np.abs(rough - true).mean()


def test_behind_the_head_is_the_colour_alone_and_the_head_is_as_it_was(frame: np.ndarray) -> None:
    frames, behind = np.stack([frame, frame]), Backdrop(np.full_like(frame, WALL), blurred(70))
    shares = head_shares(frames, np.stack([blurred(70)] * 2), behind)
    put_behind(frames, shares, behind.picture, GREEN[:256, :256])
    far, near = disc(78, 256) == 0, disc(62, 256) == 1
    assert np.array_equal(frames[0], frames[1])
    assert (frames[0][far] == (0, 255, 0)).all()
    assert np.abs(frames[0][near].astype(int) - SKIN).max() <= 2
    edge = ~far & ~near
    red, _, blue = frames[0][edge].astype(int).T
    assert (red - blue).min() > -12, "no wall shines through: it is bluer than it is red"


@pytest.mark.parametrize("size", [256, 512])
def test_a_head_of_the_shipped_bundle_keeps_its_face_before_a_picture(tmp_path: Path, size: int) -> None:
    shop = np.zeros((300, 500, 3), np.uint8)
    shop[:] = (30, 200, 240)  # BGR
    cv2.imwrite(str(tmp_path / "shop.png"), shop)
    bundle, turned = open_bundle(BUNDLE), co.from_arkit({}, co.rotation_from_degrees(yaw_deg=12))[None]
    made = []
    for background in (None, read_background(str(tmp_path / "shop.png"))):
        stage = PortraitStage(bundle, background=background, picture_size=size)
        state = stage.init_state(next(iter(bundle.presenters)))
        for _ in range(3):
            frames, state = stage.step(turned, state)
        made.append(frames[0].astype(int))
    own, before_shop = made
    scale = size // 256
    face = np.s_[100 * scale : 170 * scale, 100 * scale : 160 * scale]
    assert np.abs(before_shop[face] - own[face]).mean() < 1
    assert np.abs(before_shop[:20, :20] - (240, 200, 30)).max() <= 1
    assert np.abs(own[:20, :20] - (240, 200, 30)).max() > 40


@pytest.mark.parametrize("text", ["green", "#00ff0", "00ff00", "nowhere.png", ""])
def test_what_is_neither_a_colour_nor_a_picture_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="background: .*is neither a colour as #00ff00 nor a picture"):
        ServerConfig(background=text)


def test_a_colour_is_read() -> None:
    assert np.array_equal(read_background("#00Ff00"), GREEN)


def test_a_picture_that_is_taken_away_while_the_server_runs_stays_behind_the_head(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "shop.png"), GREEN)
    config = ServerConfig(background=str(tmp_path / "shop.png"))
    (tmp_path / "shop.png").unlink()
    sent = pickle.loads(pickle.dumps(config))  # to a renderer that is started again
    assert np.array_equal(sent.background_picture, GREEN)
