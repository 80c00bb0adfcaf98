"""Builds TensorRT engines of a bundle for this machine's GPU: python -m export.to_tensorrt bundles/flap-small

Precision is written into the graphs (`export/strong_types.py`), TensorRT 10.12 or newer builds them strongly typed. Engines
lie beside the bundle under a key of graph, TensorRT, GPU, precision and shapes; what is there already is not built again.
Then a table compares the engines with ONNX Runtime on the processor: signal over difference and milliseconds of each graph,
copies included, and of whole streams. Start the server with `--engine tensorrt-native`.

`--plan` needs neither TensorRT nor a GPU: it writes the graphs as they would be built, checks their operators against
TensorRT's documentation, and runs them in ONNX Runtime for the same comparison.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx

from engines.bundle import NATIVE, Bundle, BundleError, open_bundle
from engines.engine import Array, Engine, EngineError
from engines.onnx import OnnxEngine
from engines.tensorrt import PRECISIONS, TensorRt, UnusableEngine
from export.bundle import ExportError
from export.fidelity import FLOORS, SquaredError, signal_to_difference_db
from export.precisions import prepared, save
from export.rollouts import record, record_noise, side_by_side
from export.strong_types import in_half_precision
from export.tensorrt_operators import doubts
from flap.config import CHUNK_FRAMES

WORKSPACE_BYTES = 2 << 30
SEEDS, CHUNKS = range(2), 8
TIMED_RUNS, TIMED_MS = 20, 3000  # whichever comes first


@dataclass(frozen=True)
class Row:
    """One line of the table: an engine against the graph in ONNX Runtime on the processor."""

    what: str
    db: float
    floor_db: float
    ours_ms: float | None  # None where a stand-in ran
    onnx_ms: float
    onnx_threads: int

    def __str__(self) -> str:
        below = "" if self.db >= self.floor_db else " **below**"
        ours = "" if self.ours_ms is None else f"{self.ours_ms:.2f}"
        return f"| {self.what} | {self.db:.1f} ({self.floor_db:g}){below} | {ours} | {self.onnx_ms:.2f} ({self.onnx_threads}) |"


def typed_graph(path: Path, precision: str) -> onnx.ModelProto:
    """A graph of the bundle as TensorRT is to build it. Raises ExportError for what it does not document."""
    model = onnx.load(path)
    typed = in_half_precision(model) if precision == "fp16" else prepared(model)
    if found := doubts(typed):
        raise ExportError(f"graph {path.stem} would not build: {'; '.join(found)}")
    return typed


def build(gpu: TensorRt, graph: str, model: onnx.ModelProto) -> tuple[bytes, bytes]:
    """A plan of one graph, and the timing cache of this GPU after it. Raises ExportError with TensorRT's own reasons."""
    library: ModuleType = gpu.library
    builder = library.Builder(gpu.logger)
    strongly_typed = 1 << int(library.NetworkDefinitionCreationFlag.STRONGLY_TYPED)  # TensorRT 11 knows nothing else
    network = builder.create_network(strongly_typed)
    parser = library.OnnxParser(network, gpu.logger)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{graph}.onnx"
        save(model, path)
        if not parser.parse_from_file(str(path)):
            reasons = "; ".join(str(parser.get_error(i)) for i in range(parser.num_errors))
            raise ExportError(f"TensorRT cannot read graph {graph}: {reasons}")
        config = builder.create_builder_config()
        config.set_memory_pool_limit(library.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
        config.clear_flag(library.BuilderFlag.TF32)  # single precision is an island because it has to be exact
        known = config.create_timing_cache(gpu.store.load_timings(gpu.target))
        if not config.set_timing_cache(known, ignore_mismatch=False):
            # they are of a GPU with the same name and other properties
            config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)
        plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise ExportError(f"TensorRT cannot build graph {graph}; its messages are above")
    return bytes(plan), bytes(config.get_timing_cache().serialize())


def build_missing(gpu: TensorRt, folder: Path, bundle: Bundle) -> Iterator[str]:
    """Builds every engine that is not there for this GPU, or that TensorRT does not take; says what was done."""
    for graph, entry in bundle.manifest.graphs.items():
        recipe = gpu.recipe(graph, entry)
        try:
            gpu.open(graph, entry)
        except UnusableEngine:
            pass
        else:
            yield f"{graph}: built before ({recipe.key})"
            continue
        started_s = time.perf_counter()
        plan, timings = build(gpu, graph, typed_graph(folder / entry.file, gpu.precision))
        gpu.store.save(recipe, plan)
        gpu.store.save_timings(gpu.target, timings)
        yield f"{graph}: built in {time.perf_counter() - started_s:.0f} s ({recipe.key})"


def plan(folder: Path, bundle: Bundle, precision: str, threads: int) -> Iterator[tuple[str, Engine]]:
    """Each graph as it would be built, on ONNX Runtime; prints what it is made of."""
    for graph, entry in bundle.manifest.graphs.items():
        with tempfile.TemporaryDirectory() as place:
            path, shaped = Path(place) / f"{graph}.onnx", Path(place) / "shaped.onnx"
            save(typed_graph(folder / entry.file, precision), path)
            onnx.shape_inference.infer_shapes_path(path, shaped)
            typed = onnx.load(shaped, load_external_data=False).graph
            types = Counter(value.type.tensor_type.elem_type for value in typed.value_info)
            half, single = types[onnx.TensorProto.FLOAT16], types[onnx.TensorProto.FLOAT]
            print(f"{graph}: {len(typed.node)} nodes; tensors in half precision {half}, in single precision {single}")
            yield graph, OnnxEngine(path, threads=threads)


def median_ms(engine: Engine, inputs: Mapping[str, Array]) -> float:
    times_ms: list[float] = []
    while len(times_ms) < TIMED_RUNS and sum(times_ms) < TIMED_MS:
        started_s = time.perf_counter()
        engine.run(inputs)
        times_ms.append((time.perf_counter() - started_s) * 1000)
    return float(np.median(times_ms))


def compare(bundle: Bundle, ours: Bundle) -> Iterator[Row]:
    """Every graph on what streams feed it, then whole streams; of a bundle without presenters the graphs alone, on noise."""
    floor = FLOORS["tensorrt"]
    recorders = record(bundle, SEEDS, CHUNKS, every=3) if bundle.presenters else record_noise(bundle)
    for graph, recorder in recorders.items():
        engine = ours.engines[graph]
        db = signal_to_difference_db([engine.run(inputs) for inputs in recorder.fed], recorder.made)
        fed = recorder.fed[0]
        threads = bundle.manifest.graphs[graph].threads(graph, bundle.threads)
        yield Row(graph, db, floor.graph, median_ms(engine, fed), median_ms(bundle.engines[graph], fed), threads)
    if not bundle.presenters:
        return
    error, chunk_ms = SquaredError(), {"": list[float](), "ours": list[float]()}
    for steps, rollouts in side_by_side({"": bundle, "ours": ours}, SEEDS, CHUNKS):
        error.add(steps, rollouts["ours"].frames, rollouts[""].frames, rollouts[""].mouth)
        for name, rollout in rollouts.items():
            chunk_ms[name] += rollout.chunk_ms
    likeness = error.likeness()
    ours_ms, onnx_ms = (float(np.median(chunk_ms[name])) / CHUNK_FRAMES for name in ("ours", ""))
    for what, db, floor_db in (
        ("frames of a stream, a frame", likeness.frames_db, floor.frames),
        ("mouth crops of a stream", likeness.mouth_db, floor.mouth),
    ):
        yield Row(what, db, floor_db, ours_ms, onnx_ms, bundle.threads)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--precision", choices=PRECISIONS, default="fp16")
    parser.add_argument("--plan", action="store_true", help="everything up to TensorRT, on any machine")
    parser.add_argument("--threads", type=int, default=2, help="of ONNX Runtime on the processor")
    options = parser.parse_args(arguments)
    try:
        bundle = open_bundle(options.bundle, threads=options.threads)
        if options.plan:
            engines = dict(plan(options.bundle, bundle, options.precision, options.threads))
            ours, where = replace(bundle, engines=engines), "as planned, in ONNX Runtime"
        else:
            for line in build_missing(TensorRt(options.bundle, options.precision), options.bundle, bundle):
                print(line, flush=True)
            ours = open_bundle(options.bundle, provider=NATIVE, variant=options.precision)
            where = next(iter(ours.engines.values())).provider
        rows = list(compare(bundle, ours))
        if options.plan:
            rows = [replace(row, ours_ms=None) for row in rows]
    except (BundleError, EngineError, ExportError, OSError) as error:
        sys.exit(f"nothing is ready: {error}")
    print(f"| {where} | dB (floor) | ms | ms in ONNX Runtime (threads) |\n|---|---|---|---|")
    print("\n".join(map(str, rows)))
    if any(not row.db >= row.floor_db for row in rows):
        sys.exit("at least one number is below its floor")


if __name__ == "__main__":
    main()
