"""Bundles are written whole or not at all, and what they hold computes what torch computed."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")

from engines.bundle import open_bundle, read_manifest  # noqa: E402
from engines.engine import EngineError  # noqa: E402
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


def add_variants(folder: Path, *names: str) -> None:
    """Variants of the graph `recurrent` that are the graph itself."""
    model = onnx.load(folder / "recurrent.onnx")
    variants = {name: {"recurrent": model} for name in names}
    exporting.with_variants(folder, folder, variants, {name: {"psnr_db": 50.0} for name in names})


def another(spec: GraphSpec) -> GraphSpec:
    """The same network of another training."""
    return replace(spec, module=Recurrent().eval())


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


def test_one_graph_is_replaced_and_the_rest_is_kept(tmp_path: Path, spec: GraphSpec, presenters: Path) -> None:
    folder = tmp_path / "toy"
    other = GraphSpec("other", torch.nn.Tanh(), {"number": torch.randn(1, 3)}, ("bent",))
    exporting.write_bundle(folder, "toy", [spec, other], presenters, {"frame_rate_hz": 25}, {"psnr_db": 34.0})
    before = read_manifest(folder)
    with torch.no_grad():
        spec.module.mix.bias += 0.5
    assert exporting.replace_graph(folder, spec, {"jaw": 0.9}) < 1e-6
    after = open_bundle(folder, threads=1).manifest
    assert after.graphs["recurrent"].sha256 != before.graphs["recurrent"].sha256
    assert after.graphs["other"] == before.graphs["other"] and after.presenters == before.presenters
    assert after.config == before.config


def test_numbers_that_were_measured_with_another_network_do_not_outlive_it(
    tmp_path: Path, spec: GraphSpec, presenters: Path
) -> None:
    folder = tmp_path / "toy"
    exporting.write_bundle(folder, "toy", [spec], presenters, {}, {"psnr_db": 34.0, "shut": 0.85})
    add_variants(folder, "fp16", "int8")
    exporting.replace_graph(folder, another(spec), {"jaw": 0.9})
    after = open_bundle(folder, threads=1).manifest
    assert after.metrics == {"jaw": 0.9} and not after.variants
    assert not (folder / "fp16").exists() and not (folder / "int8").exists()


def test_what_a_new_graph_changes_about_the_whole_bundle_is_told(
    tmp_path: Path, spec: GraphSpec, presenters: Path
) -> None:
    folder = tmp_path / "toy"
    exporting.write_bundle(folder, "toy", [spec], presenters, {"frame_rate_hz": 25, "lookahead_frames": 1}, {})
    exporting.replace_graph(folder, spec, {}, {"lookahead_frames": 2})
    assert read_manifest(folder).config == {"frame_rate_hz": 25, "lookahead_frames": 2}


def test_a_graph_of_another_training_is_not_kept_beside_a_new_one(
    tmp_path: Path, spec: GraphSpec, presenters: Path
) -> None:
    folder, kept = tmp_path / "toy", replace(spec, name="kept")
    exporting.write_bundle(folder, "toy", [spec, kept], presenters, {}, {})
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    sound, state = spec.inputs.values()
    for trained_with in (
        another(kept), replace(kept, inputs={"sound": sound, "past": state}), replace(kept, outputs=("loudness", "next")),
        replace(kept, inputs={"sound": sound.expand(2, 4), "state": state.expand(2, 4)}),
    ):  # fmt: skip
        with pytest.raises(exporting.ExportError, match="kept in .*toy is not of this checkpoint: export the bundle"):
            exporting.replace_graph(folder, another(spec), {}, trained_with=[trained_with])
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before
    exporting.replace_graph(folder, another(spec), {}, trained_with=[kept, replace(another(spec), name="absent")])
    (folder / "kept.onnx").write_bytes(b"damaged")
    with pytest.raises(EngineError, match="graph kept cannot be opened"):
        exporting.replace_graph(folder, another(spec), {}, trained_with=[kept])


def test_weights_in_half_precision_are_the_same_and_those_a_hundredth_away_are_not(
    tmp_path: Path, spec: GraphSpec
) -> None:
    path = exporting.export_graph(spec, tmp_path)
    weight = spec.module.mix.weight
    with torch.no_grad():
        weight.copy_(weight.half().float())
        assert exporting.is_of_the_same_weights(spec, path)
        weight += 0.01 * torch.randn_like(weight)
        assert not exporting.is_of_the_same_weights(spec, path)
        weight.fill_(float("nan"))
        assert not exporting.is_of_the_same_weights(spec, path)


def test_the_people_are_replaced_and_the_graphs_are_kept(tmp_path: Path, spec: GraphSpec, presenters: Path) -> None:
    folder = tmp_path / "toy"
    exporting.write_bundle(folder, "toy", [spec], presenters, {"frame_rate_hz": 25}, {"psnr_db": 34.0})
    add_variants(folder, "int8")
    before = read_manifest(folder)
    people = json.loads((presenters / "presenters.json").read_text())
    (presenters / "presenters.json").write_text(json.dumps([people[0] | {"id": "bob", "name": "Bob"}]))
    (presenters / "ada.png").rename(presenters / "bob.png")
    exporting.replace_presenters(folder, presenters)
    after = open_bundle(folder, threads=1)
    assert list(after.presenters) == ["bob"] and not (folder / "presenters" / "ada.png").exists()
    assert after.manifest.graphs == before.graphs and after.manifest.metrics == before.metrics
    assert not after.manifest.variants and not (folder / "int8").exists()  # it was calibrated on Ada


def test_a_variant_that_is_refused_now_is_no_longer_there(tmp_path: Path, spec: GraphSpec, presenters: Path) -> None:
    folder, out = tmp_path / "toy", tmp_path / "out"
    exporting.write_bundle(folder, "toy", [spec], presenters, {}, {})
    add_variants(folder, "fp16", "int8")
    exporting.with_variants(folder, out, {}, {}, refused=["fp16"])
    assert set(read_manifest(out).variants) == {"int8"} and not (out / "fp16").exists()
    open_bundle(out, threads=1, variant="int8")
    exporting.with_variants(folder, folder, {}, {}, refused=["fp16", "int8"])
    assert "variants" not in json.loads((folder / "manifest.json").read_text())


@pytest.mark.parametrize("write", ["first bundle", "bundle", "graph", "presenters", "variants"])
def test_what_is_written_to_a_link_lies_where_it_leads(
    tmp_path: Path, spec: GraphSpec, presenters: Path, write: str
) -> None:
    target, link = tmp_path / "releases" / "7", tmp_path / "bundles" / "current"
    link.parent.mkdir()
    link.symlink_to(Path("..") / "releases" / "7")
    if write != "first bundle":  # for that one the link leads nowhere yet
        exporting.write_bundle(target, "toy", [spec], presenters, {}, {})
    before = (target / "manifest.json").read_text() if target.exists() else ""
    (presenters / "presenters.json").write_text((presenters / "presenters.json").read_text().replace("Ada", "Bea"))
    match write:
        case "first bundle" | "bundle":
            exporting.write_bundle(link, "other", [spec], presenters, {}, {})
        case "graph":
            exporting.replace_graph(link, another(spec), {})
        case "presenters":
            exporting.replace_presenters(link, presenters)
        case "variants":
            add_variants(link, "fp16")
    assert link.readlink() == Path("..") / "releases" / "7" and (target / "manifest.json").read_text() != before
    open_bundle(link, threads=1)
    assert [path.name for folder in (link.parent, target.parent) for path in folder.iterdir()] == ["current", "7"]


@pytest.mark.parametrize("damage", ["size", "note"])
def test_people_that_the_server_could_not_show_are_not_put_into_a_bundle(
    tmp_path: Path, spec: GraphSpec, presenters: Path, damage: str
) -> None:
    exporting.write_bundle(tmp_path / "toy", "toy", [spec], presenters, {}, {})
    before = read_manifest(tmp_path / "toy")
    if damage == "size":
        cv2.imwrite(str(presenters / "ada.png"), np.zeros((300, 300, 3), np.uint8))
    else:
        (presenters / "presenters.json").write_text('[{"name": "Ada"}]')
    with pytest.raises(
        exporting.ExportError, match="no picture of 256 or 512" if damage == "size" else "cannot be read"
    ):
        exporting.replace_presenters(tmp_path / "toy", presenters)
    assert open_bundle(tmp_path / "toy", threads=1).manifest == before


def test_a_graph_that_the_bundle_does_not_have_is_refused(tmp_path: Path, spec: GraphSpec, presenters: Path) -> None:
    exporting.write_bundle(tmp_path / "toy", "toy", [spec], presenters, {}, {})
    with pytest.raises(exporting.ExportError, match="no graph other, only recurrent"):
        exporting.replace_graph(tmp_path / "toy", replace(spec, name="other"), {})


def test_a_graph_that_fails_its_check_leaves_the_bundle_alone(
    tmp_path: Path, spec: GraphSpec, presenters: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporting.write_bundle(tmp_path / "toy", "toy", [spec], presenters, {}, {})
    before = read_manifest(tmp_path / "toy")
    monkeypatch.setattr(exporting, "PARITY_TOLERANCE", -1.0)
    with pytest.raises(exporting.ExportError, match="differs from torch"):
        exporting.replace_graph(tmp_path / "toy", spec, {})
    assert open_bundle(tmp_path / "toy", threads=1).manifest == before


def test_a_folder_of_something_else_is_never_replaced(tmp_path: Path, spec: GraphSpec, presenters: Path) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / "weights.safetensors").write_text("trained for a night")
    with pytest.raises(exporting.ExportError, match="is no bundle and not empty, and would be replaced"):
        exporting.write_bundle(folder, "toy", [spec], presenters, {}, {})
    assert (folder / "weights.safetensors").exists() and not (tmp_path / "checkpoints.partial").exists()


@pytest.mark.parametrize("name", [".", ".."])
def test_the_folder_that_one_is_in_is_not_pulled_from_under_one(
    tmp_path: Path, spec: GraphSpec, presenters: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out" / "further").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "out" / ("further" if name == ".." else ""))
    with pytest.raises(exporting.ExportError, match="holds the folder that you are in"):
        exporting.write_bundle(Path(name), "toy", [spec], presenters, {}, {})
    assert (tmp_path / "out" / "further").exists()


@pytest.mark.parametrize("refused_name", ["toy", "toy.partial"])
def test_a_bundle_that_cannot_be_put_in_its_place_leaves_the_old_one(
    tmp_path: Path, spec: GraphSpec, presenters: Path, refused_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporting.write_bundle(tmp_path / "toy", "toy", [spec], presenters, {}, {})
    rename = Path.rename

    def refused(self: Path, target: Path) -> Path:
        if self.name == refused_name:
            raise OSError("not permitted")
        return rename(self, target)

    with monkeypatch.context() as patched, pytest.raises(OSError, match="not permitted"):
        patched.setattr(Path, "rename", refused)
        exporting.write_bundle(tmp_path / "toy", "other", [spec], presenters, {}, {})
    assert open_bundle(tmp_path / "toy", threads=1).manifest.name == "toy"
    exporting.write_bundle(tmp_path / "toy", "other", [spec], presenters, {}, {})
    assert open_bundle(tmp_path / "toy", threads=1).manifest.name == "other"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("toy")] == ["toy"]
