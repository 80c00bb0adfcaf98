"""Loud syllables open the mouth further than quiet ones, whatever the microphone's level; shut lips stay shut."""

import numpy as np
import pytest

from flap.config import FRAME_SAMPLES
from flap.speech import LOOKAHEAD_FRAMES, OUTPUTS
from realtime.face.emphasis import LOUD, OPENS, QUIET, EmphasisState, emphasised

HALF = np.full((2, len(OUTPUTS)), 0.5, np.float32)


def gains(levels: list[float]) -> np.ndarray:
    """What jawOpen is multiplied by in each frame of noise at these levels, each with its own sound."""
    rng, state, made = np.random.default_rng(0), EmphasisState(), []
    padded = [*levels, *[0.0] * LOOKAHEAD_FRAMES]
    for first in range(0, len(padded), 2):
        chunk = np.concatenate([rng.standard_normal(FRAME_SAMPLES) * level for level in padded[first : first + 2]])
        weights, state = emphasised(HALF, chunk.astype(np.float32), state)
        made += list(weights[:, OUTPUTS.index("jawOpen")] / 0.5)
    return np.array(made[LOOKAHEAD_FRAMES:])


def test_a_loud_frame_opens_the_mouth_further_than_a_quiet_one() -> None:
    made = gains([0.1] * 10 + [0.01] * 10)
    assert made[5:9] == pytest.approx(LOUD, abs=0.02)
    assert made[13:] == pytest.approx(QUIET, abs=0.1)
    assert made[9] > made[10] > made[12], "each frame has the loudness of its own sound"


@pytest.mark.parametrize("level", [0.3, 0.1, 0.03])
def test_a_quiet_microphone_is_got_used_to(level: float) -> None:
    assert gains([level] * 400)[-20:] == pytest.approx(LOUD, abs=0.05)


@pytest.mark.parametrize("loud_frames", [2, 250])
def test_after_something_loud_a_quiet_speaker_is_got_used_to_within_seconds(loud_frames: int) -> None:
    made = gains([0.02] * 50 + [0.3] * loud_frames + [0.02] * 150)[-150:]
    assert made[10] == pytest.approx(QUIET, abs=0.06)
    assert made[100:].min() > 0.95 and made[-1] > 1.05


def test_a_pause_between_words_makes_no_other_speaker() -> None:
    made = gains([0.1] * 50 + [0.012] * 14 + [0.08] * 2)
    before = gains([0.1] * 64 + [0.08] * 2)
    assert made[-2:] == pytest.approx(before[-2:], abs=0.02)


def test_nothing_but_openings_changes_and_silence_is_no_loudness() -> None:
    weights, state = emphasised(HALF, np.zeros(2 * FRAME_SAMPLES, np.float32), EmphasisState())
    assert (weights[:, ~OPENS] == 0.5).all() and (weights[:, OPENS] < 0.5).all()
    assert state.peak_db == EmphasisState().peak_db
