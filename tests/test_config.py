"""Sizes and rates fit each other."""

import pytest

from flap import config


def test_division_without_remainder_is_exact_and_any_other_is_refused() -> None:
    assert config.exact_div(48_000, 25) == 1920
    with pytest.raises(ValueError, match="48000 is not a multiple of 29"):
        config.exact_div(48_000, 29)


def test_a_frame_lasts_as_long_at_both_rates() -> None:
    assert config.FRAME_SAMPLES * config.MEDIA_RATE_HZ == config.MEDIA_FRAME_SAMPLES * config.SAMPLE_RATE_HZ
    assert config.CHUNK_SAMPLES == config.CHUNK_FRAMES * config.FRAME_SAMPLES == 640
    assert config.MEDIA_CHUNK_SAMPLES == config.CHUNK_FRAMES * config.MEDIA_FRAME_SAMPLES == 1920
    assert config.CHUNK_MS == 1000 * config.CHUNK_S == 40


def test_whole_chunks_fill_the_context() -> None:
    for frames in (config.CHUNK_FRAMES, config.TOGETHER_FRAMES):
        assert config.exact_div(config.CONTEXT_FRAMES, frames) >= 4
    assert config.exact_div(config.IMAGE_SIZE, config.LATENT_SIZE) == 8
