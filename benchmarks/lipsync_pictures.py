"""Lips as a viewer sees them: held-out speech through the whole pipeline, read off the pictures by an independent tracker.

A part of `python -m benchmarks.lipsync --pictures`:

bilabial_closure     share of p b m in which the mouth is shut within a frame of the right one; shut: no more open than SHUT of
                     the way from the presenter's rest to its widest vowel
labiodental_contact  the same for f v with NEARLY_SHUT, as a tracker of landmarks sees no teeth
false_closure        share of frames that ought to be open in which the mouth is shut
opening_correlation  of the mouth's opening with the target of the jaw, mean over clips
av_offset_ms         lag of the best correlation, one a clip; + is late
faces_lost           share of pictures in which the tracker finds no face
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from benchmarks.face_tracker import track
from benchmarks.lipsync import OPEN_TARGET, levelled, near, offset_frames
from flap import coefficients as co
from flap.config import CHUNK_FRAMES, FRAME_RATE_HZ, MEDIA_CHUNK_SAMPLES, SAMPLE_RATE_HZ
from realtime.config import ServerConfig
from realtime.pipeline import AvatarPipeline
from realtime.render.opening import open_pipeline

SHUT, NEARLY_SHUT = 0.15, 0.2
WIDEST = {"jawOpen": 0.52}  # what training.visemes asks for in an "a"
SETTLE_CHUNKS = 6  # so that the temporal layers have past frames to see
CLIPS, QUICK_CLIPS = 24, 6
LONGEST_S = 8  # of a clip


def spoken(pipeline: AvatarPipeline, presenter_id: str, sound: NDArray[np.float32]) -> list[NDArray[np.uint8]]:
    """The pictures `[256, 256, 3]` of sound at 16 kHz, each with its own sound, as the server makes them."""
    media = np.clip(resample_poly(levelled(sound), 3, 1) * 32_768, -32_768, 32_767).astype(np.int16)
    media = np.pad(media, (0, -len(media) % MEDIA_CHUNK_SAMPLES + 2 * MEDIA_CHUNK_SAMPLES))
    state, pictures = pipeline.init_state(presenter_id, seed=1), []
    for chunk in media.reshape(-1, MEDIA_CHUNK_SAMPLES):
        step, state = pipeline.step(chunk, (), state)
        assert step.frames is not None
        pictures += list(step.frames)
    return pictures[pipeline.lookahead_frames :][: len(sound) * FRAME_RATE_HZ // SAMPLE_RATE_HZ]


def openings(pictures: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.float32], int]:
    """How open the mouth is in each picture, as a part of the face's height, and in how many no face was found; between
    its neighbours there."""
    seen = [sight.mouth_opening if sight else np.nan for sight in track(pictures)]
    values = np.array(seen, np.float32)
    found = np.flatnonzero(~np.isnan(values))
    return np.interp(np.arange(len(values)), found, values[found]).astype(np.float32), len(values) - len(found)


def scale(pipeline: AvatarPipeline, presenter_id: str) -> tuple[float, float]:
    """Opening of a presenter's mouth at rest and at its widest."""
    pictures = []
    for face in (co.neutral(CHUNK_FRAMES), np.tile(co.from_arkit(WIDEST), (CHUNK_FRAMES, 1))):
        state = pipeline.portrait.init_state(presenter_id)
        for _ in range(SETTLE_CHUNKS):
            frames, state = pipeline.portrait.step(face, state)
        pictures.append(frames[-1])
    rest, wide = openings(pictures)[0]
    return float(rest), float(wide)


def measure_pictures(bundle: Path, clips: Sequence[Any], quick: bool) -> dict[str, Any]:
    """`clips` of training.speech_corpus are shared out among the bundle's presenters."""
    from training import visemes

    with TemporaryDirectory() as nobody:  # of this machine's own presenters
        pipeline, cast = open_pipeline(ServerConfig(bundle=bundle, presenters_folder=Path(nobody)))
    scales = {presenter_id: scale(pipeline, presenter_id) for presenter_id in cast}
    most = QUICK_CLIPS if quick else CLIPS
    chosen = clips[:: max(1, len(clips) // most)][:most]
    hits: dict[str, list[bool]] = defaultdict(list)
    false, correlations, offsets, lost, count = [], [], [], 0, 0
    for clip, presenter_id in zip(chosen, [*cast] * len(chosen), strict=False):
        sound = clip.sound[: LONGEST_S * SAMPLE_RATE_HZ]
        opening, missed = openings(spoken(pipeline, presenter_id, sound))
        rest, wide = scales[presenter_id]
        open_share = (opening - rest) / (wide - rest)
        closures = visemes.closures(clip.marks, len(opening))
        wanted = visemes.targets(clip.marks, len(opening), visemes.relative_loudness(sound, len(opening)))[:, 0]
        hits["p"] += near(open_share < SHUT, np.flatnonzero(closures[:, 0] >= 1))
        hits["f"] += near(open_share < NEARLY_SHUT, np.flatnonzero(closures[:, 1] >= 1))
        false.append(open_share[wanted > OPEN_TARGET] < SHUT)
        correlations.append(float(np.corrcoef(opening, wanted)[0, 1]))
        offsets.append(round(1000 / FRAME_RATE_HZ * offset_frames(opening, wanted)))
        lost, count = lost + missed, count + len(opening)
    return {
        "bilabial_closure": round(float(np.mean(hits["p"])), 3),
        "labiodental_contact": round(float(np.mean(hits["f"])), 3),
        "false_closure": round(float(np.concatenate(false).mean()), 3),
        "opening_correlation": round(float(np.mean(correlations)), 3),
        "av_offset_ms": offsets,
        "av_offset_within_40_ms": round(float(np.mean(np.abs(offsets) <= 40)), 3),
        "faces_lost": round(lost / count, 4),
        "closures": {"p": len(hits["p"]), "f": len(hits["f"])},
        "presenters": [*scales],
        "speakers": sorted({clip.speaker for clip in chosen}),
        "languages": sorted({clip.language for clip in chosen}),
        "seconds": round(count / FRAME_RATE_HZ, 1),
    }
