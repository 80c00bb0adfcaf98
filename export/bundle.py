"""Writes bundles: graphs to ONNX, checked, with a manifest that the server verifies."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from engines.bundle import FORMAT_VERSION, MANIFEST, sha256_of
from engines.onnx import OnnxEngine
from export.portrait_graphs import GraphSpec

OPSET = 20
MAX_BUNDLE_BYTES = 60_000_000


class ExportError(Exception):
    """A graph failed its checks."""


def export_graph(spec: GraphSpec, folder: Path) -> Path:
    """One graph to `folder`, checked by ONNX's checker with full shape inference."""
    path = folder / f"{spec.name}.onnx"
    torch.onnx.export(
        spec.module, tuple(spec.inputs.values()), str(path), input_names=list(spec.inputs), output_names=list(spec.outputs),
        opset_version=OPSET, dynamo=False,
    )  # fmt: skip
    onnx.checker.check_model(str(path), full_check=True)
    return path


def parity_error(spec: GraphSpec, path: Path) -> float:
    """Largest absolute difference between torch and ONNX Runtime on the example inputs, any output."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    made = session.run(None, {name: tensor.numpy() for name, tensor in spec.inputs.items()})
    with torch.no_grad():
        wanted = spec.module(*spec.inputs.values())
    wanted = [wanted] if isinstance(wanted, torch.Tensor) else wanted
    return max(
        float(np.abs(a.astype(np.float64) - b.numpy().astype(np.float64)).max()) for a, b in zip(made, wanted, strict=True)
    )


def graph_entry(path: Path) -> dict[str, Any]:
    """What the manifest says of one graph file."""
    engine = OnnxEngine(path)

    def plain(specs: Mapping[str, Any]) -> dict[str, Any]:
        return {name: {"shape": list(spec.shape), "dtype": spec.dtype} for name, spec in specs.items()}

    return {"file": path.name, "sha256": sha256_of(path), "inputs": plain(engine.inputs), "outputs": plain(engine.outputs)}


def write_bundle(
    folder: Path, name: str, graphs: list[GraphSpec], presenters: Path, config: Mapping[str, Any], metrics: Mapping[str, Any]
) -> None:
    """A whole bundle in `folder`, replacing what is there only when every graph has passed.

    `presenters` holds presenters.json and a PNG for each. Raises ExportError when the bundle would be too large.
    """
    unfinished = folder.with_name(folder.name + ".partial")
    shutil.rmtree(unfinished, ignore_errors=True)
    (unfinished / "presenters").mkdir(parents=True)
    entries = {spec.name: graph_entry(export_graph(spec, unfinished)) for spec in graphs}
    people = []
    for person in json.loads((presenters / "presenters.json").read_text()):
        file = f"presenters/{person['id']}.png"
        shutil.copy(presenters / f"{person['id']}.png", unfinished / file)
        people.append({**person, "file": file, "sha256": sha256_of(unfinished / file)})
    manifest = {
        "format_version": FORMAT_VERSION, "name": name, "config": dict(config), "opset": OPSET, "graphs": entries,
        "presenters": people, "metrics": dict(metrics),
    }  # fmt: skip
    (unfinished / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
    size = sum(path.stat().st_size for path in unfinished.rglob("*") if path.is_file())
    if size > MAX_BUNDLE_BYTES:
        raise ExportError(f"the bundle has {size} bytes, more than {MAX_BUNDLE_BYTES}")
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
