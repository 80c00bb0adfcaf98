"""What a face did in clips of speech, and the figures of benchmarks.lipsync that all of them give."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float32]
SEEN_SPREAD = 0.02  # of a shape that a tracker sees
STIRS = 0.001  # spread of a shape that is moved at all


@dataclass(frozen=True)
class Tracked:
    """A clip beside what a tracker measured on its video."""

    jaw: Floats  # [frames]
    true_jaw: Floats  # [frames]
    lips: Floats  # [frames, other mouth shapes]
    true_lips: Floats  # [frames, other mouth shapes]
    true_offset_ms: int  # of the measured jaw against the target


@dataclass(frozen=True)
class SpokenClip:
    """What a face did in one clip."""

    speaker: str
    language: str
    closed: Mapping[str, list[bool]]  # of every p b m ("p") and f v ("f"): whether lips met where they ought to
    false: NDArray[np.bool_]  # of every frame that ought to be open: whether the jaw was shut
    correlation: float
    error: float
    offset_ms: int
    spread: float  # of the jaw
    tracked: Tracked | None
    turning: tuple[float, float] | None  # energy of the head, and of the measured one
    heard_s: float
    spent_s: float


def figures(clips: Sequence[SpokenClip]) -> dict[str, Any]:
    """How well lips match the voice over all clips."""
    languages = sorted({clip.language for clip in clips})
    offsets_ms = [clip.offset_ms for clip in clips]

    def closed(sound: str) -> dict[str, list[bool]]:
        """By language, where the sound occurs."""
        by_language = {
            language: [hit for clip in clips if clip.language == language for hit in clip.closed[sound]]
            for language in languages
        }
        return {language: hits for language, hits in by_language.items() if hits}

    def correlations(language: str) -> list[float]:
        return [clip.correlation for clip in clips if clip.language == language]

    bilabial, labiodental = closed("p"), closed("f")
    return {
        "bilabial_closure": _mean([hit for hits in bilabial.values() for hit in hits]),
        "bilabial_closure_by_language": {language: _mean(hits) for language, hits in bilabial.items()},
        "labiodental_contact": _mean([hit for hits in labiodental.values() for hit in hits]),
        "labiodental_contact_by_language": {language: _mean(hits) for language, hits in labiodental.items()},
        "false_closure": _mean(np.concatenate([clip.false for clip in clips])),
        "opening_correlation": _mean([clip.correlation for clip in clips]),
        "opening_error": _mean([clip.error for clip in clips]),
        "opening_correlation_by_language": {language: _mean(correlations(language)) for language in languages},
        **_beside_videos([clip.tracked for clip in clips if clip.tracked]),
        "av_offset_ms": offsets_ms,
        "av_offset_within_40_ms": _mean(np.abs(offsets_ms) <= 40),
    }


def _beside_videos(clips: Sequence[Tracked]) -> dict[str, float | None]:
    if not clips:
        return dict.fromkeys(
            (
                "measured_correlation", "jaw_velocity_ratio", "jaw_velocity_p95_ratio", "lip_velocity_ratio",
                "measured_av_offset_within_40_ms",
            )
        )  # fmt: skip
    speed = np.concatenate([np.abs(np.diff(clip.jaw)) for clip in clips])
    true_speed = np.concatenate([np.abs(np.diff(clip.true_jaw)) for clip in clips])
    lips = restlessness([clip.lips for clip in clips], [clip.true_lips for clip in clips])
    return {
        "measured_correlation": _mean([np.corrcoef(clip.jaw, clip.true_jaw)[0, 1] for clip in clips]),
        "jaw_velocity_ratio": round(float(speed.mean() / true_speed.mean()), 3),
        "jaw_velocity_p95_ratio": round(float(np.percentile(speed, 95) / np.percentile(true_speed, 95)), 3),
        "lip_velocity_ratio": round(lips, 3),
        "measured_av_offset_within_40_ms": _mean([abs(clip.true_offset_ms) <= 40 for clip in clips]),
    }


def _mean(values: ArrayLike) -> float:
    return round(float(np.asarray(values, np.float64).mean()), 3)


def restlessness(made: Sequence[Floats], true: Sequence[Floats]) -> float:
    """Speed as a part of spread, made over measured: of the columns of `[frames, shapes]` that both move, each weighing as much as
    it was measured to move."""

    def of(curves: Sequence[Floats]) -> tuple[Floats, Floats]:
        spread = np.concatenate(curves).std(0)
        return np.concatenate([np.abs(np.diff(curve, axis=0)) for curve in curves]).mean(0), spread

    (made_speed, made_spread), (true_speed, true_spread) = of(made), of(true)
    seen = (true_spread > SEEN_SPREAD) & (made_spread > STIRS)
    ratio = made_speed[seen] / made_spread[seen] / (true_speed[seen] / true_spread[seen])
    return float(np.average(ratio, weights=true_spread[seen]))
