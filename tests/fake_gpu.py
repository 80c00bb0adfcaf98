"""Stand-ins for `tensorrt` and `cuda.bindings.runtime` that compute on the processor.

Device memory is memory of this process; a plan is the ONNX that it was built from, run by ONNX Runtime when a queue says
so. What this shows is ours: addresses, copies, what is captured and replayed, keys and caches. How the real libraries
behave it cannot show; names and arguments follow their documentation (TensorRT 11.4, cuda-bindings 13).
"""

import ctypes
import sys
from collections.abc import Callable
from enum import IntEnum
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

DTYPES = {1: np.float32, 2: np.uint8, 10: np.float16}


class Status(IntEnum):
    cudaSuccess = 0
    cudaErrorInvalidValue = 1
    cudaErrorMemoryAllocation = 2
    cudaErrorNoDevice = 100


class FakeCuda(ModuleType):
    """`cuda.bindings.runtime`; `counts` has how often each call was made, copies by their direction."""

    cudaError_t = Status
    cudaMemcpyKind = SimpleNamespace(
        cudaMemcpyHostToDevice="up", cudaMemcpyDeviceToHost="down", cudaMemcpyDeviceToDevice="within"
    )
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)

    def __init__(self) -> None:
        super().__init__("cuda.bindings.runtime")
        self.blocks: dict[int, Any] = {}
        self.counts: dict[str, int] = {}
        self.captured: list[Callable[[], None]] | None = None
        self.can_capture = True

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    def queue(self, work: Callable[[], None]) -> None:
        work() if self.captured is None else self.captured.append(work)

    def cudaSetDevice(self, device: int) -> tuple[Status]:
        return (Status.cudaSuccess,)

    def cudaGetDeviceProperties(self, device: int) -> tuple[Status, Any]:
        return Status.cudaSuccess, SimpleNamespace(name=b"Pretended GPU", major=8, minor=9)

    def cudaStreamCreate(self) -> tuple[Status, int]:
        return Status.cudaSuccess, 7

    def cudaStreamSynchronize(self, stream: int) -> tuple[Status]:
        return (Status.cudaSuccess,)

    def cudaMalloc(self, size: int) -> tuple[Status, int]:
        block = ctypes.create_string_buffer(b"\x7f" * size, max(1, size))  # rubbish, so that nobody relies on zeros
        self.blocks[ctypes.addressof(block)] = block
        return Status.cudaSuccess, ctypes.addressof(block)

    def cudaFree(self, address: int) -> tuple[Status]:
        return (Status.cudaSuccess if self.blocks.pop(address, None) else Status.cudaErrorInvalidValue,)

    def cudaMemcpyAsync(self, target: int, source: int, size: int, kind: str, stream: int) -> tuple[Status]:
        ends = {"up": (target,), "down": (source,), "within": (target, source)}[kind]
        if not all(self._is_on_the_device(address, size) for address in ends):
            return (Status.cudaErrorInvalidValue,)
        self.count(kind)
        ctypes.memmove(target, source, size)
        return (Status.cudaSuccess,)

    def _is_on_the_device(self, address: int, size: int) -> bool:
        return any(start <= address and address + size <= start + len(block) for start, block in self.blocks.items())

    def cudaStreamBeginCapture(self, stream: int, mode: int) -> tuple[Status]:
        if not self.can_capture:
            return (Status.cudaErrorInvalidValue,)
        self.captured = []
        return (Status.cudaSuccess,)

    def cudaStreamEndCapture(self, stream: int) -> tuple[Status, Any]:
        captured, self.captured = self.captured, None
        return Status.cudaSuccess, captured

    def cudaGraphInstantiate(self, graph: Any, flags: int) -> tuple[Status, Any]:
        return Status.cudaSuccess, list(graph)

    def cudaGraphLaunch(self, executable: Any, stream: int) -> tuple[Status]:
        self.count("launch")
        for work in executable:
            work()
        return (Status.cudaSuccess,)


class Mode(IntEnum):
    INPUT = 1
    OUTPUT = 2


class FakeContext:
    def __init__(self, cuda: FakeCuda, model: onnx.ModelProto):
        self._cuda, self._addresses = cuda, dict[str, int]()
        self._session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        self._values = {value.name: value for value in (*model.graph.input, *model.graph.output)}

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return name in self._values

    def execute_async_v3(self, stream: int) -> bool:
        self._cuda.count("execute")
        self._cuda.queue(self._execute)
        return stream == 7

    def _execute(self) -> None:
        fed = {value.name: self._at(value.name).copy() for value in self._session.get_inputs()}
        for value, made in zip(self._session.get_outputs(), self._session.run(None, fed), strict=True):
            self._at(value.name)[:] = made

    def _at(self, name: str) -> np.ndarray:
        kind = self._values[name].type.tensor_type
        shape = [d.dim_value for d in kind.shape.dim]
        count = int(np.prod(shape)) * np.dtype(DTYPES[kind.elem_type]).itemsize
        memory = (ctypes.c_char * count).from_address(self._addresses[name])
        return np.frombuffer(memory, DTYPES[kind.elem_type]).reshape(shape)


class FakeEngine:
    def __init__(self, cuda: FakeCuda, model: onnx.ModelProto, has_memory: bool):
        self._cuda, self._model, self._has_memory = cuda, model, has_memory
        self._modes = {value.name: Mode.INPUT for value in model.graph.input}
        self._modes |= {value.name: Mode.OUTPUT for value in model.graph.output}
        self._values = {value.name: value.type.tensor_type for value in (*model.graph.input, *model.graph.output)}
        self.num_io_tensors = len(self._values)

    def get_tensor_name(self, index: int) -> str:
        return list(self._values)[index]

    def get_tensor_mode(self, name: str) -> Mode:
        return self._modes[name]

    def get_tensor_shape(self, name: str) -> list[int]:
        return [d.dim_value for d in self._values[name].shape.dim]

    def get_tensor_dtype(self, name: str) -> int:
        return self._values[name].elem_type

    def create_execution_context(self) -> FakeContext | None:
        return FakeContext(self._cuda, self._model) if self._has_memory else None


class FakeTensorRt(ModuleType):
    """`tensorrt`; `built` has the models that were built, `timings` what each build was given as its timing cache."""

    TensorIOMode = Mode
    NetworkDefinitionCreationFlag = IntEnum("NetworkDefinitionCreationFlag", {"STRONGLY_TYPED": 1})
    MemoryPoolType = SimpleNamespace(WORKSPACE="workspace")
    BuilderFlag = SimpleNamespace(TF32="tf32")

    def __init__(self, cuda: FakeCuda, version: str = "11.4.0"):
        super().__init__("tensorrt")
        self.__version__ = version
        self._cuda = cuda
        self.built: list[onnx.ModelProto] = []
        self.timings: list[bytes] = []
        self.can_build = True
        self.takes_timings = True
        self.has_memory = True

    class Logger:
        WARNING = 2

        def __init__(self, severity: int):
            pass

    def nptype(self, dtype: int) -> type:
        return DTYPES[dtype]

    def Builder(self, logger: Any) -> Any:
        def create_network(flags: int) -> SimpleNamespace:
            assert flags == 1 << 1, "not strongly typed"
            return SimpleNamespace(model=None)

        def build(network: Any, config: Any) -> bytes | None:
            self.built.append(network.model)
            return b"plan" + network.model.SerializeToString() if self.can_build else None

        return SimpleNamespace(
            create_network=create_network, create_builder_config=self._config, build_serialized_network=build
        )

    def _config(self) -> Any:
        def create_timing_cache(data: bytes) -> SimpleNamespace:
            self.timings.append(data)
            return SimpleNamespace(serialize=lambda: data + b"t")

        def set_timing_cache(cache: Any, ignore_mismatch: bool) -> bool:
            if self.timings[-1] and not self.takes_timings:
                return False
            config.get_timing_cache = lambda: cache
            return True

        config = SimpleNamespace(create_timing_cache=create_timing_cache, set_timing_cache=set_timing_cache)
        config.get_timing_cache = lambda: None
        config.set_memory_pool_limit = lambda pool, size: None
        config.clear_flag = lambda flag: None
        return config

    def OnnxParser(self, network: Any, logger: Any) -> Any:
        def parse_from_file(path: str) -> bool:
            network.model = onnx.load(path)
            return True

        return SimpleNamespace(parse_from_file=parse_from_file, num_errors=0)

    def Runtime(self, logger: Any) -> Any:
        def deserialize(plan: bytes) -> FakeEngine | None:
            if not plan.startswith(b"plan"):
                return None
            return FakeEngine(self._cuda, onnx.load_from_string(plan.removeprefix(b"plan")), self.has_memory)

        return SimpleNamespace(deserialize_cuda_engine=deserialize)


def install(monkeypatch: pytest.MonkeyPatch) -> tuple[FakeCuda, FakeTensorRt]:
    """Both libraries as they would be found on a machine with a GPU."""
    cuda = FakeCuda()
    tensorrt = FakeTensorRt(cuda)
    monkeypatch.setitem(sys.modules, "cuda", ModuleType("cuda"))
    monkeypatch.setitem(sys.modules, "cuda.bindings", ModuleType("cuda.bindings"))
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", cuda)
    monkeypatch.setitem(sys.modules, "tensorrt", tensorrt)
    return cuda, tensorrt
