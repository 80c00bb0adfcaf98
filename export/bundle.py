"""Writes bundles: graphs to ONNX, checked, with a manifest that the server verifies."""

import json
import shutil
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
import torch

from engines.bundle import FORMAT_VERSION, MANIFEST, read_manifest, sha256_of
from engines.engine import Array, TensorSpec
from engines.onnx import OnnxEngine
from export.fidelity import FLOORS, signal_to_difference_db
from export.large_graphs import attach_weights
from export.portrait_graphs import GraphSpec
from flap.config import FINE_SIZE, IMAGE_SIZE

OPSET = 20
MAX_BUNDLE_BYTES = 60_000_000
PARITY_TOLERANCE = 1e-3  # of the largest value of an output, or of 1 when that is smaller; bytes may be off by one


class ExportError(Exception):
    """A graph failed its checks."""


def export_graph(spec: GraphSpec, folder: Path, weights_apart: bool = False) -> Path:
    """One graph to `folder`, checked by ONNX's checker with full shape inference.

    With `weights_apart` its weights lie in a file beside it, as they must from 2 GB on.
    """
    path = folder / f"{spec.name}.onnx"
    torch.onnx.export(
        spec.module, tuple(spec.inputs.values()), str(path), input_names=list(spec.inputs), output_names=list(spec.outputs),
        opset_version=OPSET, dynamo=False, export_params=not weights_apart, do_constant_folding=not weights_apart,
    )  # fmt: skip
    if weights_apart:
        attach_weights(path, weights_of(path), spec.module)
    onnx.checker.check_model(str(path), full_check=True)
    return path


def weights_of(path: Path) -> Path:
    """Where the weights of a graph lie that has them apart."""
    return path.with_suffix(".weights")


def parity_error(spec: GraphSpec, path: Path) -> float:
    """Largest absolute difference between torch and ONNX Runtime on the example inputs, any output.

    Raises ExportError for an output that differs by more than PARITY_TOLERANCE.
    """
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    made = session.run(None, {name: tensor.numpy() for name, tensor in spec.inputs.items()})
    return largest_difference(spec.name, dict(zip(spec.outputs, made, strict=True)), _torch_outputs(spec))


def is_of_the_same_weights(spec: GraphSpec, path: Path) -> bool:
    """Whether a graph that was exported earlier computes what `spec` does, as near as weights kept in half precision do.

    Raises EngineError when it cannot be opened.
    """
    # Not by PARITY_TOLERANCE: of the bundles so far, graphs are up to 5 times as far from their own weights kept in half
    # precision, which is 53 dB or more. Those of other trainings, and of trainings that went on, are below 28 dB.
    engine = OnnxEngine(path, threads=1)
    given, wanted = {name: tensor.numpy() for name, tensor in spec.inputs.items()}, _torch_outputs(spec)
    if dict(engine.inputs) != _specs_of(given) or dict(engine.outputs) != _specs_of(wanted):
        return False
    return signal_to_difference_db([engine.run(given)], [wanted]) >= FLOORS["fp16"].graph


def _torch_outputs(spec: GraphSpec) -> dict[str, Array]:
    """What torch gives on the example inputs, by name."""
    with torch.no_grad():
        result = spec.module(*spec.inputs.values())
    tensors = (result,) if isinstance(result, torch.Tensor) else result
    return {name: tensor.numpy() for name, tensor in zip(spec.outputs, tensors, strict=True)}


def _specs_of(arrays: Mapping[str, Array]) -> dict[str, TensorSpec]:
    return {name: TensorSpec(array.shape, array.dtype.name) for name, array in arrays.items()}


def largest_difference(graph: str, made: Mapping[str, Array], wanted: Mapping[str, Array]) -> float:
    """Over all outputs; raises ExportError as `parity_error` does."""
    errors = []
    for name, theirs in wanted.items():
        error = float(np.abs(made[name].astype(np.float64) - theirs.astype(np.float64)).max())
        allowed = 1.0 if theirs.dtype == np.uint8 else PARITY_TOLERANCE * max(1.0, float(np.abs(theirs).max()))
        if not error <= allowed:
            raise ExportError(f"graph {graph}: {name} differs from torch by {error:.2e}, more than {allowed:.2e}")
        errors.append(error)
    return max(errors)


def graph_entry(path: Path) -> dict[str, Any]:
    """What the manifest says of one graph file."""
    engine = OnnxEngine(path)

    def plain(specs: Mapping[str, Any]) -> dict[str, Any]:
        return {name: {"shape": list(spec.shape), "dtype": spec.dtype} for name, spec in specs.items()}

    entry = {
        "file": path.name,
        "sha256": sha256_of(path),
        "inputs": plain(engine.inputs),
        "outputs": plain(engine.outputs),
    }
    weights = weights_of(path)
    return entry | ({"weights_file": weights.name, "weights_sha256": sha256_of(weights)} if weights.exists() else {})


def write_bundle(
    folder: Path,
    name: str,
    graphs: Iterable[GraphSpec],
    presenters: Path | None,
    config: Mapping[str, Any],
    metrics: Mapping[str, Any],
    large: bool = False,
) -> dict[str, float]:
    """A whole bundle in `folder`, replacing what is there only when every graph has passed.

    `presenters` holds presenters.json and a PNG for each; None is a bundle without any. A `large` one may have any size and
    has its graphs' weights in files of their own; `graphs` are taken one at a time. Returns each graph's largest difference
    to torch. Raises ExportError when a graph differs too much, the bundle would be too large, or `folder` holds something
    that is no bundle.
    """
    unfinished = _unfinished(folder)
    unfinished.mkdir(parents=True)
    entries, differences = {}, {}
    for spec in graphs:
        path = export_graph(spec, unfinished, weights_apart=large)
        differences[spec.name] = parity_error(spec, path)
        entries[spec.name] = graph_entry(path)
    people = _copy_presenters(presenters, unfinished) if presenters else []
    manifest = {
        "format_version": FORMAT_VERSION, "name": name, "config": dict(config), "opset": OPSET, "graphs": entries,
        "presenters": people, "metrics": dict(metrics),
    }  # fmt: skip
    _finish(unfinished, folder, manifest, large)
    return differences


def replace_graph(
    folder: Path,
    graph: GraphSpec,
    metrics: Mapping[str, Any],
    config: Mapping[str, Any] | None = None,
    trained_with: Iterable[GraphSpec] = (),
) -> float:
    """Puts one graph into a finished bundle and keeps the others, but no variants and no metrics of before.

    `config` is added to the bundle's. Graphs of the bundle that `trained_with` names are only kept if they compute what those
    do. Returns the graph's largest difference to torch. Raises BundleError when `folder` is no bundle, EngineError when a
    graph of it that is compared cannot be opened, and ExportError when the bundle has no such graph, one that is kept is of
    another training or the new one differs too much; the bundle is as it was then.
    """
    known = read_manifest(folder).graphs
    if graph.name not in known:
        raise ExportError(f"{folder} has no graph {graph.name}, only {', '.join(known)}")
    for spec in trained_with:
        if spec.name in known and not is_of_the_same_weights(spec, folder / known[spec.name].file):
            raise ExportError(f"{spec.name} in {folder} is not of this checkpoint: export the bundle whole")
    unfinished = _unfinished(folder)
    shutil.copytree(folder, unfinished)
    path = export_graph(graph, unfinished)
    difference = parity_error(graph, path)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["graphs"][graph.name] = graph_entry(path)
    manifest["config"] |= config or {}
    manifest["metrics"] = dict(metrics)  # their names do not say which of the networks they were measured with
    _drop_variants(unfinished, manifest, manifest.get("variants", {}))  # made from and measured against what is gone
    _finish(unfinished, folder, manifest)
    return difference


def replace_presenters(folder: Path, presenters: Path) -> None:
    """Puts other people into a finished bundle and keeps its graphs, but no variants.

    Raises BundleError when `folder` is no bundle, and ExportError for portraits that the server could not show.
    """
    read_manifest(folder)
    unfinished = _unfinished(folder)
    shutil.copytree(folder, unfinished)
    shutil.rmtree(unfinished / "presenters", ignore_errors=True)
    manifest = json.loads((folder / MANIFEST).read_text())
    _drop_variants(unfinished, manifest, manifest.get("variants", {}))  # calibrated on and measured with who is gone
    _finish(unfinished, folder, manifest | {"presenters": _copy_presenters(presenters, unfinished)})


def with_variants(
    folder: Path,
    out: Path,
    variants: Mapping[str, Mapping[str, onnx.ModelProto]],
    metrics: Mapping[str, Mapping[str, Any]],
    refused: Iterable[str] = (),
) -> None:
    """The bundle in `folder` with these variants, graphs and `metrics` of each by name, in `out`, which may be `folder`.

    A variant that it has already is replaced, and one that is now `refused` is taken out. Raises BundleError when `folder` is
    no bundle and ExportError when the result would be too large or `out` holds something that is no bundle; `out` is as it
    was then.
    """
    read_manifest(folder)
    manifest = json.loads((folder / MANIFEST).read_text())
    unfinished = _unfinished(out)
    shutil.copytree(folder, unfinished)
    _drop_variants(unfinished, manifest, [*variants, *refused])
    for name, models in variants.items():
        (unfinished / name).mkdir()
        entries = {}
        for graph, model in models.items():
            path = unfinished / name / f"{graph}.onnx"
            onnx.save(model, path)
            entries[graph] = graph_entry(path) | {"file": f"{name}/{path.name}"}
        manifest.setdefault("variants", {})[name] = {"graphs": entries, "metrics": dict(metrics[name])}
    _finish(unfinished, out, manifest)


def _drop_variants(unfinished: Path, manifest: dict[str, Any], names: Collection[str]) -> None:
    """Takes these variants out of a bundle that is being made, where it has them."""
    for name in names:
        shutil.rmtree(unfinished / name, ignore_errors=True)
    left = {name: variant for name, variant in manifest.pop("variants", {}).items() if name not in names}
    if left:
        manifest["variants"] = left


def _unfinished(folder: Path) -> Path:
    """Where a bundle is made before it takes the place of `folder`; raises ExportError for a folder of something else."""
    if folder.exists() and not folder.is_dir():
        raise ExportError(f"{folder} is a file: name a folder for the bundle")
    if Path.cwd().is_relative_to(folder.resolve()):
        raise ExportError(
            f"{folder} holds the folder that you are in, and is replaced as a whole: go to another one first"
        )
    if folder.exists() and any(folder.iterdir()) and not (folder / MANIFEST).exists():
        raise ExportError(f"{folder} is no bundle and not empty, and would be replaced: name another folder")
    return _emptied(folder.resolve(), "partial")


def _emptied(folder: Path, suffix: str) -> Path:
    """The name of a folder that does not exist, beside `folder`."""
    beside = folder.with_name(f"{folder.name}.{suffix}")
    shutil.rmtree(beside, ignore_errors=True)
    return beside


def _copy_presenters(source: Path, bundle: Path) -> list[dict[str, Any]]:
    """Portraits into a bundle; what its manifest says of them. Raises ExportError for what the server could not show."""
    (bundle / "presenters").mkdir()
    people = []
    try:
        for person in json.loads((source / "presenters.json").read_text()):
            file = f"presenters/{person['id']}.png"
            shutil.copy(source / f"{person['id']}.png", bundle / file)
            picture = cv2.imread(str(bundle / file))
            if picture is None or picture.shape not in [(size, size, 3) for size in (IMAGE_SIZE, FINE_SIZE)]:
                raise ExportError(
                    f"{source / Path(file).name} is no picture of {IMAGE_SIZE} or {FINE_SIZE} pixels a side"
                )
            people.append({**person, "file": file, "sha256": sha256_of(bundle / file)})
    except (ValueError, KeyError, TypeError) as error:
        note = source / "presenters.json"
        raise ExportError(f"{note} cannot be read ({error!r}): make it with training.presenters") from error
    return people


def _finish(unfinished: Path, folder: Path, manifest: Mapping[str, Any], large: bool = False) -> None:
    """Completes a bundle with its manifest and puts it in the place of the old one, where a link leads to."""
    folder = folder.resolve()
    (unfinished / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
    size = sum(path.stat().st_size for path in unfinished.rglob("*") if path.is_file())
    if not large and size > MAX_BUNDLE_BYTES:
        raise ExportError(f"the bundle has {size} bytes, more than {MAX_BUNDLE_BYTES}")
    before = _emptied(folder, "before")
    if folder.exists():
        folder.rename(before)
    try:
        unfinished.rename(folder)
    except OSError:
        if before.exists():
            before.rename(folder)
        raise
    shutil.rmtree(before, ignore_errors=True)
