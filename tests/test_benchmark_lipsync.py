"""The lip-sync benchmark measures what it says."""

import numpy as np
import pytest

from benchmarks import lipsync_pictures
from benchmarks.lipsync import blink_rate_error, near, noises, offset_frames, turning_energy
from benchmarks.lipsync_figures import SpokenClip, Tracked, figures, restlessness
from benchmarks.lipsync_pictures import spoken
from flap import coefficients as co
from flap.config import CHUNK_FRAMES
from tests.fakes import FakePortraitStage, fake_pipeline, mouth_opening


@pytest.mark.parametrize("late", [-2, 0, 3])
def test_the_offset_of_a_shifted_curve_is_its_shift(late: int) -> None:
    wanted = np.convolve(np.random.default_rng(0).standard_normal(300), np.ones(5) / 5, "same").astype(np.float32)
    assert offset_frames(np.roll(wanted, late), wanted) == pytest.approx(late, abs=0.2)


def test_a_steady_rhythm_is_not_taken_for_its_neighbour_syllable() -> None:
    rhythm = np.sin(2 * np.pi * np.arange(100) / 5).astype(np.float32)
    assert offset_frames(rhythm, rhythm) == pytest.approx(0, abs=0.05)


def test_a_closure_counts_within_one_frame_and_not_within_two() -> None:
    shut = np.zeros(10, bool)
    shut[5] = True
    assert near(shut, np.array([4, 5, 6])) == [True] * 3
    assert near(shut, np.array([3, 7])) == [False] * 2


def test_noises_are_heard() -> None:
    assert all(np.sqrt((sound**2).mean()) > 0.01 for sound in noises(2.0).values())


def test_blinks_come_at_the_rates_that_are_asked_for() -> None:
    assert blink_rate_error(minutes=3.0) < 0.25


def test_a_head_that_turns_twice_as_fast_has_four_times_the_energy() -> None:
    seconds = np.arange(75)[:, None] / 25
    head = np.sin(2 * np.pi * seconds * np.array([0.5, 0.4, 0.3])).astype(np.float32) * 0.1
    assert turning_energy(2 * head) == pytest.approx(4 * turning_energy(head), rel=1e-3)
    trembling = head + np.random.default_rng(0).standard_normal(head.shape).astype(np.float32) * 1e-3
    assert turning_energy(trembling) == pytest.approx(turning_energy(head), rel=0.05)


def test_pictures_come_with_their_own_sound() -> None:
    bursts = (np.arange(48_000) % 8000 < 3000) * np.sin(2 * np.pi * 400 * np.arange(48_000) / 16_000)
    pictures = spoken(fake_pipeline(), "ada", bursts.astype(np.float32))
    assert len(pictures) == 75
    opening = np.array([mouth_opening(picture) for picture in pictures], np.float32)
    loud = np.sqrt((bursts.reshape(75, 640) ** 2).mean(1)).astype(np.float32)
    assert offset_frames(opening, loud) == pytest.approx(0, abs=0.3)


def test_restlessness_is_speed_and_not_size() -> None:
    frames = np.arange(200)[:, None] / 25
    calm = np.sin(2 * np.pi * frames * np.array([1.0, 2.0])).astype(np.float32)
    unseen = np.concatenate([calm, np.zeros((200, 1), np.float32)], 1)
    assert restlessness([3 * unseen], [unseen]) == pytest.approx(1)
    assert restlessness([calm[::2]], [calm]) == pytest.approx(2, rel=0.05)


def test_a_shape_weighs_as_much_in_restlessness_as_it_was_measured_to_move() -> None:
    seconds = np.arange(400)[:, None] / 25
    true = (np.sin(2 * np.pi * seconds) * np.array([1.0, 0.25])).astype(np.float32)
    restless = np.sin(4 * np.pi * seconds[:, 0]).astype(np.float32)
    for size in (0.01, 0.02, 0.5):
        made = np.stack([true[:, 0], size * restless], 1)
        assert restlessness([made], [true]) == pytest.approx((1 + 0.25 * 2) / 1.25, rel=0.02)


def test_a_presenters_rest_and_widest_mouth_are_drawn_in_chunks_as_the_server_draws_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipeline, drawn = fake_pipeline(), []

    def step(faces: co.Array, state: str) -> tuple[np.ndarray, str]:
        assert faces.shape == (CHUNK_FRAMES, co.SIZE)
        drawn.append(float(faces[0, co.JAW.start]))
        return FakePortraitStage().step(faces, state)

    def opened(pictures: list[np.ndarray]) -> tuple[np.ndarray, int]:
        return np.array([mouth_opening(picture) for picture in pictures], np.float32), 0

    monkeypatch.setattr(pipeline.portrait, "step", step)
    monkeypatch.setattr(lipsync_pictures, "openings", opened)
    rest, wide = lipsync_pictures.scale(pipeline, "ada")
    assert wide > rest + 10 and len(set(drawn)) == 2


def clip(language: str, hits: list[bool], correlation: float, tracked: Tracked | None = None) -> SpokenClip:
    closed, false = {"p": hits, "f": hits[:1]}, np.array([True, False])
    return SpokenClip("ada", language, closed, false, correlation, 0.1, 40, 0.2, tracked, None, 2.0, 0.1)


def test_closures_count_over_all_clips_and_by_language_where_they_occur() -> None:
    found = figures([clip("en", [True, True, False], 0.6), clip("zh", [False], 0.8), clip("de", [], 0.7)])
    assert found["bilabial_closure"] == 0.5
    assert found["bilabial_closure_by_language"] == {"en": 0.667, "zh": 0.0}
    assert found["opening_correlation_by_language"] == {"de": 0.7, "en": 0.6, "zh": 0.8}
    assert found["labiodental_contact"] == 0.5 and found["labiodental_contact_by_language"] == {"en": 1.0, "zh": 0.0}
    assert found["false_closure"] == 0.5 and found["av_offset_ms"] == [40] * 3
    assert found["measured_correlation"] is found["lip_velocity_ratio"] is None


def test_a_jaw_that_moves_twice_as_fast_as_on_video_is_told_so() -> None:
    true = np.sin(np.arange(100) / 5).astype(np.float32)
    lips = np.stack([true, true], 1)
    found = figures([clip("en", [True], 0.6, Tracked(2 * true, true, lips, lips, -41))])
    assert (found["jaw_velocity_ratio"], found["jaw_velocity_p95_ratio"]) == (2.0, 2.0)
    assert (found["measured_correlation"], found["lip_velocity_ratio"]) == (1.0, 1.0)
    assert found["measured_av_offset_within_40_ms"] == 0.0
