"""The product on one page: 40 ms of sound and the operator's commands to a frame."""

import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flap import coefficients as co
from flap.config import CHUNK_FRAMES, FRAME_RATE_HZ
from realtime.control.commands import Command, blink_requested
from realtime.control.merge import merge
from realtime.control.state import ControlState
from realtime.control.tickets import Event
from realtime.face.resample import Resampler, ResamplerState
from realtime.gestures.motion import Added
from realtime.media.framing import framed

if TYPE_CHECKING:  # any stages with the same two methods do
    from realtime.face.idle_motion import IdleMotion, IdleState
    from realtime.face.source import SpeechStage, SpeechState
    from realtime.face.voice import VoiceGate, VoiceState
    from realtime.render.portrait import Drawn, Frames, PortraitStage, PortraitState


@dataclass(frozen=True)
class AvatarState:
    """One avatar between two chunks."""

    resampler: ResamplerState
    voice: "VoiceState"
    speech: "SpeechState"
    idle: "IdleState"
    control: ControlState
    portrait: "PortraitState"
    seed: int = 0
    chunk: int = 0


@dataclass(frozen=True)
class AvatarStep:
    """What a chunk gave. `drawing` is None when pictures were not asked for; the faces are made all the same."""

    first_frame: int  # the frame of the media clock that `faces[0]` belongs to
    faces: co.Array  # [1, 120]
    drawing: "Future[Drawn] | None"  # of the pictures
    events: tuple[Event, ...]
    added: Added  # [1, 115]: what operators and driving sources have added to the faces
    stage_ms: dict[str, float] = field(default_factory=dict)  # before the pictures

    @property
    def frames(self) -> "Frames | None":
        """The pictures `[1, s, s, 3]`, waited for."""
        return self.drawing.result().frames if self.drawing else None


class AvatarPipeline:
    """Stages in order; holds weights, no stream."""

    def __init__(
        self, voice: "VoiceGate", audio_to_flame: "SpeechStage", idle: "IdleMotion", portrait: "PortraitStage"
    ):
        self.resampler, self.voice, self.audio_to_flame = Resampler(), voice, audio_to_flame
        self.idle, self.portrait = idle, portrait

    @property
    def lookahead_frames(self) -> int:
        """How many frames later than its sound a face is known."""
        return self.audio_to_flame.lookahead_frames

    @property
    def lookahead_ms(self) -> float:
        return self.lookahead_frames * 1000 / FRAME_RATE_HZ

    def init_state(self, presenter_id: str, seed: int = 0) -> AvatarState:
        """A fresh avatar; raises KeyError for an unknown presenter."""
        return AvatarState(
            self.resampler.init_state(), self.voice.init_state(), self.audio_to_flame.init_state(), self.idle.init_state(seed),
            ControlState(), self.portrait.init_state(presenter_id, seed), seed,
        )  # fmt: skip

    def with_presenter(self, state: AvatarState, presenter_id: str) -> AvatarState:
        """The same avatar with another face; raises KeyError for an unknown presenter."""
        return replace(state, portrait=self.portrait.init_state(presenter_id, state.seed))

    def step(
        self, sound: NDArray[np.int16], commands: Sequence[Command], state: AvatarState, steps: int | None = None
    ) -> tuple[AvatarStep, AvatarState]:
        """`sound` `[1920]` at 48 kHz; `steps` of diffusion, None for the portrait stage's own number.

        With 0 everything but the picture advances (a late chunk catches up). Pictures are still being drawn when it returns, and
        the next chunk may begin.
        """
        watch = _StopWatch()
        first_frame = state.chunk * CHUNK_FRAMES - self.lookahead_frames
        pcm, resampler = self.resampler.step(sound, state.resampler)
        pcm, voice = self.voice.step(pcm, state.voice)
        watch.lap("voice")
        speech, speech_state = self.audio_to_flame.step(pcm, state.speech)
        watch.lap("audio_to_flame")
        faces, idle = self.idle.step(
            speech, state.idle, blink_now=blink_requested(commands), blinks_per_minute=state.control.blinks_per_minute,
            head_seen=state.control.own_share(first_frame),
        )  # fmt: skip
        merged, control = merge(faces, commands, state.control, first_frame)
        watch.lap("merge")
        drawing, portrait = None, state.portrait
        if steps != 0:
            drawing, portrait = self.portrait.begin(
                merged.faces, state.portrait, steps, lambda frames: framed(frames, merged.framing)
            )
        step = AvatarStep(first_frame, merged.faces, drawing, merged.events, merged.added, watch.laps_ms)
        return step, AvatarState(resampler, voice, speech_state, idle, control, portrait, state.seed, state.chunk + 1)


class _StopWatch:
    def __init__(self) -> None:
        self.laps_ms: dict[str, float] = {}
        self._last_s = time.perf_counter()

    def lap(self, name: str) -> None:
        now_s = time.perf_counter()
        self.laps_ms[name] = (now_s - self._last_s) * 1000
        self._last_s = now_s
