"""A graph in another precision, with the same float32 inputs and outputs."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from engines.engine import Array
from export.graph_parts import behind_the_last_matrix_product, name_nodes, names_of

LEAST_STORED = 256  # numbers; smaller constants are not worth a cast
FP16_LARGEST = 65504.0
LARGEST_FILE_BYTES = 2_000_000_000  # protobuf ends at 2 GiB


def fp16_storage(model: onnx.ModelProto) -> onnx.ModelProto:
    """Weights stored in half precision and widened when the graph is loaded: half the bytes, the same speed."""
    out = onnx.ModelProto()
    out.CopyFrom(model)
    casts = []
    for tensor in out.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        array = numpy_helper.to_array(tensor)
        if array.size < LEAST_STORED or np.abs(array).max() > FP16_LARGEST:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(array.astype(np.float16), name + "_fp16"))
        casts.append(helper.make_node("Cast", [name + "_fp16"], [name], f"widen_{name}", to=TensorProto.FLOAT))
    nodes = list(out.graph.node)
    del out.graph.node[:]
    out.graph.node.extend([*casts, *nodes])
    return out


class _Recorded(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, runs: Sequence[Mapping[str, Array]]):
        self._runs: Iterator[Mapping[str, Array]] = iter(runs)

    def get_next(self) -> Any:
        return next(self._runs, None)


def int8(model: onnx.ModelProto, runs: Sequence[Mapping[str, Array]]) -> onnx.ModelProto:
    """Convolutions in 8 bits by pairs of QuantizeLinear and DequantizeLinear, ranges from `runs`, the graph's real inputs.

    Weights have a scale for each output channel and 7 bits, because processors with AVX2 or AVX-512 but without VNNI add
    two 8-bit products into 16 bits, which would saturate. The last convolutions stay as they are.
    """
    ready = prepared(model)
    kept = names_of(behind_the_last_matrix_product(ready.graph)[1])
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made.onnx"
        quantize_static(
            ready, made, _Recorded(runs), quant_format=QuantFormat.QDQ, op_types_to_quantize=["Conv"], per_channel=True,
            reduce_range=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, nodes_to_exclude=sorted(kept),
        )  # fmt: skip
        return onnx.load(made)


def prepared(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with everything constant computed, shapes known and every node named; a large one is emptied into it."""
    with tempfile.TemporaryDirectory() as folder:
        source, ready, shaped = (Path(folder) / f"{name}.onnx" for name in ("source", "ready", "shaped"))
        large = save(model, source)
        quant_pre_process(
            source, ready, skip_symbolic_shape=True, save_as_external_data=large, all_tensors_to_one_file=large,
            external_data_location="ready.weights" if large else None,
        )  # fmt: skip
        onnx.shape_inference.infer_shapes_path(ready, shaped, data_prop=True)
        out = onnx.load(shaped)
    name_nodes(out.graph)
    return out


def save(model: onnx.ModelProto, path: Path) -> bool:
    """Writes a graph; from 2 GB on its weights move out of `model` into a file beside it, and True is returned."""
    # protobuf cannot say how long a message is that it cannot write
    large = sum(len(tensor.raw_data) for tensor in model.graph.initializer) > LARGEST_FILE_BYTES
    onnx.save(model, path, save_as_external_data=large, location=path.with_suffix(".weights").name)
    return large


def checked(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph after ONNX's checker; a large one is emptied into it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        large = save(model, path)
        onnx.checker.check_model(str(path), full_check=True)
        return onnx.load(path) if large else model
