"""The motions that the model learns: what moments of speech hold."""

import numpy as np
import pytest

pytest.importorskip("torch")

from flap import coefficients as co  # noqa: E402
from training.motions import random_face, speaking_face  # noqa: E402
from training.render_dataset import shard_faces  # noqa: E402
from training.visemes import SHAPES  # noqa: E402

MOMENTS = np.stack([speaking_face(np.random.default_rng(seed)) for seed in range(200)])


def test_a_moment_of_speech_opens_the_jaw_no_further_than_loud_sounds_do() -> None:
    anything = np.stack([random_face(np.random.default_rng(seed)) for seed in range(200)])
    widest = co.from_arkit(max(SHAPES.values(), key=lambda shapes: shapes.get("jawOpen", 0.0)))[co.JAW]
    opened = np.linalg.norm(MOMENTS[:, co.JAW], axis=1)
    assert 0 < opened.max() <= 1.2 * np.linalg.norm(widest) + 1e-6
    assert opened.max() < np.linalg.norm(anything[:, co.JAW], axis=1).max()


def test_speaking_mouths_have_the_shapes_of_sounds_and_no_others() -> None:
    spoken = {name for shapes in SHAPES.values() for name in shapes} - {"jawOpen"}
    mouths = {name: index for name, index in co.EXPRESSION_INDEX.items() if name.startswith("mouth")}
    for name, index in mouths.items():
        moved = MOMENTS[:, index].max() > 0
        assert moved == (name in spoken), name


def test_moments_of_speech_come_after_the_other_single_frames_of_a_shard() -> None:
    plain, clip_of = shard_faces(7, 3, singles=2, clips=0)
    faces, with_speech = shard_faces(7, 3, singles=2, clips=1, speaking=4)
    assert np.array_equal(faces[: len(plain)], plain) and len(plain) == len(clip_of) == 3
    assert with_speech.tolist() == [-1] * 7 + [0] * 10
