"""A silent face is alive, reproducible and never jumps."""

import numpy as np
import pytest

from flap import coefficients as co
from realtime.audio_to_flame import SpeechFaces
from realtime.idle_motion import IdleMotion


def live(seconds: float, seed: int = 1, loudness: float = 0.0, rate: float = 15.0, chunk: int = 2) -> np.ndarray:
    idle, out = IdleMotion(), []
    state = idle.init_state(seed, rate)
    for _ in range(int(seconds * 25 / chunk)):
        speech = SpeechFaces(co.neutral(chunk), np.full(chunk, loudness, np.float32))
        faces, state = idle.step(speech, state, blinks_per_minute=rate)
        out.append(faces)
    return np.concatenate(out)


def blinks(faces: np.ndarray) -> int:
    closed = faces[:, co.EYELIDS.start] > 0.9
    return int((closed[1:] & ~closed[:-1]).sum())


def test_the_same_seed_moves_the_same_way_in_any_chunking() -> None:
    assert np.array_equal(live(4), live(4))
    assert np.allclose(live(4, chunk=1), live(4, chunk=2))
    assert not np.allclose(live(4), live(4, seed=2))


@pytest.mark.parametrize("rate", [5, 15, 30])
def test_blinks_come_at_the_rate_that_was_asked_for(rate: int) -> None:
    per_minute = np.mean([blinks(live(300, seed, rate=rate)) / 5 for seed in (1, 2, 3)])
    assert per_minute == pytest.approx(rate, rel=0.2)


def test_no_blinks_at_rate_zero() -> None:
    assert blinks(live(60, rate=0)) == 0


def test_the_head_sways_a_little_and_never_jumps() -> None:
    degrees = np.rad2deg(live(60)[:, co.ROTATION])
    assert 0.5 < degrees[:, co.YAW].std() < 4
    assert np.abs(degrees).max() < 10
    assert np.abs(np.diff(degrees, axis=0)).max() < 1.0


def test_idle_motion_leaves_jaw_and_lips_alone() -> None:
    faces = live(10, loudness=0.5)
    assert not faces[:, co.JAW].any()
    assert not faces[:, [co.EXPRESSION_INDEX[name] for name in co.MOUTH_UNITS]].any()


def test_blink_now_closes_the_lids_at_once() -> None:
    idle = IdleMotion()
    speech = SpeechFaces(co.neutral(2), np.zeros(2, np.float32))
    faces, _ = idle.step(speech, idle.init_state(0, 0), blink_now=True, blinks_per_minute=0)
    assert faces[1, co.EYELIDS].min() > 0.9
