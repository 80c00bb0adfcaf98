"""flap-sd15 at a tenth of its width: conditions, the portrait, the cache of past frames, and what v means."""

import math

import pytest

torch = pytest.importorskip("torch")

from flap import scheduler  # noqa: E402
from flap.config import CONTEXT_FRAMES, TOGETHER_FRAMES  # noqa: E402
from flap.layers import attend  # noqa: E402
from flap.sd15.blocks import TemporalAttention  # noqa: E402
from flap.sd15.networks import DenoisingNet, ReferenceNet  # noqa: E402
from tests.sd15 import LATENT_SIZE, small_denoiser, small_reference  # noqa: E402


@pytest.fixture(scope="module")
def network() -> DenoisingNet:
    torch.manual_seed(0)
    return small_denoiser()


@pytest.fixture(scope="module")
def inputs(network: DenoisingNet) -> dict:
    torch.manual_seed(1)
    latent = torch.randn(1, 4, LATENT_SIZE, LATENT_SIZE)
    with torch.no_grad():
        reference = network.project_reference(small_reference()(latent))
    return {
        "noisy": torch.randn(TOGETHER_FRAMES, 4, LATENT_SIZE, LATENT_SIZE), "t": torch.full((TOGETHER_FRAMES,), 1.1),
        "coefficients": torch.rand(TOGETHER_FRAMES, 120), "reference": reference,
    }  # fmt: skip


@torch.no_grad()
def velocity(network, inputs, **changes):  # type: ignore[no-untyped-def]
    return network(**(inputs | changes))[0]


def changed(inputs: dict, number: int) -> dict:
    coefficients = inputs["coefficients"].clone()
    coefficients[:, number] += 0.5
    return {"coefficients": coefficients}


def test_the_full_widths_have_the_places_of_stable_diffusion_and_animatediff() -> None:
    """16 attentions, and 21 motion modules of AnimateDiff v2 or the 20 of v3."""
    with torch.device("meta"):
        network, third, reference = DenoisingNet(), DenoisingNet(motion_in_middle=False), ReferenceNet()
    assert (len(network.blocks), len(network.temporal), len(third.temporal), len(reference.blocks)) == (16, 21, 20, 16)
    widths = [block.proj_out.in_features for block in network.blocks]
    assert widths == [320] * 2 + [640] * 2 + [1280] * 6 + [640] * 3 + [320] * 3


def test_pose_expression_and_reference_each_change_the_picture(network: DenoisingNet, inputs: dict) -> None:
    base = velocity(network, inputs)
    other = [(key.flip(1) + 1, value + 1) for key, value in inputs["reference"]]
    for change in (changed(inputs, 1), changed(inputs, 38), {"reference": other}):
        assert (velocity(network, inputs, **change) - base).abs().max() > 1e-4


def test_a_bypassed_expression_layer_does_not_see_the_expression(network: DenoisingNet, inputs: dict) -> None:
    calm = velocity(network, inputs, use_expression=False)
    assert torch.equal(calm, velocity(network, inputs, **changed(inputs, 38), use_expression=False))
    assert not torch.equal(calm, velocity(network, inputs, **changed(inputs, 1), use_expression=False))


def test_every_hidden_state_of_the_portrait_depends_on_it() -> None:
    reference, latent = small_reference(), torch.randn(2, 4, LATENT_SIZE, LATENT_SIZE)
    with torch.no_grad():
        hidden = reference(latent)
    assert len(hidden) == 16
    assert all((state[0] - state[1]).abs().max() > 1e-3 for state in hidden)


def test_every_weight_of_the_reference_net_is_used() -> None:
    """What nothing reads has no gradient, and training on several GPUs stops at such a weight."""
    reference = small_reference()
    sum(state.square().sum() for state in reference(torch.randn(1, 4, LATENT_SIZE, LATENT_SIZE))).backward()
    assert not [name for name, parameter in reference.named_parameters() if parameter.grad is None]


def test_masked_slots_of_the_cache_do_not_count(network: DenoisingNet, inputs: dict) -> None:
    garbage = [(torch.randn_like(k) * 9, torch.randn_like(v) * 9) for k, v in network.empty_cache(1)]
    mask = torch.zeros(1, CONTEXT_FRAMES)
    empty = velocity(network, inputs, cache=network.empty_cache(1), cache_mask=mask)
    assert torch.allclose(empty, velocity(network, inputs, cache=garbage, cache_mask=mask), atol=1e-4)
    assert not torch.allclose(empty, velocity(network, inputs, cache=garbage, cache_mask=mask + 1), atol=1e-2)


def test_a_chunk_leaves_two_caches_for_each_motion_module(network: DenoisingNet, inputs: dict) -> None:
    cache = network.empty_cache(1)
    with torch.no_grad():
        _, new = network(**inputs, cache=cache, cache_mask=torch.zeros(1, CONTEXT_FRAMES))
    assert len(new) == len(cache) == 2 * 21
    for (key, value), (old, _) in zip(new, cache, strict=True):
        assert key.shape == value.shape == (1, TOGETHER_FRAMES, *old.shape[2:])


def test_positions_added_to_the_cache_are_those_that_animatediff_adds_before_it_projects() -> None:
    """Frames 2 and 3 with 0 and 1 in the cache: the same as attention over four frames that carry their position."""
    torch.manual_seed(2)
    layer = TemporalAttention(16, context_frames=2, chunk_frames=2, heads=4)
    torch.nn.init.normal_(layer.to_out.weight)
    x = torch.randn(4, 3, 16)  # frames, pixels, channels
    with torch.no_grad():
        nothing = torch.zeros(1, 2, 3, 16)
        _, cache = layer(x[:2], (nothing, nothing), torch.zeros(1, 2))
        streamed, _ = layer(x[2:], cache, torch.ones(1, 2))
        placed = (layer.norm(x) + layer.position[:, None]).transpose(0, 1)  # [pixels, frames, channels]
        whole = attend(layer.to_query(placed[:, 2:]), layer.to_key(placed), layer.to_value(placed), 4)
        whole = x[2:] + layer.to_out(whole).transpose(0, 1)
    assert torch.allclose(streamed, whole, atol=1e-5)


@pytest.mark.parametrize("prediction", ["velocity", "epsilon"])
def test_a_noise_level_is_stable_diffusions_timestep(prediction: str) -> None:
    network = small_denoiser(prediction=prediction)
    levels = scheduler.stable_diffusion_levels(prediction == "velocity")
    steps = network.steps(torch.tensor([levels[0], levels[500], levels[998], network.last_level]))
    assert torch.allclose(steps, torch.tensor([0.0, 500.0, 998.0, 999.0]), atol=0.05)


def test_predicted_noise_comes_out_as_velocity(inputs: dict) -> None:
    """The same layers, read as noise: x0 = (x - sin(t) noise) / cos(t) is what the sampler gets."""
    noise_network, network = small_denoiser(prediction="epsilon"), small_denoiser(prediction="velocity")
    network.load_state_dict(noise_network.state_dict())
    network.levels = noise_network.levels
    t = 1.1
    noise, v = velocity(network, inputs), velocity(noise_network, inputs)
    clean = (inputs["noisy"] - math.sin(t) * noise) / math.cos(t)
    assert torch.allclose(scheduler.clean_from_velocity(inputs["noisy"], v, t), clean, atol=1e-4)


def test_an_unknown_prediction_is_refused() -> None:
    with pytest.raises(ValueError, match="velocity, epsilon"):
        small_denoiser(prediction="flow")


def test_gradient_checkpointing_changes_no_gradient(inputs: dict) -> None:
    network, gradients = small_denoiser(), []
    for checkpointing in (False, True):
        if checkpointing:
            network.enable_gradient_checkpointing()
        network.zero_grad()
        v, _ = network(**inputs, cache=network.empty_cache(1), cache_mask=torch.zeros(1, CONTEXT_FRAMES))
        v.square().mean().backward()
        gradients.append([parameter.grad.clone() for parameter in network.parameters()])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*gradients, strict=True))


def test_a_saved_network_is_the_same_when_read(network: DenoisingNet, inputs: dict, tmp_path) -> None:  # type: ignore[no-untyped-def]
    network.save_pretrained(tmp_path)
    assert torch.equal(velocity(DenoisingNet.from_pretrained(tmp_path), inputs), velocity(network, inputs))


def test_attention_that_never_holds_its_scores_is_the_same_attention() -> None:
    torch.manual_seed(0)
    query, key, value = torch.randn(1, 1100, 8), torch.randn(1, 1000, 8), torch.randn(1, 1000, 8)
    assert 1100 * 1000 > 1 << 20 > 500 * 1000
    written_out = torch.cat([attend(part, key, value, 2) for part in query.split(500, 1)], 1)
    assert torch.allclose(attend(query, key, value, 2), written_out, atol=1e-5)
