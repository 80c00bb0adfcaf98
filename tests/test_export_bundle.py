"""Bundles are written whole or not at all, and what they hold computes what torch computed."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engines.bundle import open_bundle  # noqa: E402
from export import bundle as exporting  # noqa: E402
from export.portrait_graphs import GraphSpec  # noqa: E402
from flap import coefficients  # noqa: E402


class Recurrent(torch.nn.Module):
    """One step of a network with a state, as every streaming graph here has."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = torch.nn.Linear(8, 4)

    def forward(self, sound, state):  # type: ignore[no-untyped-def]
        new = torch.tanh(self.mix(torch.cat([sound, state], -1)))
        return new.sum(-1, keepdim=True), new


@pytest.fixture
def spec() -> GraphSpec:
    torch.manual_seed(0)
    return GraphSpec(
        "recurrent",
        Recurrent().eval(),
        {"sound": torch.randn(1, 4), "state": torch.randn(1, 4)},
        ("loudness", "new_state"),
    )


@pytest.fixture
def presenters(tmp_path: Path) -> Path:
    folder = tmp_path / "presenters"
    folder.mkdir()
    people = [{"id": "ada", "name": "Ada", "coefficients": coefficients.neutral().tolist()}]
    (folder / "presenters.json").write_text(json.dumps(people))
    cv2.imwrite(str(folder / "ada.png"), np.full((256, 256, 3), 90, np.uint8))
    return folder


def test_a_written_bundle_opens_and_computes_what_torch_does(tmp_path: Path, spec: GraphSpec, presenters: Path) -> None:
    exporting.write_bundle(tmp_path / "toy", "toy", [spec], presenters, {"frame_rate_hz": 25}, {"psnr_db": 34.0})
    bundle = open_bundle(tmp_path / "toy", threads=1)
    assert bundle.manifest.config == {"frame_rate_hz": 25} and bundle.manifest.metrics == {"psnr_db": 34.0}
    assert list(bundle.presenters) == ["ada"]
    outputs = bundle.engines["recurrent"].run({name: tensor.numpy() for name, tensor in spec.inputs.items()})
    with torch.no_grad():
        wanted = spec.module(*spec.inputs.values())
    for name, tensor in zip(spec.outputs, wanted, strict=True):
        np.testing.assert_allclose(outputs[name], tensor.numpy(), atol=1e-6)


def test_a_bundle_that_is_too_large_leaves_the_old_one_alone(
    tmp_path: Path, spec: GraphSpec, presenters: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporting.write_bundle(tmp_path / "toy", "toy", [spec], presenters, {}, {})
    monkeypatch.setattr(exporting, "MAX_BUNDLE_BYTES", 100)
    with pytest.raises(exporting.ExportError, match="bytes, more than 100"):
        exporting.write_bundle(tmp_path / "toy", "other", [spec], presenters, {}, {})
    assert open_bundle(tmp_path / "toy", threads=1).manifest.name == "toy"


def test_an_exported_graph_is_as_good_as_the_module(tmp_path: Path, spec: GraphSpec) -> None:
    assert exporting.parity_error(spec, exporting.export_graph(spec, tmp_path)) < 1e-6


@pytest.mark.parametrize("wrong", [0.5, float("nan")])
def test_a_graph_that_computes_something_else_is_refused(tmp_path: Path, spec: GraphSpec, wrong: float) -> None:
    path = exporting.export_graph(spec, tmp_path)
    with torch.no_grad():
        spec.module.mix.bias += wrong
    with pytest.raises(exporting.ExportError, match="graph recurrent: loudness differs from torch"):
        exporting.parity_error(spec, path)
