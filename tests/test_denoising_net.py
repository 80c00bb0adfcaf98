"""The denoiser's four layers, its reference and its cache of past frames."""

import pytest

torch = pytest.importorskip("torch")

from flap.denoising_net import DenoisingNet, ReferenceNet  # noqa: E402
from flap.layers import FlapBlock, PastAttention, attend  # noqa: E402


def awake(network):  # type: ignore[no-untyped-def]
    """Layers start at zero so that they change nothing; give every weight a value so that each can be seen acting."""
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.1)
    return network.eval()


@pytest.fixture(scope="module")
def network() -> DenoisingNet:
    torch.manual_seed(0)
    return awake(DenoisingNet())


@pytest.fixture(scope="module")
def inputs(network: DenoisingNet) -> dict:
    torch.manual_seed(1)
    reference = awake(ReferenceNet())(torch.randn(1, 16, 32, 32))
    return {
        "noisy": torch.randn(2, 16, 32, 32), "t": torch.full((2,), 1.1), "coefficients": torch.rand(2, 120),
        "moved_latent": torch.randn(2, 16, 32, 32), "seen": torch.rand(2, 2, 32, 32),
        "reference": network.project_reference(reference),
    }  # fmt: skip


@torch.no_grad()
def velocity(network, inputs, **changes):  # type: ignore[no-untyped-def]
    return network(**(inputs | changes))[0]


def test_a_block_applies_its_layers_in_the_order_of_the_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    block, order = FlapBlock(16, 8, 2), []
    for name in ("head_motion", "spatial", "expression", "temporal"):
        getattr(block, name).register_forward_hook(lambda *_, name=name: order.append(name))
    keys = (torch.rand(1, 4, 16), torch.rand(1, 4, 16))
    cache = (torch.rand(1, 2, 4, 16), torch.rand(1, 2, 4, 16))
    block(torch.rand(2, 16, 2, 2), torch.rand(2, 4, 8), torch.rand(2, 8, 8), keys, cache, torch.ones(1, 2))
    assert order == ["head_motion", "spatial", "expression", "temporal"]


def test_pose_expression_and_reference_each_change_the_picture(network: DenoisingNet, inputs: dict) -> None:
    base = velocity(network, inputs)
    turned, smiling = inputs["coefficients"].clone(), inputs["coefficients"].clone()
    turned[:, 1] += 0.3
    smiling[:, 38] += 0.5
    other = [(key.flip(1) + 1, value + 1) for key, value in inputs["reference"]]
    for changed in ({"coefficients": turned}, {"coefficients": smiling}, {"reference": other}):
        assert (velocity(network, inputs, **changed) - base).abs().max() > 1e-4


def test_a_bypassed_expression_layer_does_not_see_the_expression(network: DenoisingNet, inputs: dict) -> None:
    smiling = inputs["coefficients"].clone()
    smiling[:, 38] += 0.5
    calm = velocity(network, inputs, use_expression=False)
    assert torch.equal(calm, velocity(network, inputs, coefficients=smiling, use_expression=False))


def test_masked_slots_of_the_cache_do_not_count(network: DenoisingNet, inputs: dict) -> None:
    garbage = [(torch.randn_like(k) * 9, torch.randn_like(v) * 9) for k, v in network.empty_cache(1)]
    mask = torch.zeros(1, 8)
    empty = velocity(network, inputs, cache=network.empty_cache(1), cache_mask=mask)
    assert torch.allclose(empty, velocity(network, inputs, cache=garbage, cache_mask=mask), atol=1e-5)
    assert not torch.allclose(empty, velocity(network, inputs, cache=garbage, cache_mask=mask + 1), atol=1e-3)


def test_the_frames_of_a_chunk_see_the_past_and_not_each_other(network: DenoisingNet, inputs: dict) -> None:
    torch.manual_seed(2)
    past = {
        "cache": [(torch.randn_like(k), torch.randn_like(v)) for k, v in network.empty_cache(1)],
        "cache_mask": torch.ones(1, 8),
    }
    framewise = ("noisy", "t", "coefficients", "moved_latent", "seen")
    with torch.no_grad():
        together, left = network(**inputs, **past)
        first, second = (
            network(**inputs | {name: inputs[name][i : i + 1] for name in framewise}, **past) for i in (0, 1)
        )
    assert torch.allclose(together, torch.cat([first[0], second[0]]), atol=1e-5)
    assert not torch.allclose(first[0], second[0], atol=1e-2)
    assert [tuple(key.shape) for key, _ in left] == [(1, 2, 64, 128)]
    for whole, *parts in zip(left, first[1], second[1], strict=True):  # nor does the next chunk see them mixed
        for made, *alone in zip(whole, *parts, strict=True):
            assert torch.allclose(made, torch.cat(alone, 1), atol=1e-5)


def test_every_pixel_attends_to_itself_and_to_what_the_cache_holds_of_it() -> None:
    """The same as attention over the past and present of each pixel, one pixel after another."""
    torch.manual_seed(3)
    layer = PastAttention(16, context_frames=4)
    torch.nn.init.normal_(layer.to_out.weight)
    x, mask = torch.randn(2, 3, 16), torch.tensor([[0.0, 1.0, 1.0, 1.0]])
    cache = (torch.randn(1, 4, 3, 16), torch.randn(1, 4, 3, 16))
    with torch.no_grad():
        made, (key, value) = layer(x, cache, mask)
        h, projected = layer.norm(x), layer.to_key(layer.position)
        for frame in range(2):
            keys = torch.cat([cache[0][0, 1:], key[0, frame : frame + 1]]) + projected[1:, None]
            values = torch.cat([cache[1][0, 1:], value[0, frame : frame + 1]])
            query = layer.to_query(h[frame] + layer.position[-1])[:, None]
            seen = attend(query, keys.transpose(0, 1), values.transpose(0, 1), layer.heads)
            assert torch.allclose(made[frame], x[frame] + layer.to_out(seen)[:, 0], atol=1e-5)
