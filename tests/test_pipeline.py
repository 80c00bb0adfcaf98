"""The chain of stages: what belongs to which frame, and that sessions and chunks are values."""

import numpy as np

from flap import coefficients as co
from flap.config import CHUNK_FRAMES, MEDIA_CHUNK_SAMPLES
from realtime.control.commands import Command
from realtime.protocol import messages as m
from tests.fakes import fake_pipeline

LOUD = (np.sin(np.arange(MEDIA_CHUNK_SAMPLES) / 20) * 12_000).astype(np.int16)
QUIET = np.zeros(MEDIA_CHUNK_SAMPLES, np.int16)


def test_a_face_belongs_to_the_sound_of_its_frame() -> None:
    pipeline = fake_pipeline()
    state, jaws = pipeline.init_state("ada"), {}
    for chunk in range(6):
        step, state = pipeline.step(LOUD if chunk == 3 else QUIET, [], state)
        assert step.frames is not None
        assert step.frames.shape == (CHUNK_FRAMES, 256, 256, 3)
        jaws |= {step.first_frame + i: face[co.JAW.start] for i, face in enumerate(step.faces)}
    assert min(jaws) == -pipeline.lookahead_frames
    assert [frame for frame, jaw in jaws.items() if jaw > 0.1] == [3]


def test_commands_act_from_the_first_frame_of_the_chunk() -> None:
    pipeline = fake_pipeline()
    _, state = pipeline.step(QUIET, [], pipeline.init_state("ada"))
    commands = [Command(m.PoseSet("a", yaw_deg=4, ease_ms=0)), Command(m.BlinkNow("b"))]
    step, state = pipeline.step(QUIET, commands, state)
    assert [(event.id, event.frame) for event in step.events] == [("a", step.first_frame), ("b", step.first_frame)]
    assert step.first_frame == CHUNK_FRAMES - pipeline.lookahead_frames
    assert np.allclose(np.rad2deg(step.faces[:, co.YAW]), 4, atol=1e-4)
    assert step.faces[0, co.EYELIDS].min() == 1


def test_without_drawing_everything_else_goes_on() -> None:
    pipeline = fake_pipeline()
    state = pipeline.init_state("ada")
    step, after = pipeline.step(QUIET, [], state, steps=0)
    drawn, drawn_after = pipeline.step(QUIET, [], state)
    assert step.frames is None
    assert np.array_equal(step.faces, drawn.faces)
    assert after.chunk == drawn_after.chunk == 1
    assert set(drawn.stage_ms) == {"voice", "audio_to_flame", "merge"}


def test_the_same_state_gives_the_same_step_again() -> None:
    pipeline = fake_pipeline()
    state = pipeline.init_state("bob")
    for _ in range(3):
        _, state = pipeline.step(LOUD, [], state)
    once, _ = pipeline.step(LOUD, [], state)
    twice, _ = pipeline.step(LOUD, [], state)
    assert np.array_equal(once.frames, twice.frames)
