"""The ONNX operators that TensorRT documents: docs/operators.md of onnx/onnx-tensorrt at 10.1 (opset 9 to 20)."""

import onnx

DOCUMENTED = frozenset(
    """
    Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Cast CastLike Ceil Celu Clip
    Concat Constant ConstantOfShape Conv ConvTranspose Cos Cosh CumSum DeformConv DepthToSpace DequantizeLinear Div Dropout
    Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool
    GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GridSample GroupNormalization HardSigmoid HardSwish Hardmax Identity If
    InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax Loop
    LpNormalization LpPool MatMul Max MaxPool Mean MeanVarianceNormalization Min Mish Mod Mul Neg NonMaxSuppression NonZero
    Not OneHot Or PRelu Pad ParametricSoftplus Pow QuantizeLinear RNN RandomNormal RandomNormalLike RandomUniform
    RandomUniformLike Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin
    ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize ReverseSequence RoiAlign Round ScaledTanh Scan ScatterElements
    ScatterND Selu Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub
    Sum Tan Tanh ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze Upsample Where Xor
    """.split()
)
OPSETS = range(9, 21)


def doubts(model: onnx.ModelProto) -> list[str]:
    """What the documentation does not promise, in words; empty when TensorRT should take the graph."""
    graph, found = model.graph, set()
    for imported in model.opset_import:
        if imported.domain in ("", "ai.onnx") and imported.version not in OPSETS:
            found.add(f"opset {imported.version} is outside {OPSETS[0]} to {OPSETS[-1]}")
    outputs = {value.name for value in graph.output}
    for node in graph.node:
        if node.domain not in ("", "ai.onnx") or node.op_type not in DOCUMENTED:
            found.add(f"operator {node.domain and node.domain + '.'}{node.op_type} is not documented")
        to_bytes = any(a.name == "to" and a.i == onnx.TensorProto.UINT8 for a in node.attribute)
        if node.op_type == "Cast" and to_bytes and not outputs.intersection(node.output):
            found.add("bytes are documented for inputs and outputs of a network only")
    for value in (*graph.input, *graph.output):
        if any(not d.dim_value for d in value.type.tensor_type.shape.dim):
            found.add(f"{value.name} has no static shape")
    return sorted(found)
