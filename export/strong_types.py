"""Half precision written into a graph, as strongly typed TensorRT wants it: every tensor has the type that the ONNX says.

Matrix work runs in half precision. These parts stay in single precision, as islands between Casts:

- norms, softmax, powers, roots, sine and cosine, whose squares and sums leave the range of half precision
- the time embedding: everything that depends on the noise level alone
- whatever inputs pass before the first matrix product, and outputs after the last: scaling of coefficients, positions on a
  pixel grid, the arithmetic of the noise schedule, the step to bytes
- recurrent layers, whose error would return
"""

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.bundle import ExportError
from export.graph_parts import MATRIX_OPS, behind_the_last_matrix_product, names_of
from export.precisions import FP16_LARGEST, checked, prepared

ISLANDS = (
    "InstanceNormalization", "LayerNormalization", "GroupNormalization", "Softmax", "LogSoftmax", "Pow", "Sqrt", "Exp", "Log",
    "ReduceMean", "ReduceSum", "ReduceL2", "Sin", "Cos", "GRU", "LSTM", "RNN",
)  # fmt: skip
NOISE_LEVEL = "t"
UNTOUCHED = ("Cast", "Shape", "Constant", "ConstantOfShape", "Range")  # say their own type
FLOAT_PARAMETERS = {"Resize": (1, 2)}  # inputs that ONNX wants in single precision


def in_half_precision(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with the same float32 inputs and outputs, its matrix work in half precision.

    Raises ExportError for a weight that half precision cannot hold.
    """
    out = prepared(model)
    graph = out.graph
    islands = names_of(island_nodes(graph))
    writer = _Writer(graph)
    for node in list(graph.node):
        writer.write(node, half=node.name not in islands)
    writer.finish()
    return checked(out)


def island_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """The nodes that stay in single precision; nodes must have names."""
    constants = {tensor.name for tensor in graph.initializer}
    inputs = {value.name for value in graph.input} - constants
    untouched_inputs, level = set(inputs), {NOISE_LEVEL} & inputs
    tail = names_of(behind_the_last_matrix_product(graph)[0])
    for node in graph.node:
        given = {name for name in node.input if name and name not in constants}
        before_matrix_work = node.op_type not in MATRIX_OPS and given <= untouched_inputs
        of_the_level = bool(given) and given <= level
        if before_matrix_work:
            untouched_inputs.update(node.output)
        if of_the_level:
            level.update(node.output)
        if before_matrix_work or of_the_level or node.op_type in (*ISLANDS, *UNTOUCHED) or node.name in tail:
            yield node


class _Writer:
    """Writes a graph anew, node by node, with a Cast wherever a value is wanted in the other precision."""

    def __init__(self, graph: onnx.GraphProto):
        self._graph = graph
        values = (*graph.value_info, *graph.input, *graph.output)
        self._type = {value.name: value.type.tensor_type.elem_type for value in values}
        self._weights = {tensor.name: tensor for tensor in graph.initializer}
        self._type |= {name: tensor.data_type for name, tensor in self._weights.items()}
        self._half: set[str] = set()  # values that their node gives in half precision
        self._nodes: list[onnx.NodeProto] = []
        self._other: dict[str, str] = {}  # a value in the precision that it was not given in
        self._outputs = {value.name for value in graph.output}

    def write(self, node: onnx.NodeProto, half: bool) -> None:
        kept = onnx.NodeProto()
        kept.CopyFrom(node)
        single = FLOAT_PARAMETERS.get(node.op_type, ())
        for i, name in enumerate(node.input):
            if self._type.get(name) == TensorProto.FLOAT:
                kept.input[i] = self._as(name, half and i not in single)
        makes_half = [name for name in node.output if half and self._type.get(name) == TensorProto.FLOAT]
        for i, name in enumerate(node.output):
            if name in makes_half and name in self._outputs:
                kept.output[i] = self._other[name] = f"{name}_half"
        self._nodes.append(kept)
        for name in makes_half:
            if name in self._outputs:
                self._cast(f"{name}_half", name, TensorProto.FLOAT)
            else:
                self._half.add(name)

    def finish(self) -> None:
        graph = self._graph
        used = {name for node in self._nodes for name in node.input}
        weights = [tensor for tensor in self._weights.values() if tensor.name in used]
        for field in (graph.node, graph.initializer, graph.value_info):
            del field[:]
        graph.node.extend(self._nodes)
        graph.initializer.extend(weights)

    def _as(self, name: str, half: bool) -> str:
        """The value `name` in the wanted precision."""
        if half == (name in self._half):
            return name
        if name not in self._other:
            self._other[name] = f"{name}_{'half' if half else 'single'}"
            if name in self._weights:
                self._weights[self._other[name]] = _halved(self._weights[name], self._other[name])
            else:
                self._cast(name, self._other[name], TensorProto.FLOAT16 if half else TensorProto.FLOAT)
        return self._other[name]

    def _cast(self, source: str, target: str, kind: int) -> None:
        self._nodes.append(helper.make_node("Cast", [source], [target], f"cast_{target}", to=kind))


def _halved(tensor: onnx.TensorProto, name: str) -> onnx.TensorProto:
    array = numpy_helper.to_array(tensor)
    if not np.abs(array).max(initial=0) <= FP16_LARGEST:
        raise ExportError(
            f"weight {tensor.name} has values that half precision cannot hold: build with --precision fp32"
        )
    return numpy_helper.from_array(array.astype(np.float16), name)
