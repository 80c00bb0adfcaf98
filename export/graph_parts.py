"""Which nodes of an ONNX graph stand where."""

from collections.abc import Iterable

import onnx

MATRIX_OPS = ("Conv", "ConvTranspose", "MatMul", "Gemm", "GRU")


def names_of(nodes: Iterable[onnx.NodeProto]) -> set[str]:
    return {node.name for node in nodes}


def name_nodes(graph: onnx.GraphProto) -> None:
    """Gives every node that has no name one."""
    for index, node in enumerate(graph.node):
        node.name = node.name or f"{node.op_type}_{index}"


def behind_the_last_matrix_product(graph: onnx.GraphProto) -> tuple[list[onnx.NodeProto], list[onnx.NodeProto]]:
    """The nodes through which the outputs are reached without passing a matrix product, and the products that end the way.

    That is where numbers take their final scale: what a network predicts joins what it was given, or becomes a picture.
    """
    made_by = {name: node for node in graph.node for name in node.output}
    tail: dict[str, onnx.NodeProto] = {}
    last: dict[str, onnx.NodeProto] = {}
    waiting = [output.name for output in graph.output]
    while waiting:
        node = made_by.get(waiting.pop())
        if node is None or node.name in tail or node.name in last:
            continue
        if node.op_type in MATRIX_OPS:
            last[node.name] = node
        else:
            tail[node.name] = node
            waiting += node.input
    return list(tail.values()), list(last.values())
