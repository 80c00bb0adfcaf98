"""Voice activity: lets speech through to the lips and fades everything else out."""

from dataclasses import dataclass, field, replace

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from flap.config import SAMPLE_RATE_HZ, exact_div

BLOCK_SAMPLES = exact_div(SAMPLE_RATE_HZ, 50)  # webrtcvad takes 10, 20 or 30 ms
AGGRESSIVENESS = 2
ON_BLOCKS = 2  # voiced blocks of the last three that open the gate
HOLD_BLOCKS = 15  # the gate stays open 300 ms after the last voiced block
FADE_BLOCKS = 3  # 60 ms from shut to open
QUIET_LEVEL = 0.002  # root mean square below which nothing counts as voice


@dataclass(frozen=True)
class VoiceState:
    recent: tuple[bool, ...] = (False, False, False)
    hold: int = 0
    gain: float = 0.0
    # gets used to what it hears, and cannot be copied: one for each stream, whose states follow one another
    detector: webrtcvad.Vad = field(default_factory=lambda: webrtcvad.Vad(AGGRESSIVENESS), compare=False, repr=False)


class VoiceGate:
    """Multiplies sound by a gain that is 1 in speech and 0 otherwise, moving smoothly between."""

    def init_state(self) -> VoiceState:
        return VoiceState()

    def step(self, pcm: NDArray[np.float32], state: VoiceState) -> tuple[NDArray[np.float32], VoiceState]:
        """`pcm` `[320 k]` at 16 kHz to the same sound gated."""
        blocks = pcm.reshape(-1, BLOCK_SAMPLES)
        out = np.empty_like(blocks)
        for i, block in enumerate(blocks):
            state, before = self._advance(block, state), state
            steady = before.gain == state.gain
            gain = state.gain if steady else np.linspace(before.gain, state.gain, BLOCK_SAMPLES, dtype=np.float32)
            out[i] = block * gain
        return out.reshape(-1), state

    def _advance(self, block: NDArray[np.float32], state: VoiceState) -> VoiceState:
        loud = float(block @ block) / len(block) > QUIET_LEVEL**2
        samples = (np.clip(block, -1, 1) * 32_767).astype(np.int16)
        voiced = loud and state.detector.is_speech(samples.tobytes(), SAMPLE_RATE_HZ)
        recent = (*state.recent[1:], voiced)
        hold = HOLD_BLOCKS if sum(recent) >= ON_BLOCKS else max(state.hold - 1, 0)
        towards = 1.0 if hold else 0.0
        step = 1 / FADE_BLOCKS
        gain = min(max(towards, state.gain - step), state.gain + step)
        return replace(state, recent=recent, hold=hold, gain=gain)
