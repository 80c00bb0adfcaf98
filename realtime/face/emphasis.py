"""How far a mouth opens at the loudness of each frame: a loud syllable opens it further than a quiet one.

The network learns that from its targets but cannot know how loud this speaker is on this microphone, so it says the mean of
both. Here the speaker's own loud frames are the measure.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flap.config import FRAME_RATE_HZ, FRAME_SAMPLES
from flap.speech import LOOKAHEAD_FRAMES, OUTPUTS

Floats = NDArray[np.float32]
OPENS = np.array([name == "jawOpen" or "LowerDown" in name or "UpperUp" in name for name in OUTPUTS])
QUIET, LOUD = 0.4, 1.25  # what an opening is multiplied by
SPAN_DB = 18.0  # from a quiet frame to a loud one
LOUD_BELOW_PEAK_DB = 3.0
FORGETS_DB = 1.0 / FRAME_RATE_HZ  # of the loudest, each frame that is heard: the speaker has moved away
LATELY_FORGETS_DB = 10.0 / FRAME_RATE_HZ  # of what was loud lately, which pauses between words hardly lower
ANOTHER_DB = 6.0  # further below the loudest nobody who spoke it stays: a cough, a loud file, or another speaker
TOWARDS_LATELY = 1.0 / FRAME_RATE_HZ  # of what is further, each frame that is heard
SILENCE_DB = -60.0
FIRST_PEAK_DB = -20.0


@dataclass(frozen=True)
class EmphasisState:
    peak_db: float = FIRST_PEAK_DB
    lately_db: float = FIRST_PEAK_DB
    recent: tuple[float, ...] = (0.0,) * (LOOKAHEAD_FRAMES + 1)  # mean squares of the frames before, newest last


def emphasised(weights: Floats, pcm: Floats, state: EmphasisState) -> tuple[Floats, EmphasisState]:
    """`weights` `[frames, outputs]`, each LOOKAHEAD_FRAMES later than its sound, by the loudness of `pcm` `[640 frames]`."""
    powers = [*state.recent, *(float(frame @ frame) / FRAME_SAMPLES for frame in pcm.reshape(-1, FRAME_SAMPLES))]
    peak_db, lately_db, gains = state.peak_db, state.lately_db, np.ones(len(weights), np.float32)
    for i in range(len(weights)):
        before, own, after = powers[i : i + 3]  # of the frame that these weights are for, and its neighbours
        level_db = 10 * math.log10(0.25 * before + 0.5 * own + 0.25 * after + 1e-8)
        if level_db > SILENCE_DB:
            lately_db = max(level_db, lately_db - LATELY_FORGETS_DB)
            beyond_db = max(0.0, peak_db - lately_db - ANOTHER_DB)
            peak_db = max(level_db, peak_db - FORGETS_DB - TOWARDS_LATELY * beyond_db)
        share = min(max(1 + (level_db - peak_db + LOUD_BELOW_PEAK_DB) / SPAN_DB, 0.0), 1.0)
        gains[i] = QUIET + (LOUD - QUIET) * share
    out = np.where(OPENS, weights * gains[:, None], weights).clip(0, 1).astype(np.float32)
    return out, EmphasisState(float(peak_db), float(lately_db), tuple(powers[-LOOKAHEAD_FRAMES - 1 :]))
