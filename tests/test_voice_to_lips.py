"""Gate, shipped network and generators together: noise moves no lips, and speech begins and ends without a seam."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.lipsync import faces_of, jaw_of, levelled, noises
from benchmarks.machine import REPOSITORY
from benchmarks.speech import speech
from engines.onnx import OnnxEngine
from flap import coefficients as co
from flap.config import CHUNK_SAMPLES, FRAME_RATE_HZ
from flap.speech import OUTPUTS
from realtime.face.audio_to_flame import AudioToFlameStage, faces_of_weights
from realtime.face.idle_motion import IdleMotion
from realtime.face.source import SpeechStage
from realtime.face.voice import VoiceGate

SPOKEN_S, SILENT_S = 3.2, 2.4
MOUTH = [co.JAW.start, *(co.EXPRESSION_INDEX[name] for name in co.MOUTH_UNITS)]


@pytest.fixture(scope="module")
def stage() -> SpeechStage:
    return SpeechStage(
        AudioToFlameStage(OnnxEngine(REPOSITORY / "bundles" / "flap-small" / "audio_to_flame.onnx", threads=1))
    )


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    sound, _ = speech(Path(tmp_path_factory.mktemp("nothing")), SPOKEN_S)
    return levelled(sound[::3][: int(SPOKEN_S * 16_000)].astype(np.float32) / 32_768)


@pytest.fixture(scope="module")
def turns(stage: SpeechStage, voice: np.ndarray) -> np.ndarray:
    """Faces of three turns: listening, speaking, listening and so on, generators included."""
    room = np.random.default_rng(0).standard_normal(int(SILENT_S * 16_000)) * 0.002
    sound = np.concatenate([part for _ in range(3) for part in (room, voice)] + [room]).astype(np.float32)
    gate, idle, out = VoiceGate(), IdleMotion(), []
    gated, spoken, alive = gate.init_state(), stage.init_state(), idle.init_state(4)
    for chunk in sound[: len(sound) // CHUNK_SAMPLES * CHUNK_SAMPLES].reshape(-1, CHUNK_SAMPLES):
        heard, gated = gate.step(chunk, gated)
        faces, spoken = stage.step(heard, spoken)
        made, alive = idle.step(faces, alive)
        out.append(made)
    return np.concatenate(out)[stage.lookahead_frames :]


def test_weights_of_shapes_are_put_where_arkit_has_them() -> None:
    shapes = {name: (i + 1) / 40 for i, name in enumerate(OUTPUTS)}
    faces = faces_of_weights(np.array([list(shapes.values())] * 2, np.float32))
    assert np.allclose(faces, np.stack([co.from_arkit(shapes)] * 2), atol=1e-6)


@pytest.mark.parametrize("kind", ["keys", "music", "room"])
def test_what_is_no_voice_hardly_moves_the_jaw(stage: SpeechStage, voice: np.ndarray, kind: str) -> None:
    spoken = jaw_of(faces_of(stage, voice)[0]).std()
    assert spoken > 0.05
    # a twentieth of people's speech (benchmarks.lipsync); the synthetic voice of this test moves the jaw less than they do
    assert jaw_of(faces_of(stage, noises(12.0)[kind])[0])[25:].std() < 0.06 * spoken


def test_no_seam_between_listening_and_speaking(turns: np.ndarray) -> None:
    """Where a turn begins or ends nothing moves faster than it does within speech."""
    period, silent = round((SPOKEN_S + SILENT_S) * FRAME_RATE_HZ), round(SILENT_S * FRAME_RATE_HZ)
    borders = sorted({*range(silent, len(turns), period), *range(period, len(turns), period)})
    near = np.zeros(len(turns) - 1, bool)
    for border in borders:
        near[border - 6 : border + 12] = True
    for columns in (MOUTH, list(range(co.ROTATION.start, co.ROTATION.stop))):
        steps = np.linalg.norm(np.diff(turns[:, columns], axis=0), axis=1)
        assert steps[near].max() <= 1.1 * steps[~near].max()


def test_the_mouth_of_a_listener_rests_and_the_face_lives(turns: np.ndarray) -> None:
    period, silent = round((SPOKEN_S + SILENT_S) * FRAME_RATE_HZ), round(SILENT_S * FRAME_RATE_HZ)
    listening = np.concatenate([turns[at + 15 : at + silent - 4] for at in range(period, len(turns) - silent, period)])
    assert jaw_of(listening).max() < 0.05
    assert np.rad2deg(listening[:, co.ROTATION]).std(0).max() > 0.05


@pytest.mark.parametrize("kept_s", [0.8, 1.16, 1.52, 2.04, 2.6])
def test_a_voice_that_breaks_off_or_sets_in_within_a_word_makes_the_mouth_jump_hardly_further_than_speech(
    stage: SpeechStage, voice: np.ndarray, turns: np.ndarray, kept_s: float
) -> None:
    """As when a file or a stream is interrupted, and when it takes the microphone's place."""
    within = np.linalg.norm(np.diff(turns[:, MOUTH], axis=0), axis=1).max()
    at = int(kept_s * 16_000)
    silence = np.zeros(16_000, np.float32)
    for sound in (np.concatenate([voice[:at], silence]), np.concatenate([silence, voice[at:]])):
        faces, _ = faces_of(stage, sound)
        assert np.linalg.norm(np.diff(faces[:, MOUTH], axis=0), axis=1).max() <= 1.3 * within
        assert np.abs(np.diff(np.rad2deg(faces[:, co.ROTATION]), axis=0)).max() < 1.5
    broken_off, _ = faces_of(stage, np.concatenate([voice[:at], silence]))
    assert jaw_of(broken_off)[int(kept_s * FRAME_RATE_HZ) + 8 :].max() < 0.05, "0.32 s later it rests"
