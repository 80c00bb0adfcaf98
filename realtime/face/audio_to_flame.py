"""The audio-to-FLAME stage: a chunk of sound to the mouth that makes it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.engine import Engine, EngineError
from flap import coefficients as co
from flap.audio_features import AudioFeatures, FeatureState
from flap.config import CHUNK_FRAMES
from flap.speech import LOOKAHEAD_FRAMES, OUTPUTS
from realtime.face.emphasis import EmphasisState, emphasised
from realtime.face.source import Group

Floats = NDArray[np.float32]
SOUND = "features"  # the graph's input that is no state; each state comes back as `next_` and its name
_PLACES = [co.JAW.start if name == "jawOpen" else co.EXPRESSION_INDEX[name] for name in OUTPUTS]
_SCALES = np.array([co.JAW_OPEN_RAD if name == "jawOpen" else 1 for name in OUTPUTS], np.float32)


@dataclass(frozen=True)
class AudioToFlameState:
    features: FeatureState
    network: dict[str, Floats]  # the graph's state inputs by name
    emphasis: EmphasisState = EmphasisState()


class AudioToFlameStage:
    """The shipped network as a face source."""

    lookahead_frames = LOOKAHEAD_FRAMES
    provides: frozenset[Group] = frozenset({"jaw", "lips"})

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
        return AudioToFlameState(self._features.init_state(), network)

    def step(self, pcm: Floats, state: AudioToFlameState) -> tuple[co.Array, AudioToFlameState]:
        """`pcm` `[640]` at 16 kHz in -1..1 to faces `[1, 120]`."""
        features, feature_state = self._features.step(pcm, state.features)
        out = self._engine.run({SOUND: features[None], **state.network})
        weights, emphasis = emphasised(out["weights"][0], pcm, state.emphasis)
        network = {name: out[f"next_{name}"] for name in self._state_names}
        return faces_of_weights(weights), AudioToFlameState(feature_state, network, emphasis)


def faces_of_weights(weights: Floats) -> co.Array:
    """Weights `[n, outputs]` of `OUTPUTS` to faces `[n, 120]`; `flap.coefficients.from_arkit` for many frames at once."""
    faces = co.neutral(len(weights))
    faces[:, _PLACES] = weights * _SCALES
    return faces
