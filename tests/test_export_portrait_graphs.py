"""The four portrait graphs, with weights that act, give in ONNX Runtime what they give in torch."""

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from engines.onnx import OnnxEngine  # noqa: E402
from export.bundle import export_graph, is_of_the_same_weights, parity_error  # noqa: E402
from export.decoder_graph import quarters, whole  # noqa: E402
from export.portrait_graphs import GraphSpec, portrait_graphs, to_bytes  # noqa: E402
from flap.autoencoder import Autoencoder  # noqa: E402
from flap.denoising_net import DenoisingNet, ReferenceNet  # noqa: E402
from flap.motion_field import MotionField  # noqa: E402

GRAPHS = ("portrait_encoder", "motion_field", "denoiser_step", "decoder")


@pytest.fixture(scope="module")
def networks() -> tuple[Autoencoder, MotionField, ReferenceNet, DenoisingNet]:
    torch.manual_seed(0)
    made = Autoencoder(), MotionField(), ReferenceNet(), DenoisingNet()
    with torch.no_grad():
        for network in made:
            for parameter in network.parameters():
                if not parameter.any():  # layers that start at zero would hide a wrong export
                    parameter.normal_(std=0.05)
    return made


@pytest.fixture(scope="module")
def graphs(networks: tuple) -> dict[str, GraphSpec]:
    return {spec.name: spec for spec in portrait_graphs(*networks)}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_computes_what_torch_does(name: str, graphs: dict[str, GraphSpec], tmp_path: Path) -> None:
    path = export_graph(graphs[name], tmp_path)
    parity_error(graphs[name], path)  # raises when any output differs
    engine = OnnxEngine(path, threads=1)
    assert list(engine.inputs) == list(graphs[name].inputs) and list(engine.outputs) == list(graphs[name].outputs)


def test_a_graph_of_older_code_is_of_the_same_weights(
    graphs: dict[str, GraphSpec], networks: tuple, tmp_path: Path
) -> None:
    """As decoders were exported before pictures went through them in quarters."""

    class Plainly(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.autoencoder = networks[0]

        def forward(self, latent, features, pixels, seen):  # type: ignore[no-untyped-def]
            return to_bytes(
                self.autoencoder.decode(latent, features.permute(0, 3, 1, 2), pixels.permute(0, 3, 1, 2), seen)
            )

    new = graphs["decoder"]
    assert is_of_the_same_weights(new, export_graph(replace(new, module=Plainly()), tmp_path))


def test_quarter_pictures_are_put_together_again_and_are_those_of_a_pixel_shuffle() -> None:
    picture = torch.randn(2, 8, 8, 3)
    apart = quarters(picture)
    assert torch.equal(whole(apart.reshape(2, 4, 3, 4, 4)), picture)
    shuffled = torch.nn.functional.pixel_unshuffle(picture.permute(0, 3, 1, 2), 2)
    assert torch.equal(apart, shuffled.reshape(2, 3, 4, 4, 4).transpose(1, 2).reshape(2, 12, 4, 4))


def test_the_exported_decoder_draws_what_the_autoencoder_does() -> None:
    """But for bytes that rounding takes over a border."""
    torch.manual_seed(1)
    autoencoder = Autoencoder().eval()
    autoencoder.latent_mean.fill_(0.2)
    with torch.no_grad():
        autoencoder.decoder.out.weight.mul_(3)
    spec = next(
        s for s in portrait_graphs(autoencoder, MotionField(), ReferenceNet(), DenoisingNet()) if s.name == "decoder"
    )
    latent, features, pixels, seen = spec.inputs.values()
    with torch.no_grad():
        wanted = to_bytes(
            autoencoder.decode(latent, features.permute(0, 3, 1, 2), pixels.permute(0, 3, 1, 2), seen)
        ).int()
        difference = (spec.module(*spec.inputs.values()).int() - wanted).abs()
    assert difference.max() <= 1 and difference.float().mean() < 1e-3 and wanted.float().std() > 20


def test_the_exported_step_predicts_what_the_denoiser_does(graphs: dict[str, GraphSpec], networks: tuple) -> None:
    """The velocity, and the keys and values that the frame leaves behind."""
    spec, denoiser = graphs["denoiser_step"], networks[3]
    noisy, t, coefficients, moved_latent, seen, mask, *keys = spec.inputs.values()
    pairs = list(zip(keys[0::2], keys[1::2], strict=True))
    blocks = len(denoiser.blocks)
    reference, cache = pairs[:blocks], [tuple(z.flatten(3) for z in pair) for pair in pairs[blocks:]]
    with torch.no_grad():
        wanted, new = denoiser(
            noisy, t, coefficients, moved_latent.permute(0, 3, 1, 2), torch.nn.functional.avg_pool2d(seen, 2),
            reference, cache, mask,
        )  # fmt: skip
        made, *kept = spec.module(*spec.inputs.values())
    assert torch.allclose(made, wanted, atol=1e-4) and wanted.std() > 0.1
    for ours, theirs in zip(kept, [z for pair in new for z in pair], strict=True):
        assert torch.allclose(ours.flatten(3), theirs, atol=1e-4)


def test_state_that_goes_out_fits_what_comes_in(graphs: dict[str, GraphSpec]) -> None:
    """Every cache input of the denoiser has an output that extends it, and every reference input comes from the encoder."""
    step, encoder = graphs["denoiser_step"], graphs["portrait_encoder"]
    caches = {name.removeprefix("cache_") for name in step.inputs if name.startswith(("cache_key", "cache_value"))}
    assert caches == {name.removeprefix("new_") for name in step.outputs if name.startswith("new_")}
    assert {name for name in step.inputs if name.startswith("reference_")} == {
        name for name in encoder.outputs if name.startswith("reference_")
    }
