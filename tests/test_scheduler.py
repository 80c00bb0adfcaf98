"""The noise schedule keeps its promises for numpy and torch alike."""

import math

import numpy as np
import pytest

from flap import scheduler


def test_the_true_velocity_gives_back_the_clean_latent_at_every_noise_level() -> None:
    rng = np.random.default_rng(0)
    clean, noise = rng.standard_normal((2, 4, 8, 8))
    for t in np.linspace(0, math.pi / 2, 7):
        noisy = scheduler.add_noise(clean, noise, t)
        v = scheduler.velocity(clean, noise, t)
        assert np.allclose(scheduler.clean_from_velocity(noisy, v, t), clean, atol=1e-9)


def test_noise_prediction_error_is_the_velocity_error_times_the_cosine() -> None:
    """Equation 4 of the paper is the v objective under another weight."""
    rng = np.random.default_rng(1)
    clean, noise, v_error = rng.standard_normal((3, 100))
    t = 0.7
    noisy, v = scheduler.add_noise(clean, noise, t), scheduler.velocity(clean, noise, t) + v_error
    predicted_noise = math.sin(t) * noisy + math.cos(t) * v
    assert np.allclose(predicted_noise - noise, math.cos(t) * v_error)


def test_a_perfect_network_is_sampled_exactly_in_any_number_of_steps() -> None:
    rng = np.random.default_rng(2)
    clean, noise = rng.standard_normal((2, 3, 3))

    def perfect(noisy: np.ndarray, t: float) -> np.ndarray:
        return (math.cos(t) * noisy - clean) / math.sin(t)

    for steps in (1, 2, 4, 10):
        assert np.allclose(scheduler.sample(perfect, noise, steps), clean)


def test_steps_start_at_pure_noise_and_fall() -> None:
    for steps in (1, 2, 4, 7):
        times = scheduler.timesteps(steps)
        assert len(times) == steps
        assert times[0] == scheduler.PURE_NOISE
        assert all(a > b for a, b in zip(times[:-1], times[1:], strict=True))
    with pytest.raises(ValueError, match="at least one"):
        scheduler.timesteps(0)
