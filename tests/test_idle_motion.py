"""A silent face is alive, reproducible and never jumps; a speaking one nods, raises its brows, and a listener keeps still."""

from dataclasses import replace

import numpy as np
import pytest

from flap import coefficients as co
from realtime.face.idle_motion import IdleMotion, Lids
from realtime.face.prosody import Prosody, silence
from realtime.face.source import SpeechFaces

NOBODY = frozenset[str]()


def silent(frames: int) -> SpeechFaces:
    return SpeechFaces(co.neutral(frames), silence(frames), NOBODY)  # type: ignore[arg-type]


def chatter(frames: int) -> SpeechFaces:
    """A stress every 0.6 s, now and then with a high voice."""
    loudness = np.full(frames, 0.5, np.float32)
    stress, pitch = np.zeros((2, frames), np.float32)
    stress[::15] = 0.8
    pitch[[i for i in range(frames) if i % 60 in (5, 6, 7)]] = 6
    return SpeechFaces(co.neutral(frames), Prosody(loudness, stress, pitch), NOBODY)  # type: ignore[arg-type]


def live(speech: SpeechFaces, seed: int = 1, rate: float = 15.0, chunk: int = 2) -> np.ndarray:
    idle, out = IdleMotion(), []
    state, said = idle.init_state(seed, rate), speech.prosody
    for at in range(0, len(speech.faces), chunk):
        piece = slice(at, at + chunk)
        prosody = Prosody(said.loudness[piece], said.stress[piece], said.pitch[piece])
        faces, state = idle.step(
            SpeechFaces(speech.faces[piece], prosody, speech.provides), state, blinks_per_minute=rate
        )
        out.append(faces)
    return np.concatenate(out)


def blinks(faces: np.ndarray) -> int:
    closed = faces[:, co.EYELIDS.start] > 0.9
    return int((closed[1:] & ~closed[:-1]).sum())


def head_speed(faces: np.ndarray) -> float:
    """Root mean square in degrees a second."""
    return float(np.sqrt((np.diff(np.rad2deg(faces[:, co.ROTATION]), axis=0) ** 2).sum(1).mean()) * 25)


def test_the_same_seed_moves_the_same_way_in_any_chunking() -> None:
    assert np.array_equal(live(chatter(100)), live(chatter(100)))
    assert np.allclose(live(chatter(100), chunk=1), live(chatter(100), chunk=2))
    assert not np.allclose(live(chatter(100)), live(chatter(100), seed=2))


@pytest.mark.parametrize("rate", [5, 15, 30])
@pytest.mark.parametrize("seed", [0, 2])
def test_blinks_come_at_the_rate_that_was_asked_for(rate: int, seed: int) -> None:
    assert blinks(live(silent(300 * 25), seed, rate=rate)) / 5 == pytest.approx(rate, rel=0.2)


def test_no_blinks_at_rate_zero() -> None:
    assert blinks(live(silent(1500), rate=0)) == 0


@pytest.mark.parametrize("speech", [silent(1500), chatter(1500)], ids=["listening", "speaking"])
def test_the_head_moves_a_little_and_never_jumps(speech: SpeechFaces) -> None:
    degrees = np.rad2deg(live(speech)[:, co.ROTATION])
    assert 0.1 < degrees[:, co.YAW].std() < 3
    assert np.abs(degrees).max() < 8
    assert np.abs(np.diff(degrees, axis=0)).max() < 1.5
    assert np.abs(np.diff(degrees, n=2, axis=0)).max() < 1.0


def test_a_listener_keeps_stiller_than_a_speaker() -> None:
    assert head_speed(live(silent(1500))) < 0.4 * head_speed(live(chatter(1500)))
    eyes = [live(speech, rate=0)[:, co.EYES].std(0).max() for speech in (silent(1500), chatter(1500))]
    assert eyes[0] < eyes[1]


def test_stressed_syllables_are_nodded_to() -> None:
    without = chatter(1500)
    without = replace(without, prosody=replace(without.prosody, stress=np.zeros(1500, np.float32)))
    nods = np.rad2deg(live(chatter(1500))[:, co.PITCH]) - np.rad2deg(live(without)[:, co.PITCH])
    after = np.mean([nods[at : at + 15] for at in range(150, 1485, 15)], 0)
    assert 3 <= after.argmax() <= 8, "the head is lowest 0.12 to 0.32 s after the syllable has set in"
    assert after.max() > after[0] + 0.5


def test_brows_rise_with_the_voice_and_come_back() -> None:
    brows = live(chatter(300))[:, co.EXPRESSION_INDEX["browInnerUp"]]
    assert 0.1 < brows.max() < 0.5
    assert brows.min() < 0.01
    assert np.abs(np.diff(brows)).max() < 0.08
    assert not live(silent(300))[:, co.EXPRESSION_INDEX["browInnerUp"]].any()


def test_gaze_moves_in_small_saccades_between_which_it_rests() -> None:
    yaw = np.rad2deg(co.gaze_from_6d(live(silent(3000))[:, co.EYES][:, :6])[0])
    steps = np.abs(np.diff(yaw))
    assert 0.5 < yaw.std() < 4
    assert (steps < 0.3).mean() > 0.85
    assert steps.max() > 1


def test_idle_motion_leaves_jaw_and_lips_alone() -> None:
    faces = live(chatter(250))
    assert not faces[:, co.JAW].any()
    assert not faces[:, [co.EXPRESSION_INDEX[name] for name in co.MOUTH_UNITS]].any()


@pytest.mark.parametrize(
    ("group", "columns"),
    [("head", co.ROTATION), ("gaze", co.EYES), ("lids", co.EYELIDS), ("brows", [co.EXPRESSION_INDEX["browInnerUp"]])],
)
def test_what_the_source_provides_is_left_to_it(group: str, columns: object) -> None:
    speech = chatter(500)
    provided = live(replace(speech, provides=frozenset({group})))  # type: ignore[arg-type]
    assert np.array_equal(provided[:, columns], speech.faces[:, columns])  # type: ignore[call-overload]
    assert not np.allclose(live(speech)[:, columns], speech.faces[:, columns])  # type: ignore[call-overload]


def test_blink_now_closes_the_lids_at_once() -> None:
    idle = IdleMotion()
    faces, _ = idle.step(silent(3), idle.init_state(0, 0), blink_now=True, blinks_per_minute=0)
    lids = faces[:, co.EYELIDS].min(-1)
    assert 0.2 < lids[0] < 0.6 and lids[2] > 0.9, "from the first frame on, as in any other blink"


@pytest.mark.parametrize("due_frame", [1, 2, 3, 4])
def test_one_that_is_due_within_a_blink_that_was_asked_for_is_that_blink(due_frame: int) -> None:
    idle = IdleMotion()
    due = Lids(until_blink=(due_frame - 0.5) * 15 / (60 * 25))
    state = replace(idle.init_state(0, 15), lids=due)
    faces, _ = idle.step(silent(10), state, blink_now=True, blinks_per_minute=15)
    alone, _ = idle.step(silent(10), idle.init_state(0, 0), blink_now=True, blinks_per_minute=0)
    assert np.array_equal(faces[:, co.EYELIDS], alone[:, co.EYELIDS])


def test_a_new_rate_acts_at_once() -> None:
    """Not only after the gap that the rate before had asked for."""
    idle = IdleMotion()
    state, lids = idle.init_state(3, 0.1), []
    for rate in (0.1, 30.0):
        for _ in range(60 * 25 // 2):
            faces, state = idle.step(silent(2), state, blinks_per_minute=rate)
            lids.append(faces)
    assert blinks(np.concatenate(lids[750:])) >= 20
