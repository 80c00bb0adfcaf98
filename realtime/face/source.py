"""What makes faces from speech, and what may take the shipped network's place (docs/audio.md).

A source says which groups of the face it provides and how many frames late it is; the generators of `idle_motion` do
the rest, and a source that is too late for the session's delay is refused before anything starts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from engines.engine import EngineError
from flap import coefficients as co
from flap.config import CHUNK_FRAMES, FRAME_RATE_HZ
from realtime.face.prosody import Prosody, ProsodyStage, ProsodyState

Group = Literal["jaw", "lips", "brows", "lids", "gaze", "head"]
MOST_LOOKAHEAD_MS = 160.0  # a viewer's wait grows by it, see docs/protocol.md, Time


class FaceSource(Protocol):
    """Sound to faces, a chunk at a time; holds weights, no stream."""

    @property
    def provides(self) -> frozenset[Group]: ...

    @property
    def lookahead_frames(self) -> int:
        """How many frames later than its sound a face is known."""

    def init_state(self) -> Any: ...

    def step(self, pcm: NDArray[np.float32], state: Any) -> tuple[co.Array, Any]:
        """`pcm` `[640]` at 16 kHz in -1..1 to faces `[1, 120]`, neutral in what is not provided."""


class SourceTooSlow(EngineError):
    """A source hears further ahead than a session may wait."""


@dataclass(frozen=True)
class SpeechFaces:
    """What speech says of a chunk: the source's faces, and how it is said."""

    faces: co.Array  # [1, 120]
    prosody: Prosody
    provides: frozenset[Group]


@dataclass(frozen=True)
class SpeechState:
    source: Any
    prosody: ProsodyState


class SpeechStage:
    """A source, and the prosody of the same frames. Raises SourceTooSlow."""

    def __init__(self, source: FaceSource, most_lookahead_ms: float = MOST_LOOKAHEAD_MS):
        lookahead_ms = source.lookahead_frames * 1000 / FRAME_RATE_HZ
        if lookahead_ms > most_lookahead_ms:
            raise SourceTooSlow(
                f"{type(source).__name__} hears {lookahead_ms:g} ms ahead and may hear {most_lookahead_ms:g}: "
                "choose a faster one, or allow a longer delay"
            )
        self._source, self._prosody = source, ProsodyStage(source.lookahead_frames)
        self.lookahead_frames = source.lookahead_frames

    def init_state(self) -> SpeechState:
        return SpeechState(self._source.init_state(), self._prosody.init_state())

    def step(self, pcm: NDArray[np.float32], state: SpeechState) -> tuple[SpeechFaces, SpeechState]:
        """`pcm` `[640]` at 16 kHz in -1..1."""
        faces, source = self._source.step(pcm, state.source)
        prosody, following = self._prosody.step(pcm, state.prosody)
        return SpeechFaces(co.check(faces), prosody, self._source.provides), SpeechState(source, following)


class ArkitRecording:
    """Plays ARKit weights that were recorded with the sound, as a phone gives them; knows each face at once."""

    lookahead_frames = 0

    def __init__(self, weights: NDArray[np.floating[Any]], names: tuple[str, ...], rotations: co.Array | None = None):
        """`weights` `[frames, names]` at 25 frames a second; `rotations` `[frames, 3]` radians when the head was tracked."""
        faces = [co.from_arkit(dict(zip(names, map(float, row), strict=True))) for row in weights]
        self._faces = np.stack(faces).astype(np.float32)
        self.provides = groups_of(names) | ({"head"} if rotations is not None else frozenset())
        if rotations is not None:
            self._faces[:, co.ROTATION] = rotations

    def init_state(self) -> int:
        return 0

    def step(self, pcm: NDArray[np.float32], state: int) -> tuple[co.Array, int]:
        """After its end the last face stays."""
        frames = np.minimum(np.arange(state, state + CHUNK_FRAMES), len(self._faces) - 1)
        return self._faces[frames], state + CHUNK_FRAMES


_GROUP_OF: Mapping[str, Group] = {"jaw": "jaw", "mouth": "lips", "brow": "brows", "eyeBlink": "lids", "eyeLook": "gaze"}


def groups_of(names: tuple[str, ...]) -> frozenset[Group]:
    """The groups that ARKit shapes of these names move."""
    return frozenset(group for start, group in _GROUP_OF.items() if any(name.startswith(start) for name in names))
