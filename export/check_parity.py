"""Compares every form of a bundle with its fp32 graphs: python -m export.check_parity bundles/flap-small

A line for each graph, fed with what streams really feed it (signal over difference in dB, its worst output), and two for
whole streams over one and two steps (PSNR of frames and of mouth crops in dB). Columns are the bundle's variants, with
`--checkpoint` also the networks in PyTorch, and TensorRT where its engines have been built. A number below its floor is
marked, and the command fails, as it does when TensorRT is there but does not take its engines.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from engines.bundle import NATIVE, Bundle, BundleError, open_bundle
from engines.engine import Array, Engine, EngineError, TensorSpec, check_inputs, outputs_for
from engines.tensorrt import PRECISIONS, library
from engines.tensorrt_store import EngineStore
from export.bundle import ExportError
from export.fidelity import FLOORS, Floor, SquaredError, signal_to_difference_db
from export.portrait_graphs import GraphSpec
from export.rollouts import record, record_noise, side_by_side
from export.to_onnx import load_graphs

SEEDS, CHUNKS = range(2), 8
FRAMES, MOUTH = "frames of a stream", "mouth crops of a stream"
Column = dict[str, float]


class TorchEngine:
    """A network in PyTorch behind the seam of the engines, with the inputs and outputs of its exported graph."""

    provider = "torch"

    def __init__(self, spec: GraphSpec, like: Engine):
        self._spec = spec
        self.inputs: Mapping[str, TensorSpec] = like.inputs
        self.outputs: Mapping[str, TensorSpec] = like.outputs

    def run(self, inputs: Mapping[str, Array], into: Mapping[str, Array] | None = None) -> dict[str, Array]:
        check_inputs(self._spec.name, self.inputs, inputs)
        outputs = outputs_for(self._spec.name, self.outputs, into)
        with torch.no_grad():
            made = self._spec.module(*(torch.from_numpy(inputs[name].copy()) for name in self._spec.inputs))
        tensors = (made,) if isinstance(made, torch.Tensor) else made
        for name, tensor in zip(self._spec.outputs, tensors, strict=True):
            outputs[name][:] = tensor.numpy()
        return outputs

    def empty(self, shape: tuple[int, ...], dtype: str) -> Array:
        return np.empty(shape, dtype)


def other_forms(
    folder: Path, bundle: Bundle, checkpoint: Path | None, threads: int, precision: str | None = None
) -> Iterator[tuple[str, Bundle]]:
    """Name and graphs of everything to compare with `bundle`."""
    if checkpoint is not None:
        graphs = {graph.name: graph for graph in load_graphs(checkpoint)}
        if graphs.keys() != bundle.engines.keys():
            raise ExportError(
                f"{checkpoint} has the graphs {', '.join(graphs)}, the bundle {', '.join(bundle.engines)}"
            )
        engines = {name: TorchEngine(graph, bundle.engines[name]) for name, graph in graphs.items()}
        yield "torch", replace(bundle, engines=engines)
    for name in bundle.manifest.variants:
        yield name, open_bundle(folder, threads=threads, variant=name)
    if precision is not None or EngineStore.beside(folder).folder.exists():
        try:
            library()
        except EngineError as error:
            if precision is not None:  # asked for by name
                raise
            print(f"TensorRT is left out: {error}")
            return
        yield "tensorrt", open_bundle(folder, provider=NATIVE, variant=precision)


def compare(
    bundle: Bundle, others: Mapping[str, Bundle], seeds: range = SEEDS, chunks: int = CHUNKS
) -> dict[str, Column]:
    """For each form its dB by graph and over whole streams; of a bundle without presenters by graph alone, on noise."""
    columns: dict[str, Column] = {name: {} for name in others}
    recorders = record(bundle, seeds, chunks, every=3) if bundle.presenters else record_noise(bundle)
    for graph, recorder in recorders.items():
        for name, other in others.items():
            made = [other.engines[graph].run(inputs) for inputs in recorder.fed]
            columns[name][graph] = signal_to_difference_db(made, recorder.made)
    if not bundle.presenters:
        return columns
    errors = {name: SquaredError() for name in others}
    for steps, rollouts in side_by_side({"": bundle, **others}, seeds, chunks):
        for name, error in errors.items():
            error.add(steps, rollouts[name].frames, rollouts[""].frames, rollouts[""].mouth)
    for name, error in errors.items():
        likeness = error.likeness()
        columns[name] |= {FRAMES: likeness.frames_db, MOUTH: likeness.mouth_db}
    return columns


def floor_of(row: str, floor: Floor) -> float:
    return {FRAMES: floor.frames, MOUTH: floor.mouth}.get(row, floor.graph)


def below(columns: Mapping[str, Column]) -> list[str]:
    """Every number that does not reach its floor, in words; one that is no number does not."""
    return [
        f"{name}, {row}: {db:.1f} dB, below {floor_of(row, FLOORS[name]):g} dB"
        for name, column in columns.items()
        for row, db in column.items()
        if not db >= floor_of(row, FLOORS[name])
    ]


def table(columns: Mapping[str, Column]) -> str:
    """Markdown; each number with its floor behind it."""
    rows = list(next(iter(columns.values())))
    lines = [
        "| dB against fp32 in ONNX Runtime (floor) | " + " | ".join(columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for row in rows:
        cells = []
        for name, column in columns.items():
            floor = floor_of(row, FLOORS[name])
            cells.append(f"{column[row]:.1f} ({floor:g})" + ("" if column[row] >= floor else " **below**"))
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument(
        "--checkpoint", type=Path, help="the folder that the bundle was exported from, to compare with PyTorch"
    )
    parser.add_argument("--precision", choices=PRECISIONS, help="of TensorRT's engines (default: fp16)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args(arguments)
    try:
        bundle = open_bundle(options.bundle, threads=options.threads)
        others = dict(other_forms(options.bundle, bundle, options.checkpoint, options.threads, options.precision))
        if not others:
            sys.exit(
                f"{options.bundle} has nothing to compare: give --checkpoint, or make variants with python -m export.quantize"
            )
        columns = compare(bundle, others)
    except (BundleError, EngineError, ExportError, OSError) as error:
        sys.exit(f"cannot compare: {error}")
    print(table(columns))
    if options.json:
        print(json.dumps(columns))
    if failed := below(columns):
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
