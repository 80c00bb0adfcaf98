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


def test_the_epsilon_objective_weighs_by_the_squared_cosine_and_is_blind_to_pure_noise() -> None:
    assert scheduler.loss_weight(0.7, "velocity") == 1
    assert scheduler.loss_weight(0.7, "epsilon") == pytest.approx(math.cos(0.7) ** 2)
    assert scheduler.loss_weight(scheduler.PURE_NOISE, "epsilon") == pytest.approx(0, abs=1e-12)
    with pytest.raises(ValueError, match="velocity, epsilon"):
        scheduler.loss_weight(0.7, "flow")


def test_the_noise_is_found_again() -> None:
    rng = np.random.default_rng(3)
    clean, noise = rng.standard_normal((2, 50))
    noisy, v = scheduler.add_noise(clean, noise, 0.9), scheduler.velocity(clean, noise, 0.9)
    assert np.allclose(scheduler.noise_from_velocity(noisy, v, 0.9), noise)


def test_stable_diffusions_last_timestep_is_pure_noise_only_when_rescaled() -> None:
    published, rescaled = (scheduler.stable_diffusion_levels(zero) for zero in (False, True))
    assert math.cos(published[-1]) == pytest.approx(0.0683, abs=1e-4)
    assert rescaled[-1] == scheduler.PURE_NOISE and rescaled[0] == pytest.approx(published[0])
    assert len(published) == 1000 and list(published) == sorted(published)


def test_a_network_that_predicts_noise_is_sampled_exactly_from_the_last_level_it_knows() -> None:
    rng = np.random.default_rng(4)
    clean, noise = rng.standard_normal((2, 3, 3))
    last = scheduler.stable_diffusion_levels(False)[-1]
    asked = []

    def perfect(noisy: np.ndarray, t: float) -> np.ndarray:
        asked.append(t)
        true_noise = (noisy - math.cos(t) * clean) / math.sin(t)
        return scheduler.velocity_from_noise(noisy, true_noise, t)

    for steps in (1, 2, 4, 10):
        assert np.allclose(scheduler.sample(perfect, noise, steps, last), clean)
    assert max(asked) == last
    assert all(a > b for a, b in zip(asked[-10:-1], asked[-9:], strict=True))
