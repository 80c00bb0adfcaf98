"""Bundles: everything in them is verified before it is used."""

import json
from pathlib import Path

import numpy as np
import pytest

from engines.bundle import BundleError, GraphEntry, open_bundle, read_manifest
from engines.engine import EngineError, TensorSpec
from engines.onnx import OnnxEngine
from flap import coefficients
from tests.toy_bundle import write_bundle, write_doubler


def edit(folder: Path, change) -> None:  # type: ignore[no-untyped-def]
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def test_a_good_bundle_opens_with_its_graphs_and_presenters(tmp_path: Path) -> None:
    bundle = open_bundle(write_bundle(tmp_path / "toy"), threads=1)
    assert bundle.manifest.name == "toy" and bundle.manifest.config["frame_rate_hz"] == 25
    assert bundle.engines["doubler"].run({"number": np.ones((1, 3), np.float32)})["doubled"].sum() == 6
    ada = bundle.presenters["ada"]
    assert ada.name == "Ada" and ada.portrait_path.is_file()
    np.testing.assert_array_equal(ada.coefficients, coefficients.neutral())


def test_graphs_that_draw_share_the_threads_and_small_ones_have_one() -> None:
    graph = GraphEntry("a.onnx", "", {}, {"out": TensorSpec((1, 3), "float32")})
    assert [graph.threads("decoder", most) for most in (1, 2, 4, 5)] == [1, 1, 2, 2]
    assert [graph.beside("decoder", most) for most in (1, 2, 4)] == [1, 2, 2]
    assert graph.threads("portrait_encoder", 4) == 4 and graph.beside("portrait_encoder", 4) == 1
    assert graph.threads("audio_to_flame", 4) == 1


def test_a_bundle_is_opened_with_the_threads_that_each_graph_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []

    def open_graph(path: Path, provider: str, threads: int) -> OnnxEngine:
        opened.append(threads)
        return OnnxEngine(path, provider, threads)

    monkeypatch.setattr("engines.bundle.OnnxEngine", open_graph)
    folder = write_bundle(tmp_path / "toy")
    assert open_bundle(folder, threads=4).threads == 4
    edit(folder, lambda manifest: manifest["graphs"].update(decoder=manifest["graphs"].pop("doubler")))
    open_bundle(folder, threads=4)
    assert opened == [4, 2]


def test_a_folder_without_a_manifest_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no bundle in .* give --bundle a folder made by"):
        open_bundle(tmp_path)


@pytest.mark.parametrize("file", ["doubler.onnx", "ada.png"])
def test_a_changed_file_is_refused(tmp_path: Path, file: str) -> None:
    folder = write_bundle(tmp_path / "toy")
    with (folder / file).open("ab") as stream:
        stream.write(b"\0")
    with pytest.raises(BundleError, match=f"{file} has a wrong checksum: .* restore it or export"):
        open_bundle(folder)


@pytest.mark.parametrize("file", ["doubler.onnx", "ada.png"])
def test_a_missing_file_is_refused(tmp_path: Path, file: str) -> None:
    folder = write_bundle(tmp_path / "toy")
    (folder / file).unlink()
    with pytest.raises(BundleError, match=f"{file} is missing: restore"):
        open_bundle(folder)


@pytest.mark.parametrize(("how", "file"), [("read_text", "manifest.json"), ("open", "ada.png"), ("is_file", "ada.png")])
def test_a_file_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, file: str
) -> None:
    folder = write_bundle(tmp_path / "toy")
    allowed = getattr(Path, how)

    def refuse(path: Path, *arguments: object, **named: object) -> object:
        if path.name == file:
            raise PermissionError(13, "Permission denied")
        return allowed(path, *arguments, **named)

    monkeypatch.setattr(Path, how, refuse)
    with pytest.raises(BundleError, match=rf"{file} cannot be read \(Permission denied\): let the user"):
        open_bundle(folder)


def test_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="bundle format 99, this server reads 1: export it again"):
        open_bundle(write_bundle(tmp_path / "toy", format_version=99))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format_version": 1}', "\xff"])
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text, encoding="latin-1")
    with pytest.raises(BundleError, match="manifest.json cannot be read"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("missing", ["id", "name", "file", "sha256", "coefficients"])
def test_a_presenter_without_a_field_is_refused(tmp_path: Path, missing: str) -> None:
    folder = write_bundle(tmp_path / "toy")
    edit(folder, lambda manifest: manifest["presenters"][0].pop(missing))
    with pytest.raises(BundleError, match=f"cannot be read.*{missing}"):
        open_bundle(folder)


@pytest.mark.parametrize("coefficients", [[0.0] * 119, [float("nan")] * 120, ["wide"] * 120])
def test_a_presenter_with_impossible_coefficients_is_refused(tmp_path: Path, coefficients: list) -> None:
    folder = write_bundle(tmp_path / "toy")
    edit(folder, lambda manifest: manifest["presenters"][0].update(coefficients=coefficients))
    with pytest.raises(BundleError, match="presenter ada: "):
        open_bundle(folder)


def test_a_graph_that_differs_from_its_manifest_is_refused(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "toy")
    edit(folder, lambda manifest: manifest["graphs"]["doubler"]["inputs"]["number"].update(shape=[1, 4]))
    with pytest.raises(EngineError, match="graph doubler does not have the inputs and outputs that"):
        open_bundle(folder)


def test_a_swapped_graph_is_refused_even_if_it_would_run(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "toy")
    write_doubler(folder / "doubler.onnx", (1, 4))
    with pytest.raises(BundleError, match="wrong checksum"):
        open_bundle(folder)
