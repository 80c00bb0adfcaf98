"""Graphs on ONNX Runtime."""

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import numpy as np
import onnxruntime

from engines.engine import Array, EngineError, EngineLost, TensorSpec, check_inputs, outputs_for

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
OPTIONS = {"CUDAExecutionProvider": {"use_tf32": "0"}}  # single precision that is exact, as on the processor
BOTH_INSTALLED = (
    "onnxruntime and onnxruntime-gpu lie in the same folder, and the one for processors was installed last: "
    "pip uninstall -y onnxruntime onnxruntime-gpu, then pip install 'onnxruntime-gpu[cuda,cudnn]'"
)
DTYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8", "tensor(int64)": "int64", "tensor(float16)": "float16"}


class OnnxEngine:
    """One .onnx file, warmed up once so that the first frame is not late."""

    def __init__(self, path: Path, provider: str = "cpu", threads: int = 2):
        wanted = provider_name(provider)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # spinning worker threads would starve the event loop of a two-core machine
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.name = path.stem
        if wanted != PROVIDERS["cpu"]:
            onnxruntime.preload_dlls()  # CUDA and cuDNN may lie in wheels
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=[(wanted, OPTIONS.get(wanted, {}))])
        except Exception as error:  # onnxruntime's own errors share no base class
            raise EngineError(f"graph {self.name} cannot be opened: {error}") from error
        self.provider = self._session.get_providers()[0]
        if self.provider != wanted:  # ONNX Runtime falls back without a word
            raise EngineError(
                f"graph {self.name} runs on {self.provider}, not on {wanted}: install its drivers or use --engine cpu"
            )
        self.inputs = {i.name: _spec(self.name, i) for i in self._session.get_inputs()}
        self.outputs = {o.name: _spec(self.name, o) for o in self._session.get_outputs()}
        zeros = {name: np.zeros(spec.shape, spec.dtype) for name, spec in self.inputs.items()}
        try:
            self.run(zeros)
        except EngineError as error:
            raise EngineError(f"graph {self.name} cannot run on {self.provider}: {error.__cause__}") from error

    def run(self, inputs: Mapping[str, Array], into: Mapping[str, Array] | None = None) -> dict[str, Array]:
        check_inputs(self.name, self.inputs, inputs)
        outputs = outputs_for(self.name, self.outputs, into)
        contiguous = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
        try:  # binding copies to a GPU, and may fail as running may
            binding = self._session.io_binding()
            for name, array in contiguous.items():
                binding.bind_cpu_input(name, array)
            for name, array in outputs.items():
                binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
            self._session.run_with_iobinding(binding)
        except Exception as error:  # onnxruntime's own errors share no base class; what goes in has been checked
            is_short = "allocate memory" in str(error)
            kind = EngineError if is_short else EngineLost
            raise kind(f"graph {self.name} runs no more on {self.provider}: {error}") from error
        return outputs

    def empty(self, shape: tuple[int, ...], dtype: str) -> Array:
        return np.empty(shape, dtype)


def provider_name(provider: str) -> str:
    """ONNX Runtime's name of a provider; raises EngineError when this installation lacks it."""
    if provider not in PROVIDERS:
        raise EngineError(f"unknown engine {provider!r}: choose one of {', '.join(PROVIDERS)}")
    name = PROVIDERS[provider]
    if name not in onnxruntime.get_available_providers():
        if _is_installed("onnxruntime-gpu"):
            raise EngineError(f"this onnxruntime has no {name}: {BOTH_INSTALLED}")
        raise EngineError(
            f"this onnxruntime has no {name}: pip install '.[gpu]' on a machine with an NVIDIA GPU, or use --engine cpu"
        )
    return name


def _is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def _spec(graph: str, node: "onnxruntime.NodeArg") -> TensorSpec:
    if not all(isinstance(size, int) for size in node.shape):
        raise EngineError(f"graph {graph}: {node.name} has no static shape ({node.shape}); export it again")
    if node.type not in DTYPES:
        raise EngineError(f"graph {graph}: {node.name} is a {node.type}, none of {', '.join(DTYPES)}; export it again")
    return TensorSpec(tuple(node.shape), DTYPES[node.type])
