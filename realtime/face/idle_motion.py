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
class Draws:
    """The random generator: draw n is the same in every run."""

    seed: int
    count: int = 0

    def normal(self, size: int) -> tuple[NDArray[np.float64], "Draws"]:
        return np.random.default_rng([self.seed, self.count]).standard_normal(size), Draws(self.seed, self.count + 1)


@dataclass(frozen=True)
class Lids:
    until_blink: float  # in mean times between two
    blink_frame: int | None = None  # where in BLINK the lids are


@dataclass(frozen=True)
class Gaze:
    """Yaw and pitch in radians."""

    frames_left: float = 20.0  # until the next saccade
    aim: tuple[float, float] = (0.0, 0.0)
    now: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Turn:
    """On its way through two low-passes: neither place nor speed ever jumps."""

    aim: Vector = (0.0, 0.0, 0.0)
    middle: Vector = (0.0, 0.0, 0.0)
    now: Vector = (0.0, 0.0, 0.0)

    def towards(self, aim: Vector, rate: float) -> "Turn":
        middle = _towards(self.middle, aim, rate)
        return Turn(aim, middle, _towards(self.now, middle, rate))


@dataclass(frozen=True)
class Nod:
    turn: Turn = Turn()
    frames_left: int = 0  # until it goes back


@dataclass(frozen=True)
class Brows:
    aim: float = 0.0
    middle: float = 0.0
    now: float = 0.0
    frames_since: int = BROW_REST_FRAMES
    pitch_before: float = 0.0  # semitones


@dataclass(frozen=True)
class IdleState:
    draws: Draws
    lids: Lids
    frame: int = 0
    speaking: float = 0.0  # 0 listening .. 1 speaking
    gaze: Gaze = Gaze()
    sway: Turn = Turn()
    nod: Nod = Nod()
    brows: Brows = Brows()


class IdleMotion:
    """Adds to speech what speech does not provide; never touches jaw or lips."""

    def init_state(self, seed: int, blinks_per_minute: float = 15.0) -> IdleState:
        gap, draws = _blink_gap(Draws(seed), blinks_per_minute)
        return IdleState(draws, Lids(gap))

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
        if blink_now and state.lids.blink_frame is None:
            state = replace(state, lids=Lids(state.lids.until_blink, -1))  # the frame before its first
        if "lids" in speech.provides:
            blinks_per_minute = 0.0
        out, said = speech.faces.copy(), speech.prosody
        for face, loudness, stress, pitch in zip(
            out, said.loudness.tolist(), said.stress.tolist(), said.pitch.tolist(), strict=True
        ):
            state = _advanced(state, loudness, stress, pitch, blinks_per_minute)
            _apply(face, state, speech, head_seen)
        return out, state


def _advanced(state: IdleState, loudness: float, stress: float, pitch: float, blinks_per_minute: float) -> IdleState:
    """A frame later."""
    frame = state.frame + 1
    lids, draws = _lids(state.lids, state.draws, blinks_per_minute)
    speaking = _speaking(state.speaking, loudness)
    gaze, draws = _gaze(state.gaze, draws, speaking)
    sway, draws = _sway(state.sway, draws, frame, speaking)
    nod, draws = _nod(state.nod, draws, stress)
    return IdleState(draws, lids, frame, speaking, gaze, sway, nod, _brows(state.brows, pitch))


def _apply(face: NDArray[np.float32], state: IdleState, speech: SpeechFaces, head_seen: NDArray[np.float32]) -> None:
    """Adds each group that speech leaves to the generators."""
    head = np.array(state.sway.now) + state.nod.turn.now
    head[co.PITCH] += math.radians(BREATH_DEG) * math.sin(2 * math.pi * BREATH_HZ * state.frame / FRAME_RATE_HZ)
    if "head" not in speech.provides:
        face[co.ROTATION] += head.astype(np.float32)
    if "gaze" not in speech.provides:  # eyes hold on to what they look at while the head moves
        yaw, pitch = state.gaze.now
        turned = face[co.ROTATION] * head_seen
        face[co.EYES] = np.tile(co.eye_6d(yaw - 0.7 * turned[co.YAW], pitch - 0.5 * turned[co.PITCH]), 2)
    lid = BLINK[state.lids.blink_frame] if state.lids.blink_frame is not None else 0.0
    face[co.EYELIDS] = np.maximum(face[co.EYELIDS], lid)
    if "brows" not in speech.provides:
        face[co.EXPRESSION_INDEX["browInnerUp"]] += state.brows.now
        for side in ("Left", "Right"):
            face[co.EXPRESSION_INDEX[f"browOuterUp{side}"]] += 0.6 * state.brows.now


def _speaking(speaking: float, loudness: float) -> float:
    towards = 1.0 if loudness > SPEAKING_LOUDNESS else 0.0
    return speaking + (SPEAKING_ATTACK if towards else SPEAKING_RELEASE) * (towards - speaking)


def _sway(sway: Turn, draws: Draws, frame: int, speaking: float) -> tuple[Turn, Draws]:
    aim = sway.aim
    if frame % SWAY_FRAMES == 0:
        draw, draws = draws.normal(3)
        lively = LISTENING + (1 - LISTENING) * speaking
        aim = _vector(np.deg2rad(SWAY_DEG * lively * np.clip(draw, -2, 2)))
    return sway.towards(aim, SWAY_RATE), draws


def _nod(nod: Nod, draws: Draws, stress: float) -> tuple[Nod, Draws]:
    """Many stressed syllables, not all, are nodded to."""
    aim, left = nod.turn.aim, max(nod.frames_left - 1, 0)
    if not left:
        aim = (0.0, 0.0, 0.0)
    if stress > 0:
        draw, draws = draws.normal(4)
        if draw[3] < UNNODDED:
            size = np.array([np.clip(1 + 0.35 * draw[0], 0.3, 1.7), *np.clip(draw[1:3], -2, 2)])
            aim, left = _vector(np.deg2rad(NOD_DEG * size * (0.35 + 0.65 * stress))), NOD_FRAMES
    return Nod(nod.turn.towards(aim, NOD_RATE), left), draws


def _brows(brows: Brows, pitch: float) -> Brows:
    """They rise where the voice does, for a moment and not too often."""
    since, aim = min(brows.frames_since + 1, BROW_REST_FRAMES), brows.aim
    high = min(pitch, brows.pitch_before)
    if high > BROW_SEMITONES and since >= BROW_REST_FRAMES:
        since, aim = 0, BROW_RAISE * min(high / FULL_BROW_SEMITONES, 1.0)
    if since >= BROW_FRAMES:
        aim = 0.0
    middle = brows.middle + BROW_RATE * (aim - brows.middle)
    return Brows(aim, middle, brows.now + BROW_RATE * (middle - brows.now), since, pitch)


def _lids(lids: Lids, draws: Draws, blinks_per_minute: float) -> tuple[Lids, Draws]:
    blink_frame = lids.blink_frame
    if blink_frame is not None:
        blink_frame = blink_frame + 1 if blink_frame + 1 < len(BLINK) else None
    if blinks_per_minute <= 0:
        return Lids(lids.until_blink, blink_frame), draws
    remaining = lids.until_blink - blinks_per_minute / (60 * FRAME_RATE_HZ)
    if remaining > 0:
        return Lids(remaining, blink_frame), draws
    gap, draws = _blink_gap(draws, blinks_per_minute)
    return Lids(gap, blink_frame or 0), draws  # a blink that is under way is it


def _gaze(gaze: Gaze, draws: Draws, speaking: float) -> tuple[Gaze, Draws]:
    aim, left = gaze.aim, gaze.frames_left - 1
    if left <= 0:
        draw, draws = draws.normal(3)
        span_s = SACCADE_S[0] + (SACCADE_S[1] - SACCADE_S[0]) * min(abs(float(draw[2])) / 2, 1.0)
        span_s *= LISTENER_HOLDS + (1 - LISTENER_HOLDS) * speaking
        wide = 0.5 + 0.5 * speaking
        yaw, pitch = np.deg2rad(GAZE_DEG * wide * np.clip(draw[:2], -2, 2))
        aim, left = (float(yaw), float(pitch)), span_s * FRAME_RATE_HZ
    yaw_now, pitch_now = gaze.now
    now = yaw_now + SACCADE_RATE * (aim[0] - yaw_now), pitch_now + SACCADE_RATE * (aim[1] - pitch_now)
    return Gaze(left, aim, now), draws


def _blink_gap(draws: Draws, blinks_per_minute: float) -> tuple[float, Draws]:
    """To the next blink, in mean times between two, which follow the rate as it changes: log-normal with a mean of 1."""
    draw, draws = draws.normal(1)
    gap = math.exp(BLINK_SPREAD * float(draw[0]) - BLINK_SPREAD**2 / 2)
    return max(SHORTEST_BLINK_GAP_S * blinks_per_minute / 60, gap), draws


def _towards(now: Vector, aim: Vector, rate: float) -> Vector:
    pitch, yaw, roll = now
    return pitch + rate * (aim[0] - pitch), yaw + rate * (aim[1] - yaw), roll + rate * (aim[2] - roll)


def _vector(values: NDArray[np.float64]) -> Vector:
    pitch, yaw, roll = values.tolist()
    return pitch, yaw, roll
