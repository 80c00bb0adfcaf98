"""Half precision written into graphs: where it goes, where it does not, and that the numbers survive."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

pytest.importorskip("torch")

from engines.bundle import read_manifest  # noqa: E402
from engines.onnx import OnnxEngine  # noqa: E402
from export.bundle import ExportError  # noqa: E402
from export.fidelity import FLOORS, signal_to_difference_db  # noqa: E402
from export.precisions import prepared  # noqa: E402
from export.strong_types import in_half_precision, island_nodes  # noqa: E402
from export.tensorrt_operators import doubts  # noqa: E402

BUNDLE = Path(__file__).parent.parent / "bundles" / "flap-small"
GRAPHS = read_manifest(BUNDLE).graphs


def types_of(model: onnx.ModelProto) -> dict[str, int]:
    """Type of every value; raises when types do not fit together, as TensorRT would."""
    graph = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True).graph
    values = {
        value.name: value.type.tensor_type.elem_type for value in (*graph.value_info, *graph.input, *graph.output)
    }
    return values | {tensor.name: tensor.data_type for tensor in graph.initializer}


def model_of(*nodes: onnx.NodeProto, weight: float = 0.5) -> onnx.ModelProto:
    """`x` and the noise level `t` to `y`, with a 4 x 4 `w`."""
    x, t, y = (
        helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", (2, 4)), ("t", (2, 4)), ("y", (2, 4)))
    )
    w = numpy_helper.from_array(np.full((4, 4), weight, np.float32), "w")
    graph = helper.make_graph(list(nodes), "toy", [x, t], [y], [w])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def islands(model: onnx.ModelProto) -> set[str]:
    return {node.output[0] for node in island_nodes(prepared(model).graph)}


TOY = (
    helper.make_node("Mul", ["x", "x"], ["scaled"]),
    helper.make_node("MatMul", ["t", "w"], ["linear"]),
    helper.make_node("Tanh", ["linear"], ["time"]),
    helper.make_node("MatMul", ["scaled", "w"], ["h"]),
    helper.make_node("Relu", ["h"], ["bent"]),
    helper.make_node("Add", ["bent", "time"], ["timed"]),
    helper.make_node("Softmax", ["timed"], ["soft"]),
    helper.make_node("MatMul", ["soft", "w"], ["change"]),
    helper.make_node("Cos", ["t"], ["level"]),
    helper.make_node("Mul", ["level", "change"], ["y"]),
)


def test_norms_time_and_what_stands_at_either_end_stay_in_single_precision() -> None:
    assert islands(model_of(*TOY)) == {"scaled", "linear", "time", "soft", "level", "y"}


def test_a_value_is_cast_once_for_each_precision_it_is_wanted_in() -> None:
    model = in_half_precision(model_of(*TOY))
    casts = [node.input[0] for node in model.graph.node if node.op_type == "Cast"]
    assert sorted(casts) == ["change", "scaled", "soft", "time", "timed"]
    kinds = types_of(model)
    assert kinds["bent"] == kinds["timed"] == TensorProto.FLOAT16 and kinds["soft"] == kinds["y"] == TensorProto.FLOAT


def test_a_weight_that_half_precision_cannot_hold_is_refused() -> None:
    with pytest.raises(
        ExportError, match="weight w has values that half precision cannot hold: build with --precision fp32"
    ):
        in_half_precision(model_of(*TOY, weight=1e6))


@pytest.fixture(scope="module", params=GRAPHS)
def shipped(request: pytest.FixtureRequest) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    model = onnx.load(BUNDLE / GRAPHS[request.param].file)
    return model, in_half_precision(model)


def test_every_shipped_graph_computes_almost_the_same(
    shipped: tuple[onnx.ModelProto, onnx.ModelProto], tmp_path: Path
) -> None:
    made = []
    for model in shipped:
        onnx.save(model, tmp_path / "graph.onnx")
        engine = OnnxEngine(tmp_path / "graph.onnx", threads=1)
        rng = np.random.default_rng(0)
        fed = {name: rng.normal(0, 0.3, spec.shape).astype(spec.dtype) for name, spec in engine.inputs.items()}
        made.append([engine.run(fed)])
    db = signal_to_difference_db(made[1], made[0])
    assert FLOORS["tensorrt"].graph <= db < 120


def test_every_shipped_graph_is_typed_throughout_and_keeps_its_inputs_and_outputs(
    shipped: tuple[onnx.ModelProto, onnx.ModelProto],
) -> None:
    before, after = shipped
    kinds = types_of(after)
    weights = {tensor.name for tensor in after.graph.initializer}
    products = [node for node in after.graph.node if node.op_type in ("Conv", "MatMul", "Gemm")]
    half = [node for node in products if kinds[node.output[0]] == TensorProto.FLOAT16]
    assert len(half) >= 0.85 * len(products)
    for node in after.graph.node:
        if node.op_type in ("InstanceNormalization", "LayerNormalization", "Softmax", "Sin", "Cos", "Pow", "GRU"):
            assert kinds[node.output[0]] == TensorProto.FLOAT
    for value in after.graph.output:
        assert (
            kinds[value.name] == next(v for v in before.graph.output if v.name == value.name).type.tensor_type.elem_type
        )
    assert [v.name for v in before.graph.input] == [v.name for v in after.graph.input if v.name not in weights]


def test_tensorrt_documents_every_operator_of_the_shipped_graphs(
    shipped: tuple[onnx.ModelProto, onnx.ModelProto],
) -> None:
    assert doubts(prepared(shipped[0])) == doubts(shipped[1]) == []


def test_what_tensorrt_does_not_document_is_named() -> None:
    model = model_of(helper.make_node("Bernoulli", ["x"], ["b"]), helper.make_node("Add", ["b", "t"], ["y"]))
    model.opset_import[0].version = 22
    assert doubts(model) == ["operator Bernoulli is not documented", "opset 22 is outside 9 to 20"]
