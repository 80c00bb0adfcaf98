"""What makes faces from speech can be replaced; what it does not provide the generators do."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from flap import coefficients as co
from flap.config import CHUNK_FRAMES, CHUNK_SAMPLES, FRAME_RATE_HZ, MEDIA_CHUNK_SAMPLES, MEDIA_RATE_HZ
from realtime.face.idle_motion import IdleMotion
from realtime.face.source import ArkitRecording, Group, SourceTooSlow, SpeechStage, groups_of
from realtime.pipeline import AvatarPipeline
from tests.fakes import FakePortraitStage, FakeVoiceGate

RECORDING = Path(__file__).parent / "arkit_recording.npz"
SHAPES = ("mouthFunnel", "mouthPucker", "mouthSmileLeft", "mouthRollLower")
LIPS = [co.EXPRESSION_INDEX[name] for name in SHAPES]


@dataclass(frozen=True)
class ToySource:
    """A module as its author would write one: the jaw is how loud the last chunk was."""

    lookahead_frames: int = 1
    provides: frozenset[Group] = frozenset({"jaw"})

    def init_state(self) -> float:
        return 0.0

    def step(self, pcm: np.ndarray, state: float) -> tuple[np.ndarray, float]:
        faces, loud = co.neutral(CHUNK_FRAMES), float(np.sqrt((pcm**2).mean()))
        faces[:, co.JAW.start] = state
        return faces, loud


def recording() -> ArkitRecording:
    with np.load(RECORDING) as data:
        return ArkitRecording(data["weights"], tuple(map(str, data["names"])), data["rotations"])


def avatar_of(stage: SpeechStage, frames: int) -> np.ndarray:
    pipeline = AvatarPipeline(FakeVoiceGate(), stage, IdleMotion(), FakePortraitStage())  # type: ignore[arg-type]
    state, faces = pipeline.init_state("ada", seed=3), []
    tone = (np.sin(np.arange(MEDIA_CHUNK_SAMPLES) / MEDIA_RATE_HZ * 2 * np.pi * 200) * 9000).astype(np.int16)
    for _ in range(frames // CHUNK_FRAMES):
        step, state = pipeline.step(tone, [], state, steps=0)
        faces.append(step.faces)
    return np.concatenate(faces)


def test_a_toy_module_moves_the_jaw_and_the_generators_the_rest() -> None:
    faces = avatar_of(SpeechStage(ToySource()), 20 * FRAME_RATE_HZ)
    assert faces[10:, co.JAW.start].min() > 0.05
    assert faces[:, co.ROTATION].std() > 0.001
    assert faces[:, co.EYELIDS].max() > 0.9
    assert faces[:, co.EYES].std(0).max() > 0.001


def test_a_recorded_phone_stream_is_the_face_but_for_nothing_it_lacks() -> None:
    with np.load(RECORDING) as data:
        names, weights, rotations = [str(n) for n in data["names"]], data["weights"], data["rotations"]
    faces = avatar_of(SpeechStage(recording()), len(weights))
    assert len(faces) == len(weights)
    jaw = weights[:, names.index("jawOpen")].astype(np.float32) * co.JAW_OPEN_RAD
    assert np.allclose(faces[:, co.JAW.start], np.minimum(jaw, co.MAX_JAW_RAD), atol=1e-3)
    assert np.allclose(faces[:, co.ROTATION], rotations, atol=0.02), "the tracked head, within its limits"
    assert np.allclose(faces[:, LIPS], weights[:, [names.index(name) for name in SHAPES]], atol=1e-3)


def test_a_stream_without_head_gets_one_from_the_generators() -> None:
    with np.load(RECORDING) as data:
        stream = ArkitRecording(data["weights"], tuple(map(str, data["names"])))
    assert "head" not in stream.provides
    assert avatar_of(SpeechStage(stream), 2 * FRAME_RATE_HZ)[:, co.ROTATION].std() > 0.001


def test_groups_follow_from_the_names_of_shapes() -> None:
    assert groups_of(("jawOpen", "mouthClose")) == {"jaw", "lips"}
    assert groups_of(("browInnerUp", "eyeBlinkLeft", "eyeLookUpRight")) == {"brows", "lids", "gaze"}


def test_a_module_that_is_too_late_is_refused_before_anything_starts() -> None:
    with pytest.raises(SourceTooSlow, match="ToySource hears 400 ms ahead and may hear 160"):
        SpeechStage(ToySource(lookahead_frames=10))
    assert SpeechStage(ToySource(lookahead_frames=10), most_lookahead_ms=400).lookahead_frames == 10


def test_faces_of_the_wrong_width_are_refused() -> None:
    class Narrow(ToySource):
        def step(self, pcm: np.ndarray, state: float) -> tuple[np.ndarray, float]:
            return np.zeros((CHUNK_FRAMES, 7), np.float32), state

    stage = SpeechStage(Narrow())
    with pytest.raises(ValueError, match="120"):
        stage.step(np.zeros(CHUNK_SAMPLES, np.float32), stage.init_state())
