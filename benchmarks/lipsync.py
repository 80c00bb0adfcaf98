"""How well lips match the voice, on speakers never trained on: python -m benchmarks.lipsync --corpus runs/speech --json

Measured on coefficients, the voice gate included; the corpus comes from training.speech_corpus. With `--pictures` what an
independent tracker sees in the finished pictures is measured too (benchmarks/lipsync_pictures.py). The last line is one JSON
object:

bilabial_closure, labiodental_contact    share of p b m in which the jaw is shut, of f v in which the lower lip is rolled
                                         in, within a frame of the right one; `false_closure` is the share of all other
                                         frames in which the jaw is as shut though the target is open
opening_correlation, opening_error       of the jaw with its coarticulation target, and its distance from it (jawOpen 0..1):
                                         means over clips
measured_correlation                     the jaw against the jaw that a tracker measured on video (GRID)
jaw_velocity_ratio                       mean speed of the jaw against the same video's; `jaw_velocity_p95_ratio`: of the
                                         fastest twentieth, where chattering shows
lip_velocity_ratio                       the same for other mouth shapes, each shape's speed as a part of its spread: a tracker's
                                         scores have their own scale. Each weighs as much as the tracker sees it move; those that it
                                         hardly sees are left out
head_energy_ratio                        mean squared turning speed of the head, against the same video's; needs `--speech`
av_offset_ms                             lag of the best correlation with the target, one a clip; + is late. As a measure of the
                                         measure, `measured_av_offset_within_40_ms` is the share of GRID's clips in which the
                                         speaker's own jaw lies within 40 ms
noise_motion_ratio                       spread of the jaw in keyboard, music and room noise, as a part of that in speech
blink_rate_error                         largest relative error at 5, 15 and 30 a minute over five minutes
core_share                               processor time of gate, network and idle motion, as a part of real time
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.lipsync_figures import Floats, SpokenClip, Tracked, figures
from benchmarks.machine import REPOSITORY, commit, machine
from benchmarks.worse_sound import KINDS, worse
from engines.bundle import BundleError
from engines.engine import Engine, EngineError
from engines.onnx import OnnxEngine
from flap import coefficients as co
from flap.config import CHUNK_FRAMES, CHUNK_SAMPLES, FRAME_RATE_HZ, SAMPLE_RATE_HZ
from flap.speech import OUTPUTS
from realtime.face.audio_to_flame import AudioToFlameStage
from realtime.face.idle_motion import IdleMotion
from realtime.face.prosody import silence
from realtime.face.source import SpeechFaces, SpeechStage
from realtime.face.voice import VoiceGate

SPEECH_LEVEL = 0.1
SHUT_JAW = 0.08  # of jawOpen
OPEN_TARGET = 0.15
ROLLED_LIP = 0.3  # of mouthRollLower
MOST_LAG_FRAMES = 3  # a syllable lasts five frames: further away the one before or after it fits as well
SMOOTHED_FRAMES = 5  # heads are compared through a moving average, as a tracker trembles from frame to frame
QUICK_CLIPS = 24
FULL_CLIPS = 240


def faces_of(stage: SpeechStage, sound: Floats) -> tuple[Floats, float]:
    """Faces `[n, 120]`, each with its own sound, through gate, network and idle motion; seconds spent."""
    gate, idle = VoiceGate(), IdleMotion()
    voice, state, alive = gate.init_state(), stage.init_state(), idle.init_state(1)
    ends = np.pad(sound, (0, -len(sound) % CHUNK_SAMPLES + 2 * CHUNK_SAMPLES))
    started_s, made = time.process_time(), []
    for chunk in ends.reshape(-1, CHUNK_SAMPLES):
        heard, voice = gate.step(chunk, voice)
        speech, state = stage.step(heard, state)
        faces, alive = idle.step(speech, alive)
        made.append(faces)
    return np.concatenate(made)[stage.lookahead_frames :], time.process_time() - started_s


def levelled(sound: Floats) -> Floats:
    return np.asarray(sound * SPEECH_LEVEL / (np.sqrt((sound**2).mean()) + 1e-4), np.float32)


def jaw_of(faces: Floats) -> Floats:
    """ARKit jawOpen `[n]`."""
    return np.asarray(faces[:, co.JAW.start] / co.JAW_OPEN_RAD, np.float32)


def near(values: NDArray[np.bool_], frames: NDArray[np.intp]) -> list[bool]:
    """Whether `values` is true within a frame of each of `frames`."""
    return [bool(values[max(0, f - 1) : f + 2].any()) for f in frames]


def grid_heads(speech: Path) -> dict[str, Floats]:
    """Angles `[frames, 3]` in radians of GRID's speaker, by clip; those in which the face was lost are left out."""
    with np.load(speech / "grid_s1" / "face_coefficients.npz", allow_pickle=False) as data:
        turns, found = data["matrix"][:, :, :3, :3].astype(np.float32), data["valid"].all(1)
        names = [f"grid-{Path(str(name)).stem}" for name in data["clips"]]
    angles = co.euler_from_matrix(turns)
    return {name: head for name, head, whole in zip(names, angles, found, strict=True) if whole}


def turning_energy(head: Floats) -> float:
    """Mean squared speed of the angles `[frames, 3]`, together, smoothed."""
    summed = np.cumsum(np.pad(head, ((1, 0), (0, 0))), axis=0)
    smooth = (summed[SMOOTHED_FRAMES:] - summed[:-SMOOTHED_FRAMES]) / SMOOTHED_FRAMES
    return float((np.diff(smooth, axis=0) ** 2).sum(1).mean())


def offset_frames(made: Floats, wanted: Floats) -> float:
    """By how many frames `made` is late, to a fraction, where the two correlate best."""
    lags = range(-MOST_LAG_FRAMES, MOST_LAG_FRAMES + 1)
    inner = slice(MOST_LAG_FRAMES, len(made) - MOST_LAG_FRAMES)
    shifted = [np.corrcoef(np.roll(made, -lag)[inner], wanted[inner])[0, 1] for lag in lags]
    best = int(np.nanargmax(shifted))
    if not 0 < best < len(shifted) - 1:
        return float(lags[best])
    before, at, after = shifted[best - 1 : best + 2]
    return float(lags[best] + 0.5 * (before - after) / (before - 2 * at + after))


def offset_ms(made: Floats, wanted: Floats) -> int:
    return round(1000 / FRAME_RATE_HZ * offset_frames(made, wanted))


def noises(seconds: float) -> dict[str, Floats]:
    """What no lips should follow: key strokes, chords, and a humming room."""
    rng, count = np.random.default_rng(3), int(seconds * SAMPLE_RATE_HZ)
    at_s = np.arange(count) / SAMPLE_RATE_HZ
    keys = np.zeros(count)
    for at in rng.integers(0, count - 800, int(seconds * 6)):
        keys[at : at + 800] += rng.standard_normal(800) * np.exp(-np.arange(800) / 90) * 0.3
    notes = [220 * 2 ** (n / 12) for n in (0, 4, 7, 9, 12)]
    beat = [np.clip(np.sin(2 * np.pi * 1.5 * at_s + i), 0, 1) for i in range(len(notes))]
    music = sum(0.06 * b * np.sin(2 * np.pi * hz * at_s) for b, hz in zip(beat, notes, strict=True))
    room = np.convolve(rng.standard_normal(count), np.ones(40) / 40, "same") * 0.05 + 0.01 * np.sin(
        2 * np.pi * 50 * at_s
    )
    return {name: np.asarray(sound, np.float32) for name, sound in (("keys", keys), ("music", music), ("room", room))}


def blink_rate_error(minutes: float = 5.0) -> float:
    worst = 0.0
    for rate in (5.0, 15.0, 30.0):
        idle = IdleMotion()
        state, lids = idle.init_state(1, rate), []
        silent = SpeechFaces(co.neutral(CHUNK_FRAMES), silence(CHUNK_FRAMES), frozenset())
        for _ in range(int(minutes * 60 * FRAME_RATE_HZ / CHUNK_FRAMES)):
            faces, state = idle.step(silent, state, blinks_per_minute=rate)
            lids.append(faces[:, co.EYELIDS.start] > 0.9)
        closed = np.concatenate(lids)
        worst = max(worst, abs((closed[1:] & ~closed[:-1]).sum() / minutes / rate - 1))
    return float(worst)


def speak(stage: SpeechStage, clip: Any, head: Floats | None, kind: str = "clean") -> SpokenClip:
    """What a face does in a clip of training.speech_corpus, heard as `kind` of benchmarks.worse_sound; `head` is the
    measured one."""
    from training import visemes

    faces, spent_s = faces_of(stage, worse(levelled(clip.sound), kind))
    faces = faces[: len(clip.sound) // (SAMPLE_RATE_HZ // FRAME_RATE_HZ)]
    count, jaw, lip = len(faces), jaw_of(faces), faces[:, co.EXPRESSION_INDEX["mouthRollLower"]]
    shut = visemes.closures(clip.marks, count)
    wanted = visemes.targets(clip.marks, count, visemes.relative_loudness(clip.sound, count))[:, 0]
    return SpokenClip(
        speaker=clip.speaker,
        language=clip.language,
        closed={
            "p": near(jaw < SHUT_JAW, np.flatnonzero(shut[:, 0] >= 1)),
            "f": near(lip > ROLLED_LIP, np.flatnonzero(shut[:, 1] >= 1)),
        },
        false=jaw[wanted > OPEN_TARGET] < SHUT_JAW,
        correlation=float(np.corrcoef(jaw, wanted)[0, 1]),
        error=float(np.abs(jaw - wanted).mean()),
        offset_ms=offset_ms(jaw, wanted),
        spread=float(jaw.std()),
        tracked=None if clip.weights is None else beside_video(faces, clip.weights[:count], wanted),
        turning=None if head is None else (turning_energy(faces[:, co.ROTATION]), turning_energy(head)),
        heard_s=len(clip.sound) / SAMPLE_RATE_HZ,
        spent_s=spent_s,
    )


def beside_video(faces: Floats, truth: Floats, wanted: Floats) -> Tracked:
    """`truth` `[frames, outputs]` is what a tracker measured, of no more frames than there are faces; `wanted` the jaw's targets."""
    faces = faces[: len(truth)]
    lips = np.stack([faces[:, co.EXPRESSION_INDEX[name]] for name in OUTPUTS[1:]], 1)
    return Tracked(jaw_of(faces), truth[:, 0], lips, truth[:, 1:], offset_ms(truth[:, 0], wanted[: len(truth)]))


def measure(engine: Engine, clips: Sequence[Any], heads: dict[str, Floats], kind: str = "clean") -> dict[str, Any]:
    """All numbers. `clips` are those of training.speech_corpus, `heads` of `grid_heads`, `kind` of benchmarks.worse_sound."""
    stage = SpeechStage(AudioToFlameStage(engine))
    seen = [speak(stage, clip, heads.get(clip.name), kind) for clip in clips]
    still = max(float(jaw_of(faces_of(stage, sound)[0])[25:].std()) for sound in noises(20.0).values())
    turning = [clip.turning for clip in seen if clip.turning]
    heard_s = sum(clip.heard_s for clip in seen)
    return figures(seen) | {
        "noise_motion_ratio": round(still / float(np.mean([clip.spread for clip in seen])), 4),
        "blink_rate_error": round(blink_rate_error(), 3),
        "head_energy_ratio": round(float(np.divide(*np.mean(turning, 0))), 3) if turning else None,
        "core_share": round(sum(clip.spent_s for clip in seen) / heard_s, 4),
        "speakers": sorted({clip.speaker for clip in seen}),
        "languages": sorted({clip.language for clip in seen}),
        "seconds": round(heard_s, 1),
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="fewer clips, done within a minute")
    parser.add_argument("--bundle", type=Path, default=REPOSITORY / "bundles" / "flap-small")
    parser.add_argument("--corpus", type=Path, required=True, help="folder that training.speech_corpus made")
    parser.add_argument("--only", help="sources of the corpus to measure with, separated by commas")
    parser.add_argument("--speech", type=Path, help="folder that it was made of, for the head of GRID's speaker")
    parser.add_argument(
        "--sound", choices=KINDS, default="clean", help="how the speech is heard (benchmarks/worse_sound.py)"
    )
    parser.add_argument("--pictures", action="store_true", help="measure finished pictures too; needs MediaPipe")
    options = parser.parse_args(arguments)
    try:
        from training.speech_corpus import load_all

        held = [clip for clip in load_all(options.corpus) if clip.test and clip.marks]
        wanted = set(options.only.split(",")) if options.only else {clip.source for clip in held}
        if unknown := sorted(wanted - {clip.source for clip in held}):
            sys.exit(f"cannot measure: no test clips of {', '.join(unknown)} in {options.corpus}")
        held = [clip for clip in held if clip.source in wanted]
        engine = OnnxEngine(options.bundle / "audio_to_flame.onnx", threads=1)
        heads = grid_heads(options.speech) if options.speech else {}
    except (ImportError, OSError, EngineError) as error:
        sys.exit(f"cannot measure: {error}")
    if not held:
        sys.exit(f"no test clips in {options.corpus}: make them with python -m training.speech_corpus")
    # as many of GRID's one speaker as of everybody else together
    others = [clip for clip in held if clip.weights is None]
    tracked = [clip for clip in held if clip.weights is not None]
    most = QUICK_CLIPS if options.quick else FULL_CLIPS
    chosen = [group[:: max(1, 2 * len(group) // most)] for group in (others, tracked) if group]
    result = measure(engine, [clip for group in chosen for clip in group], heads, options.sound)
    if options.pictures:
        try:
            from benchmarks.lipsync_pictures import measure_pictures

            result["pictures"] = measure_pictures(options.bundle, others, options.quick)
        except (ImportError, BundleError, EngineError) as error:
            sys.exit(f"cannot measure pictures: {error}")
    result |= {"machine": machine(), "commit": commit()}
    for name, value in result.items():
        print(f"{name:<32} {value}")
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
