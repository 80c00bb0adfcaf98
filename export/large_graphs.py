"""Graphs whose weights lie in a file of their own, written without ever holding them twice."""

from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import onnx
from onnx import TensorProto, helper
from torch import Tensor, nn

PAGE_BYTES = 65536  # weights begin at pages, so that a runtime can map the file instead of reading it


def attach_weights(path: Path, weights: Path, module: nn.Module) -> None:
    """Gives an exported graph that takes its weights as inputs those of `module`, in the file `weights` beside it.

    Weights that the graph only uses transposed are stored so, as constant folding would have it.
    """
    model = onnx.load(path)
    graph = model.graph
    named: Mapping[str, Tensor] = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    turned = {
        node.output[0]: named[node.input[0]].T
        for node in graph.node
        if node.op_type == "Transpose" and node.input[0] in named and named[node.input[0]].dim() == 2
    }
    nodes = [node for node in graph.node if not turned.keys() & set(node.output)]
    made = {name for node in nodes for name in node.output}  # of weights that are equal the exporter keeps one
    wanted = {name for node in nodes for name in node.input} - made
    inputs = [value for value in graph.input if value.name not in named]
    with weights.open("wb") as stream:
        stored = [_store(name, tensor, stream) for name, tensor in {**named, **turned}.items() if name in wanted]
    for field, values in (
        (graph.node, nodes),
        (graph.input, inputs),
        (graph.initializer, [*graph.initializer, *stored]),
    ):
        kept = list(values)
        del field[:]
        field.extend(kept)
    onnx.save(model, path)


def _store(name: str, tensor: Tensor, stream: BinaryIO) -> TensorProto:
    """Appends a tensor to the file; returns what a graph says of it."""
    stream.write(bytes(-stream.tell() % PAGE_BYTES))
    offset = stream.tell()
    array = tensor.detach().contiguous().numpy()
    stream.write(array.data)
    made = TensorProto(
        name=name, data_type=helper.np_dtype_to_tensor_dtype(array.dtype), dims=array.shape, data_location=TensorProto.EXTERNAL
    )  # fmt: skip
    for key, value in (("location", Path(stream.name).name), ("offset", offset), ("length", array.nbytes)):
        made.external_data.add(key=key, value=str(value))
    return made
