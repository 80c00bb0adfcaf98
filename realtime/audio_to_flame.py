"""The audio-to-FLAME stage: a chunk of sound to the mouth that makes it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.engine import Engine, EngineError
from flap import coefficients as co
from flap.audio_features import AudioFeatures, FeatureState
from flap.config import CHUNK_FRAMES, FRAME_SAMPLES
from flap.speech import LOOKAHEAD_FRAMES, OUTPUTS

Floats = NDArray[np.float32]
SOUND = "features"  # the graph's input that is no state; each state comes back as `next_` and its name


@dataclass(frozen=True)
class SpeechFaces:
    """What the voice alone says of a chunk."""

    faces: Floats  # [2, 120], neutral but for jaw, mouth and brows
    loudness: Floats  # [2] 0..1


@dataclass(frozen=True)
class AudioToFlameState:
    features: FeatureState
    network: dict[str, Floats]  # the graph's state inputs by name
    loudness: Floats  # [lookahead] of frames whose faces are not out yet


class AudioToFlameStage:
    """`lookahead_frames`: a face comes out this many frames after its sound went in."""

    lookahead_frames = LOOKAHEAD_FRAMES

    def __init__(self, engine: Engine):
        """Raises EngineError when the graph does not give `OUTPUTS`."""
        wanted = (1, CHUNK_FRAMES, len(OUTPUTS))
        if engine.outputs["weights"].shape != wanted:
            raise EngineError(
                f"audio_to_flame gives {list(engine.outputs['weights'].shape)}, not {list(wanted)}: export the bundle again"
            )
        self._engine, self._features = engine, AudioFeatures()
        self._state_names = tuple(name for name in engine.inputs if name != SOUND)

    def init_state(self) -> AudioToFlameState:
        network = {name: np.zeros(self._engine.inputs[name].shape, np.float32) for name in self._state_names}
        return AudioToFlameState(self._features.init_state(), network, np.zeros(self.lookahead_frames, np.float32))

    def step(self, pcm: Floats, state: AudioToFlameState) -> tuple[SpeechFaces, AudioToFlameState]:
        """`pcm` `[1280]` at 16 kHz in -1..1."""
        features, feature_state = self._features.step(pcm, state.features)
        out = self._engine.run({SOUND: features[None], **state.network})
        faces = np.stack(
            [co.from_arkit(dict(zip(OUTPUTS, map(float, weights), strict=True))) for weights in out["weights"][0]]
        )
        level = np.sqrt((pcm.reshape(CHUNK_FRAMES, FRAME_SAMPLES) ** 2).mean(1))
        heard = np.concatenate([state.loudness, np.clip(level / 0.15, 0, 1).astype(np.float32)])
        network = {name: out[f"next_{name}"] for name in self._state_names}
        speech = SpeechFaces(faces, heard[:CHUNK_FRAMES])
        return speech, AudioToFlameState(feature_state, network, heard[CHUNK_FRAMES:])
