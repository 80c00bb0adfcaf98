"""Networks of other projects, built from their published layer tables with random weights, to be timed beside ours.

Only the layer sizes are theirs (`models/wav2lip.py` of Wav2Lip at 96 x 96; `src/modules/` and `src/config/models.yaml` of
LivePortrait at 256 x 256 in, 512 x 512 out). Batch normalisation is left out: runtimes fold it into the convolution
before it.
"""

import math
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

OPSET = 20
VOLUME = (16, 64, 64)  # depth, height and width of LivePortrait's feature volume
KEYPOINTS = 21


class NetworkBuilder:
    """Writes an ONNX graph layer by layer; `channels` knows the width of every tensor made so far."""

    def __init__(self, name: str):
        self.name = name
        self.channels: dict[str, int] = {}
        self._rng = np.random.default_rng(0)
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, *shape: int) -> str:
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        self.channels[name] = shape[1]
        return name

    def constant(self, array: ArrayLike) -> str:
        name = f"constant{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def node(self, kind: str, *inputs: str, channels: int | None = None, **attributes: Any) -> str:
        name = f"{kind.lower()}{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        self.channels[name] = channels or self.channels[inputs[0]]
        return name

    def conv(
        self, x: str, width: int, kernel: int = 3, stride: int | tuple[int, ...] = 1, padding: int | None = None,
        act: str | None = "Relu", residual: bool = False, rank: int = 2,
    ) -> str:  # fmt: skip
        """Convolution with bias; `padding` defaults to that which keeps the size."""
        out = self._convolution("Conv", x, (width, self.channels[x]), width, kernel, stride, padding, rank)
        if residual:
            out = self.node("Add", out, x)
        return self.node(act, out) if act else out

    def conv_transpose(self, x: str, width: int, stride: int, padding: int, output_padding: int) -> str:
        shape, extra = (self.channels[x], width), {"output_padding": [output_padding] * 2}
        return self.node("Relu", self._convolution("ConvTranspose", x, shape, width, 3, stride, padding, 2, **extra))

    def concat(self, *tensors: str) -> str:
        return self.node("Concat", *tensors, channels=sum(self.channels[t] for t in tensors), axis=1)

    def upsample(self, x: str, *scales: float) -> str:
        return self.node("Resize", x, "", self.constant(np.array((1, 1, *scales), np.float32)), mode="nearest")

    def reshape(self, x: str, *shape: int) -> str:
        return self.node("Reshape", x, self.constant(np.array(shape, np.int64)), channels=shape[1])

    def bytes(self, output: str) -> bytes:
        """The finished model, serialised."""
        wanted = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
        graph = helper.make_graph(self._nodes, self.name, self._inputs, [wanted], self._weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
        return onnx.shape_inference.infer_shapes(model, strict_mode=True).SerializeToString()

    def _convolution(
        self, kind: str, x: str, shape: tuple[int, int], width: int, kernel: int, stride: int | tuple[int, ...],
        padding: int | None, rank: int, **extra: Any,
    ) -> str:  # fmt: skip
        # keeps activations at unit size: no denormals, no inf
        spread = math.sqrt(2 / (self.channels[x] * kernel**rank))
        weight = self._rng.standard_normal((*shape, *[kernel] * rank), np.float32) * np.float32(spread)
        strides = list(stride) if isinstance(stride, tuple) else [stride] * rank
        pads = [kernel // 2 if padding is None else padding] * 2 * rank
        names = x, self.constant(weight), self.constant(np.zeros(width, np.float32))
        return self.node(kind, *names, channels=width, strides=strides, pads=pads, **extra)


def wav2lip_generator() -> bytes:
    """A generator of Wav2Lip's size: one 96 x 96 face and 0.2 s of mel spectrum to one face."""
    net = NetworkBuilder("wav2lip")
    face, sound = net.input("face", 1, 6, 96, 96), net.input("mel", 1, 1, 80, 16)
    skips = [net.conv(face, 16, 7)]
    for width, repeats in ((32, 2), (64, 3), (128, 2), (256, 2), (512, 1)):
        skips.append(_residuals(net, net.conv(skips[-1], width, stride=2), repeats))
    skips.append(net.conv(net.conv(skips[-1], 512, padding=0), 512, 1))
    x = _residuals(net, net.conv(sound, 32), 2)
    stages: tuple[tuple[int, tuple[int, int], int], ...] = ((64, (3, 1), 2), (128, (3, 3), 2), (256, (3, 2), 1))
    for width, stride, repeats in stages:
        x = _residuals(net, net.conv(x, width, stride=stride), repeats)
    x = net.conv(net.conv(net.conv(x, 512, padding=0), 512, 1), 512, 1)
    x = _residuals(net, net.conv_transpose(net.concat(x, skips.pop()), 512, 1, 0, 0), 1)
    for width in (512, 384, 256, 128, 64):
        x = _residuals(net, net.conv_transpose(net.concat(x, skips.pop()), width, 2, 1, 1), 2)
    x = net.conv(net.concat(x, skips.pop()), 32)
    return net.bytes(net.conv(x, 3, 1, act="Sigmoid"))


def _residuals(net: NetworkBuilder, x: str, repeats: int) -> str:
    for _ in range(repeats):
        x = net.conv(x, net.channels[x], residual=True)
    return x


def live_portrait_frame() -> bytes:
    """Warping and decoding of LivePortrait's size: a portrait's feature volume and keypoints to one 512 x 512 frame."""
    net = NetworkBuilder("live_portrait")
    volume = net.input("volume", 1, 32, *VOLUME)
    keypoints = [net.input(name, KEYPOINTS, 1, 1, 1, 3) for name in ("source_keypoints", "driving_keypoints")]
    deformation, occlusion = _dense_motion(net, volume, *keypoints)
    warped = net.reshape(net.node("GridSample", volume, deformation), 1, 32 * VOLUME[0], *VOLUME[1:])
    feature = net.conv(net.conv(warped, 256, act="LeakyRelu"), 256, 1, act=None)
    return net.bytes(_spade_decoder(net, net.node("Mul", feature, occlusion)))


def _dense_motion(net: NetworkBuilder, volume: str, source: str, driving: str) -> tuple[str, str]:
    """Where each voxel comes from `[1, d, h, w, 3]` and what is occluded `[1, 1, h, w]`."""
    parts = KEYPOINTS + 1
    axes = [np.linspace(-1, 1, size, dtype=np.float32) for size in VOLUME]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    grid = net.constant(np.stack([x, y, z], -1)[None])
    moved = net.node("Add", net.node("Sub", grid, driving, channels=VOLUME[0]), source)
    motions = net.node("Concat", grid, moved, axis=0, channels=VOLUME[0])  # [parts, d, h, w, 3]
    compressed = net.conv(volume, 4, 1, rank=3)
    repeated = net.node("Tile", compressed, net.constant(np.array([parts, 1, 1, 1, 1], np.int64)))
    deformed = net.node("GridSample", repeated, motions)
    heat = net.node("Sub", _gaussians(net, grid, driving), _gaussians(net, grid, source))
    heat = net.node("Concat", net.constant(np.zeros((1, 1, *VOLUME), np.float32)), heat, axis=0, channels=1)
    h = net.reshape(net.node("Concat", heat, deformed, axis=1, channels=5), 1, parts * 5, *VOLUME)
    h = _hourglass(net, h)
    mask = net.node("Softmax", net.conv(h, parts, 7, act=None, rank=3), axis=1)
    weighted = net.node("Mul", motions, net.reshape(mask, parts, *VOLUME, 1))
    deformation = net.node("ReduceSum", weighted, net.constant(np.array([0], np.int64)), keepdims=1)
    flat = net.reshape(h, 1, net.channels[h] * VOLUME[0], *VOLUME[1:])
    return deformation, net.conv(flat, 1, 7, act="Sigmoid")


def _gaussians(net: NetworkBuilder, grid: str, keypoints: str) -> str:
    """Heat around each keypoint `[keypoints, 1, d, h, w]`."""
    apart = net.node("Sub", grid, keypoints, channels=VOLUME[0])
    squared = net.node("ReduceSum", net.node("Mul", apart, apart), net.constant(np.array([4], np.int64)), keepdims=0)
    heat = net.node("Exp", net.node("Mul", squared, net.constant(np.float32(-0.5 / 0.01))))
    return net.reshape(heat, KEYPOINTS, 1, *VOLUME)


def _hourglass(net: NetworkBuilder, x: str) -> str:
    skips = [x]
    for width in (64, 128, 256, 512, 1024):
        h = net.conv(skips[-1], width, rank=3)
        skips.append(net.node("AveragePool", h, kernel_shape=[1, 2, 2], strides=[1, 2, 2]))
    h = skips.pop()
    for width in (512, 256, 128, 64, 32):
        h = net.concat(net.conv(net.upsample(h, 1, 2, 2), width, rank=3), skips.pop())
    return net.conv(h, net.channels[h], rank=3)


def _spade_decoder(net: NetworkBuilder, feature: str) -> str:
    x = net.conv(feature, 512, act=None)
    for _ in range(6):
        x = _spade_block(net, x, feature, 512)
    x = _spade_block(net, net.upsample(x, 2, 2), net.upsample(feature, 2, 2), 256)
    x = _spade_block(net, net.upsample(x, 2, 2), net.upsample(feature, 4, 4), 64)
    x = net.conv(net.node("LeakyRelu", x, alpha=0.2), 12, act=None)
    return net.node("Sigmoid", net.node("DepthToSpace", x, blocksize=2, mode="CRD", channels=3))


def _spade_block(net: NetworkBuilder, x: str, feature: str, width: int) -> str:
    middle = min(net.channels[x], width)
    h = net.conv(net.node("LeakyRelu", _spade(net, x, feature), alpha=0.2), middle, act=None)
    h = net.conv(net.node("LeakyRelu", _spade(net, h, feature), alpha=0.2), width, act=None)
    skip = x if net.channels[x] == width else net.conv(_spade(net, x, feature), width, 1, act=None)
    return net.node("Add", h, skip)


def _spade(net: NetworkBuilder, x: str, feature: str) -> str:
    width = net.channels[x]
    ones, zeros = net.constant(np.ones(width, np.float32)), net.constant(np.zeros(width, np.float32))
    h = net.node("InstanceNormalization", x, ones, zeros)
    shared = net.conv(feature, 128)
    gain = net.node("Add", net.conv(shared, width, act=None), net.constant(np.float32(1)))
    return net.node("Add", net.node("Mul", h, gain), net.conv(shared, width, act=None))
