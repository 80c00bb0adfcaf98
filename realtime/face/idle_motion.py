"""What keeps a face alive: blinks, gaze, breath, a head and brows that follow the stress and pitch of speech, and keep still
while listening. Seeded, so the same every time.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flap import coefficients as co
from flap.config import FRAME_RATE_HZ
from realtime.face.source import SpeechFaces

Vector = tuple[float, float, float]  # radians of pitch, yaw, roll
BLINK = (0.45, 0.9, 1.0, 0.8, 0.5, 0.25, 0.1)  # lid closure a frame: fast shut, slower open
BLINK_SPREAD = 0.35  # of the logarithm of the time between two
SHORTEST_BLINK_GAP_S = 0.4
BREATH_HZ, BREATH_DEG = 0.25, 0.2
SWAY_DEG = np.array([0.8, 1.6, 0.8])  # of pitch, yaw, roll while speaking
SWAY_FRAMES = 19  # until the sway gets its next aim
SWAY_RATE = 0.09  # share of the way to its aim that the sway goes each frame, twice
NOD_DEG = np.array([2.2, 0.6, 0.5])  # of a full stress: down, and a little aside
NOD_RATE, NOD_FRAMES = 0.4, 4
UNNODDED = 0.7  # deviations of a normal draw: a quarter of the stresses is left alone
BROW_SEMITONES = 3.0  # above the speaker's average, for two frames, raises the brows
FULL_BROW_SEMITONES = 9.0
BROW_RAISE, BROW_RATE, BROW_FRAMES, BROW_REST_FRAMES = 0.45, 0.3, 7, 25
LISTENING = 0.3  # how lively the head is while listening, against speaking
SPEAKING_LOUDNESS = 0.03
SPEAKING_ATTACK, SPEAKING_RELEASE = 0.15, 0.03  # share a frame
SACCADE_RATE = 0.75  # most of a small saccade is over within a frame
GAZE_DEG = np.array([2.8, 1.5])  # yaw, pitch while speaking
SACCADE_S = (0.5, 2.2)  # between two while speaking
WHOLE = np.ones(3, np.float32)
LISTENER_HOLDS = 1.8  # times as long does a listener look at one place


@dataclass(frozen=True)
class IdleState:
    """`seed` and `draws` are the random generator: draw n is the same in every run."""

    seed: int
    draws: int = 0
    frame: int = 0
    speaking: float = 0.0  # 0 listening .. 1 speaking
    blink_frame: int | None = None  # where in BLINK the lids are
    next_blink: float = 1.0  # until the next one, in mean times between two
    next_saccade: float = 20.0
    gaze: tuple[float, float] = (0.0, 0.0)  # aim, radians yaw and pitch
    gaze_now: tuple[float, float] = (0.0, 0.0)
    sway_aim: Vector = (0.0, 0.0, 0.0)
    sway_middle: Vector = (0.0, 0.0, 0.0)
    sway: Vector = (0.0, 0.0, 0.0)
    nod_aim: Vector = (0.0, 0.0, 0.0)
    nod_left: int = 0  # frames until the nod goes back
    nod_middle: Vector = (0.0, 0.0, 0.0)
    nod: Vector = (0.0, 0.0, 0.0)
    pitch_before: float = 0.0  # semitones
    brow_aim: float = 0.0
    brow_since: int = BROW_REST_FRAMES
    brow_middle: float = 0.0
    brow: float = 0.0


class IdleMotion:
    """Adds to speech what speech does not provide; never touches jaw or lips."""

    def init_state(self, seed: int, blinks_per_minute: float = 15.0) -> IdleState:
        state = IdleState(seed)
        gap, state = _blink_gap(state, blinks_per_minute)
        return replace(state, next_blink=gap)

    def step(
        self,
        speech: SpeechFaces,
        state: IdleState,
        *,
        blink_now: bool = False,
        blinks_per_minute: float = 15.0,
        head_seen: NDArray[np.float32] = WHOLE,
    ) -> tuple[NDArray[np.float32], IdleState]:
        """Faces `[n, 120]` of speech with idle motion; `blink_now` closes the lids from the first of them. `head_seen` `[3]` is how
        much will be seen of how the head turns."""
        if blink_now and state.blink_frame is None:
            state = replace(state, blink_frame=-1)  # the frame before its first
        if "lids" in speech.provides:
            blinks_per_minute = 0.0
        out, said = speech.faces.copy(), speech.prosody
        for i, face in enumerate(out):
            state = _advance_lids(replace(state, frame=state.frame + 1), blinks_per_minute)
            state = _advance_speaking(state, float(said.loudness[i]))
            state = _advance_gaze(state)
            state = _advance_sway(state)
            state = _advance_nod(state, float(said.stress[i]))
            state = _advance_brow(state, float(said.pitch[i]))
            _apply(face, state, speech, head_seen)
        return out, state


def _apply(face: NDArray[np.float32], state: IdleState, speech: SpeechFaces, head_seen: NDArray[np.float32]) -> None:
    """Adds each group that speech leaves to the generators."""
    head = np.array(state.sway) + state.nod
    head[co.PITCH] += math.radians(BREATH_DEG) * math.sin(2 * math.pi * BREATH_HZ * state.frame / FRAME_RATE_HZ)
    if "head" not in speech.provides:
        face[co.ROTATION] += head.astype(np.float32)
    if "gaze" not in speech.provides:  # eyes hold on to what they look at while the head moves
        yaw, pitch = state.gaze_now
        turned = face[co.ROTATION] * head_seen
        face[co.EYES] = np.tile(co.eye_6d(yaw - 0.7 * turned[co.YAW], pitch - 0.5 * turned[co.PITCH]), 2)
    lid = BLINK[state.blink_frame] if state.blink_frame is not None else 0.0
    face[co.EYELIDS] = np.maximum(face[co.EYELIDS], lid)
    if "brows" not in speech.provides:
        face[co.EXPRESSION_INDEX["browInnerUp"]] += state.brow
        for side in ("Left", "Right"):
            face[co.EXPRESSION_INDEX[f"browOuterUp{side}"]] += 0.6 * state.brow


def _advance_speaking(state: IdleState, loudness: float) -> IdleState:
    towards = 1.0 if loudness > SPEAKING_LOUDNESS else 0.0
    rate = SPEAKING_ATTACK if towards else SPEAKING_RELEASE
    return replace(state, speaking=state.speaking + rate * (towards - state.speaking))


def _advance_sway(state: IdleState) -> IdleState:
    if state.frame % SWAY_FRAMES == 0:
        draw, state = _normal(state, 3)
        lively = LISTENING + (1 - LISTENING) * state.speaking
        state = replace(state, sway_aim=_vector(np.deg2rad(SWAY_DEG * lively * np.clip(draw, -2, 2))))
    middle = _towards(state.sway_middle, state.sway_aim, SWAY_RATE)
    return replace(state, sway_middle=middle, sway=_towards(state.sway, middle, SWAY_RATE))


def _advance_nod(state: IdleState, stress: float) -> IdleState:
    """Many stressed syllables, not all, are nodded to."""
    aim, left = state.nod_aim, max(state.nod_left - 1, 0)
    if not left:
        aim = (0.0, 0.0, 0.0)
    if stress > 0:
        draw, state = _normal(state, 4)
        if draw[3] < UNNODDED:
            size = np.array([np.clip(1 + 0.35 * draw[0], 0.3, 1.7), *np.clip(draw[1:3], -2, 2)])
            aim, left = _vector(np.deg2rad(NOD_DEG * size * (0.35 + 0.65 * stress))), NOD_FRAMES
    middle = _towards(state.nod_middle, aim, NOD_RATE)
    return replace(state, nod_aim=aim, nod_left=left, nod_middle=middle, nod=_towards(state.nod, middle, NOD_RATE))


def _advance_brow(state: IdleState, pitch: float) -> IdleState:
    """Brows rise where the voice does, for a moment and not too often."""
    since, aim = min(state.brow_since + 1, BROW_REST_FRAMES), state.brow_aim
    high = min(pitch, state.pitch_before)
    if high > BROW_SEMITONES and since >= BROW_REST_FRAMES:
        since, aim = 0, BROW_RAISE * min(high / FULL_BROW_SEMITONES, 1.0)
    if since >= BROW_FRAMES:
        aim = 0.0
    middle = state.brow_middle + BROW_RATE * (aim - state.brow_middle)
    brow = state.brow + BROW_RATE * (middle - state.brow)
    return replace(state, pitch_before=pitch, brow_since=since, brow_aim=aim, brow_middle=middle, brow=brow)


def _advance_lids(state: IdleState, blinks_per_minute: float) -> IdleState:
    if state.blink_frame is not None:
        following = state.blink_frame + 1
        state = replace(state, blink_frame=following if following < len(BLINK) else None)
    if blinks_per_minute <= 0:
        return state
    remaining = state.next_blink - blinks_per_minute / (60 * FRAME_RATE_HZ)
    if remaining > 0:
        return replace(state, next_blink=remaining)
    gap, state = _blink_gap(state, blinks_per_minute)
    return replace(state, blink_frame=state.blink_frame or 0, next_blink=gap)  # one that is under way is it


def _advance_gaze(state: IdleState) -> IdleState:
    remaining = state.next_saccade - 1
    if remaining <= 0:
        draw, state = _normal(state, 3)
        span_s = SACCADE_S[0] + (SACCADE_S[1] - SACCADE_S[0]) * min(abs(float(draw[2])) / 2, 1.0)
        span_s *= LISTENER_HOLDS + (1 - LISTENER_HOLDS) * state.speaking
        wide = 0.5 + 0.5 * state.speaking
        yaw, pitch = np.deg2rad(GAZE_DEG * wide * np.clip(draw[:2], -2, 2))
        state, remaining = replace(state, gaze=(float(yaw), float(pitch))), span_s * FRAME_RATE_HZ
    now = tuple(n + SACCADE_RATE * (a - n) for n, a in zip(state.gaze_now, state.gaze, strict=True))
    return replace(state, next_saccade=remaining, gaze_now=now)  # type: ignore[arg-type]


def _blink_gap(state: IdleState, blinks_per_minute: float) -> tuple[float, IdleState]:
    """To the next blink, in mean times between two, which follow the rate as it changes: log-normal with a mean of 1."""
    draw, state = _normal(state, 1)
    gap = math.exp(BLINK_SPREAD * float(draw[0]) - BLINK_SPREAD**2 / 2)
    return max(SHORTEST_BLINK_GAP_S * blinks_per_minute / 60, gap), state


def _normal(state: IdleState, count: int) -> tuple[NDArray[np.float64], IdleState]:
    draw = np.random.default_rng([state.seed, state.draws]).standard_normal(count)
    return draw, replace(state, draws=state.draws + 1)


def _towards(now: Vector, aim: Vector, rate: float) -> Vector:
    """A low-pass; two in a row, and neither place nor speed ever jumps."""
    return _vector([n + rate * (a - n) for n, a in zip(now, aim, strict=True)])


def _vector(values: NDArray[np.float64] | list[float]) -> Vector:
    pitch, yaw, roll = (float(value) for value in values)
    return pitch, yaw, roll
