"""A scripted show without network and pacing: speech, commands, and the same speech without them."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.lipsync import ROLLED_LIP, SHUT_JAW, jaw_of, offset_frames
from benchmarks.speech import Sound
from flap import coefficients as co
from flap.config import CHUNK_FRAMES, CHUNK_S, FRAME_RATE_HZ, FRAME_SAMPLES, MEDIA_CHUNK_SAMPLES
from realtime.control.commands import Command
from realtime.control.tickets import Applied
from realtime.face.resample import Resampler
from realtime.pipeline import AvatarPipeline
from realtime.protocol.directives import Directive
from realtime.protocol.messages import DIRECTIVES, parse_command
from realtime.recording import SUFFIX, Header, RecordedChunk, Recorder, checksum, read_recording
from realtime.replay import replay

Floats = NDArray[np.float32]
MAX_RECORDING_BYTES = 10**9
SEED = 7
# Everything an operator does to head, eyes, brows and framing, hard on the limits; and a smile, a nod and a greeting over speech.
# Laughter, an open mouth and styles are left out: they are there to change what the lips do.
SCRIPT: tuple[dict[str, Any], ...] = (
    {"type": "pose.set", "yaw_deg": 40, "ease_ms": 0},
    {"type": "pose.set", "yaw_deg": -40, "pitch_deg": 20, "ease_ms": 0},
    {"type": "gesture.play", "name": "nod", "amplitude": 2, "speed": 2, "repeats": 2},
    {"type": "pose.release", "ease_ms": 0},
    {"type": "look.at", "target": "product_left"},
    {"type": "expression.set", "name": "happy", "hold_ms": 2000},
    {"type": "look.at", "target": "product_right", "ease_ms": 0, "hold_ms": 1500},
    {"type": "gesture.play", "name": "shake", "amplitude": 2, "speed": 2},
    {"type": "pose.set", "roll_deg": 20, "zoom": 2, "x": 0.3, "ease_ms": 0},
    {"type": "gesture.play", "name": "look_around", "speed": 2},
    {"type": "blink.now"},
    {"type": "pose.set", "yaw_deg": 15, "roll_deg": -20, "mode": "overlay", "ease_ms": 0},
    {"type": "neutral"},
    {"type": "gesture.play", "name": "greet"},
    {"type": "gaze.set", "yaw_deg": -30, "pitch_deg": 20, "ease_ms": 0, "hold_ms": 1000},
    {"type": "head.fix", "on": True, "ease_ms": 0},
    {"type": "gesture.play", "name": "raise_brows"},
    {"type": "gesture.play", "name": "bow", "amplitude": 2},
    {"type": "head.fix", "on": False, "ease_ms": 0},
    {"type": "gesture.play", "name": "tilt", "when": "queue"},
)


@dataclass(frozen=True)
class Played:
    """What a run of the pipeline gave, frame by frame."""

    faces: Floats  # [n, 120]
    applied: int  # commands that took effect
    drawn: int  # pictures


def script(seconds: float, count: int) -> dict[int, list[Directive]]:
    """`count` commands by the number of their chunk, spread evenly over the show."""
    chunks = int(seconds * FRAME_RATE_HZ / CHUNK_FRAMES)
    found: dict[int, list[Directive]] = {}
    for number in range(count):
        directive = parse_command({**SCRIPT[number % len(SCRIPT)], "id": str(number)})
        assert isinstance(directive, DIRECTIVES)
        found.setdefault(number * chunks // count, []).append(directive)
    return found


def chunks_of(sound: Sound, seconds: float) -> Iterator[Sound]:
    count = int(seconds * FRAME_RATE_HZ / CHUNK_FRAMES)
    return iter(np.resize(sound, (count, MEDIA_CHUNK_SAMPLES)))


def play(
    pipeline: AvatarPipeline, presenter: str, sound: Sound, seconds: float, commands: dict[int, list[Directive]],
    drawn_s: float = 0.0, recorder: Recorder | None = None,
) -> Played:  # fmt: skip
    """The show from its beginning, with the same seed every time; the first `drawn_s` are drawn too."""
    state = pipeline.init_state(presenter, SEED)
    faces, applied, drawn = [], 0, 0
    for number, chunk in enumerate(chunks_of(sound, seconds)):
        given = tuple(Command(directive, "benchmark") for directive in commands.get(number, []))
        step, state = pipeline.step(chunk, given, state, None if number * CHUNK_S < drawn_s else 0)
        faces.append(step.faces)
        applied += sum(isinstance(event, Applied) for event in step.events)
        drawn += 0 if step.frames is None else len(step.frames)
        if recorder:
            pictures_crc = None if step.frames is None else checksum(step.frames)
            recorder.put(
                RecordedChunk(number, presenter, chunk, given, number == 0, checksum(step.faces), pictures_crc),
                wait=True,
            )
    return Played(np.concatenate(faces), applied, drawn)


def max_velocity_deg_per_s(faces: Floats) -> float:
    """The fastest turn of the head about any of its axes."""
    steps = np.abs(np.diff(np.rad2deg(faces[:, co.ROTATION].astype(np.float64)), axis=0))
    return float(steps.max()) * FRAME_RATE_HZ


def loudness(sound: Sound, seconds: float) -> Floats:
    """Root mean square of each frame's sound at 16 kHz, `[n]`."""
    resampler = Resampler()
    state, levels = resampler.init_state(), []
    for chunk in chunks_of(sound, seconds):
        pcm, state = resampler.step(chunk, state)
        levels.append(np.sqrt((pcm.reshape(-1, FRAME_SAMPLES) ** 2).mean(1)))
    return np.concatenate(levels)


def lip_measures(faces: Floats, loud: Floats, lookahead_frames: int) -> dict[str, float]:
    """What benchmarks.lipsync looks at, where the sound has no marks of its phonemes."""
    made, heard = faces[lookahead_frames:], loud[: len(faces) - lookahead_frames]
    jaw, roll = jaw_of(made), made[:, co.EXPRESSION_INDEX["mouthRollLower"]]
    return {
        "closure": float((jaw < SHUT_JAW).mean()),
        "labiodental_contact": float((roll > ROLLED_LIP).mean()),
        "opening_correlation": float(np.corrcoef(jaw, heard)[0, 1]),
        "jaw_velocity": float(np.abs(np.diff(jaw)).mean()),
    }


def lipsync_change(directed: Floats, undirected: Floats, loud: Floats, lookahead_frames: int) -> dict[str, float]:
    """Each lip measure of the directed show against the undirected one, as a share of it; 0 is no change."""
    with_commands = lip_measures(directed, loud, lookahead_frames)
    without = lip_measures(undirected, loud, lookahead_frames)
    change = {
        name: round(with_commands[name] / without[name] - 1, 4) if without[name] else 0.0 if not value else float("inf")
        for name, value in with_commands.items()
    }
    offset_ms = offset_frames(jaw_of(directed), jaw_of(undirected)) * 1000 / FRAME_RATE_HZ
    return {**change, "largest": max(map(abs, change.values())), "offset_ms": round(offset_ms, 1)}


def measure(
    pipeline: AvatarPipeline, presenter: str, sound: Sound, seconds: float, drawn_s: float, count: int
) -> dict[str, Any]:
    """Velocity, lips and repeatability of a show of `count` commands; the pictures of the first `drawn_s` are compared too."""
    commands: dict[int, list[Directive]] = script(seconds, count)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"show{SUFFIX}"
        recorder = Recorder(path, Header("benchmark", SEED, "", "", "", 0, 0), MAX_RECORDING_BYTES)
        directed = play(pipeline, presenter, sound, seconds, commands, drawn_s, recorder)
        recorder.close()
        recorder.join()
        again = replay(pipeline, *read_recording(path))
    undirected = play(pipeline, presenter, sound, seconds, {})
    loud = loudness(sound, seconds)
    return {
        "max_velocity_deg_per_s": round(max_velocity_deg_per_s(directed.faces), 1),
        "lipsync_change": lipsync_change(directed.faces, undirected.faces, loud, pipeline.lookahead_frames),
        "replay_identical": again.identical and again.chunks * CHUNK_FRAMES == len(directed.faces),
        "show": {
            "seconds": seconds, "commands": sum(map(len, commands.values())), "applied": directed.applied,
            "pictures": directed.drawn,
        },
    }  # fmt: skip
