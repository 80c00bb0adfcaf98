"""What a graph costs: multiply-adds, and the milliseconds that its matrix work and everything else take."""

import json
import math
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

MATRIX_OPS = ("Conv", "FusedConv", "ConvTranspose", "MatMul", "FusedMatMul", "Gemm", "GRU", "QLinearConv")


@dataclass(frozen=True)
class Timing:
    median_ms: float
    p95_ms: float


def count_macs(model: onnx.ModelProto) -> int:
    """Multiply-adds of convolutions and matrix products; shapes must be static. GRUs and attention masks count as nothing."""
    graph = onnx.shape_inference.infer_shapes(folded(model), strict_mode=True, data_prop=True).graph
    shapes = {i.name: list(i.dims) for i in graph.initializer}
    for value in (*graph.value_info, *graph.input, *graph.output):
        shapes[value.name] = [d.dim_value for d in value.type.tensor_type.shape.dim]
    total = 0
    for node in graph.node:
        first, out = shapes.get(node.input[0]) if node.input else None, shapes.get(node.output[0])
        if node.op_type == "Conv":
            total += math.prod(out or ()) * math.prod(shapes[node.input[1]][1:])
        elif node.op_type == "ConvTranspose":
            total += math.prod(first or ()) * math.prod(shapes[node.input[1]][1:])
        elif node.op_type in ("MatMul", "Gemm"):
            transposed = any(a.name == "transA" and a.i for a in node.attribute)
            total += math.prod(out or ()) * (first or [0])[0 if transposed else -1]
    return total


def folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model after ONNX Runtime has computed everything that is constant, so that every shape is known."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder) / "folded.onnx")
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return onnx.load(options.optimized_model_filepath)


class TimedGraph:
    """A graph on the processor, as the server runs it, fed with random numbers; `beside` runs of it go on at the same time."""

    def __init__(self, model: bytes | str, threads: int, profile: Path | None = None, beside: int = 1):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if profile:
            options.enable_profiling, options.profile_file_prefix = True, str(profile)
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        rng = np.random.default_rng(0)
        self._inputs: Mapping[str, NDArray[np.float32]] = {
            i.name: rng.standard_normal(i.shape, np.float32) * np.float32(0.3) for i in self._session.get_inputs()
        }
        self._others = beside - 1

    def time(self, least_runs: int, seconds: float, warm_up: bool = True) -> Timing:
        """Runs until `seconds` are over, at least `least_runs` times."""
        times_ms: list[float] = []
        with ThreadPoolExecutor(max(1, self._others)) as pool:
            if warm_up:
                self._run(pool)
            until_s = time.perf_counter() + seconds
            while len(times_ms) < least_runs or time.perf_counter() < until_s:
                started_s = time.perf_counter()
                self._run(pool)
                times_ms.append((time.perf_counter() - started_s) * 1000)
        median, p95 = np.percentile(times_ms, [50, 95])
        return Timing(float(median), float(p95))

    def _run(self, pool: ThreadPoolExecutor) -> None:
        others = [pool.submit(self._session.run, None, self._inputs) for _ in range(self._others)]
        self._session.run(None, self._inputs)
        for other in others:
            other.result()

    def end_profile(self) -> str:
        return str(self._session.end_profiling())


def matrix_share(model: bytes | str, threads: int, runs: int = 10) -> float:
    """The share of a run that its matrix operators take, by ONNX Runtime's own profile; 0..1."""
    with tempfile.TemporaryDirectory() as folder:
        graph = TimedGraph(model, threads, Path(folder) / "profile")
        graph.time(runs, 0)
        events = json.loads(Path(graph.end_profile()).read_text())
    spent_us = {True: 0, False: 0}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            spent_us[event["args"]["op_name"] in MATRIX_OPS] += event["dur"]
    return spent_us[True] / max(1, sum(spent_us.values()))
