"""What keeps a face alive: blinks, gaze, a swaying and nodding head, breath. Seeded, so the same every time."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flap import coefficients as co
from flap.config import FRAME_RATE_HZ
from realtime.audio_to_flame import SpeechFaces

BLINK = (0.45, 0.9, 1.0, 0.8, 0.5, 0.25, 0.1)  # lid closure a frame: fast shut, slower open
SACCADE_S = (0.6, 2.2)
BREATH_HZ = 0.25
SWAY_DEG = np.array([1.1, 1.8, 0.7])  # pitch, yaw, roll
SWAY_RATE = 0.035  # share of the way to its aim that the sway goes each frame
NOD_DEG = 2.2


@dataclass(frozen=True)
class IdleState:
    """`seed` and `draws` are the random generator: draw n is the same in every run."""

    seed: int
    draws: int = 0
    frame: int = 0
    blink_frame: int | None = None  # where in BLINK the lids are
    next_blink: float = 40.0  # frames until the next one
    next_saccade: float = 20.0
    gaze: tuple[float, float] = (0.0, 0.0)  # aim, radians yaw and pitch
    gaze_now: tuple[float, float] = (0.0, 0.0)
    sway_aim: tuple[float, float, float] = (0.0, 0.0, 0.0)
    sway_middle: tuple[float, float, float] = (0.0, 0.0, 0.0)
    sway: tuple[float, float, float] = (0.0, 0.0, 0.0)
    nod: float = 0.0
    energy: float = 0.0


class IdleMotion:
    """Adds to speech what speech does not say; never touches jaw or lips."""

    def init_state(self, seed: int, blinks_per_minute: float = 15.0) -> IdleState:
        state = IdleState(seed)
        gap, state = _blink_gap(state, blinks_per_minute)
        return replace(state, next_blink=gap)

    def step(
        self, speech: SpeechFaces, state: IdleState, *, blink_now: bool = False, blinks_per_minute: float = 15.0
    ) -> tuple[NDArray[np.float32], IdleState]:
        """Faces `[n, 120]` of speech with idle motion; `blink_now` closes the lids from the first of them."""
        if blink_now:
            state = replace(state, blink_frame=0)
        out = speech.faces.copy()
        for i, loudness in enumerate(speech.loudness):
            state = _advance(state, float(loudness), blinks_per_minute)
            _apply(out[i], state)
        return out, state


def _apply(face: NDArray[np.float32], state: IdleState) -> None:
    breath = math.radians(0.35) * math.sin(2 * math.pi * BREATH_HZ * state.frame / FRAME_RATE_HZ)
    face[co.ROTATION] += np.array(state.sway, np.float32)
    face[co.PITCH] += breath + state.nod
    yaw, pitch = state.gaze_now
    # eyes hold on to what they look at while the head sways
    face[co.EYES] = np.tile(co.eye_6d(yaw - 0.7 * state.sway[co.YAW], pitch - 0.5 * state.sway[co.PITCH]), 2)
    lid = BLINK[state.blink_frame] if state.blink_frame is not None else 0.0
    face[co.EYELIDS] = np.maximum(face[co.EYELIDS], lid)
    face[co.EXPRESSION_INDEX["browInnerUp"]] += 0.12 * state.energy


def _advance(state: IdleState, loudness: float, blinks_per_minute: float) -> IdleState:
    state = _advance_lids(replace(state, frame=state.frame + 1), blinks_per_minute)
    state = _advance_gaze(state)
    energy = state.energy + (0.35 if loudness > state.energy else 0.06) * (loudness - state.energy)
    lively = 0.6 + 0.9 * energy
    if state.frame % 23 == 0:
        draw, state = _normal(state, 3)
        aim = np.deg2rad(SWAY_DEG * lively * np.clip(draw, -2, 2))
        state = replace(state, sway_aim=tuple(float(v) for v in aim))  # type: ignore[arg-type]
    # two low-passes in a row: neither place nor speed ever jumps
    middle = tuple(m + 2 * SWAY_RATE * (a - m) for m, a in zip(state.sway_middle, state.sway_aim, strict=True))
    sway = tuple(s + 2 * SWAY_RATE * (m - s) for s, m in zip(state.sway, middle, strict=True))
    nod = state.nod + 0.15 * (math.radians(NOD_DEG) * max(energy - 0.35, 0.0) - state.nod)
    return replace(state, sway_middle=middle, sway=sway, nod=nod, energy=energy)  # type: ignore[arg-type]


def _advance_lids(state: IdleState, blinks_per_minute: float) -> IdleState:
    if state.blink_frame is not None:
        following = state.blink_frame + 1
        state = replace(state, blink_frame=following if following < len(BLINK) else None)
    if blinks_per_minute <= 0:
        return state
    remaining = state.next_blink - 1
    if remaining > 0:
        return replace(state, next_blink=remaining)
    gap, state = _blink_gap(state, blinks_per_minute)
    return replace(state, blink_frame=0, next_blink=gap)


def _advance_gaze(state: IdleState) -> IdleState:
    remaining = state.next_saccade - 1
    if remaining <= 0:
        draw, state = _normal(state, 3)
        span = SACCADE_S[0] + (SACCADE_S[1] - SACCADE_S[0]) * min(abs(float(draw[2])) / 2, 1.0)
        aim = (math.radians(3.0 * float(np.clip(draw[0], -2, 2))), math.radians(1.6 * float(np.clip(draw[1], -2, 2))))
        state, remaining = replace(state, gaze=aim), span * FRAME_RATE_HZ
    now = tuple(n + 0.6 * (a - n) for n, a in zip(state.gaze_now, state.gaze, strict=True))
    return replace(state, next_saccade=remaining, gaze_now=now)  # type: ignore[arg-type]


def _blink_gap(state: IdleState, blinks_per_minute: float) -> tuple[float, IdleState]:
    """Frames to the next blink: log-normal gaps with the mean that the rate asks for, never under 0.4 s."""
    if blinks_per_minute <= 0:
        return math.inf, state
    draw, state = _normal(state, 1)
    spread = 0.5
    mean_frames = 60 / blinks_per_minute * FRAME_RATE_HZ
    return max(0.4 * FRAME_RATE_HZ, mean_frames * math.exp(spread * float(draw[0]) - spread**2 / 2)), state


def _normal(state: IdleState, count: int) -> tuple[NDArray[np.float64], IdleState]:
    draw = np.random.default_rng([state.seed, state.draws]).standard_normal(count)
    return draw, replace(state, draws=state.draws + 1)
