"""The few calls of the CUDA runtime that a TensorRT engine needs, and arrays that live on the GPU."""

import importlib
import math
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.engine import EngineError, EngineLost

INSTALL = "pip install '.[gpu]' on a machine with an NVIDIA GPU, or use --engine cpu"


class Cuda:
    """One GPU and one stream on it. Raises EngineError when a call fails, with CUDA's own word for it."""

    def __init__(self, device: int = 0):
        try:
            self._runtime: ModuleType = importlib.import_module("cuda.bindings.runtime")
        except ImportError as error:
            raise EngineError(f"CUDA's Python bindings are missing ({error}): {INSTALL}") from error
        self._call("cudaSetDevice", device)
        properties = self._call("cudaGetDeviceProperties", device)
        self.name = properties.name.decode() if isinstance(properties.name, bytes) else str(properties.name)
        self.compute_capability = f"{properties.major}.{properties.minor}"
        self.stream = self._call("cudaStreamCreate")

    def allocate(self, size_bytes: int) -> int:
        """Address of new memory on the GPU."""
        return int(self._call("cudaMalloc", size_bytes))

    def free(self, address: int) -> None:
        self._call("cudaFree", address)

    def upload(self, address: int, array: NDArray[Any]) -> None:
        """Queues a copy of a contiguous array; it must live until `synchronise`."""
        self._copy(address, array.ctypes.data, array.nbytes, "cudaMemcpyHostToDevice")

    def download(self, array: NDArray[Any], address: int) -> None:
        """Queues a copy into a contiguous array, which is there after `synchronise`."""
        self._copy(array.ctypes.data, address, array.nbytes, "cudaMemcpyDeviceToHost")

    def move(self, target: int, source: int, size_bytes: int) -> None:
        """Queues a copy within the GPU."""
        self._copy(target, source, size_bytes, "cudaMemcpyDeviceToDevice")

    def synchronise(self) -> None:
        self._call("cudaStreamSynchronize", self.stream)

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        """Records what `work` queues as a CUDA graph; returns what queues all of it at once."""
        mode = self._runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call("cudaStreamBeginCapture", self.stream, mode)
        try:
            work()
        finally:
            graph = self._call("cudaStreamEndCapture", self.stream)
        executable = self._call("cudaGraphInstantiate", graph, 0)
        return lambda: self._call("cudaGraphLaunch", executable, self.stream)

    def _copy(self, target: int, source: int, size_bytes: int, kind: str) -> None:
        self._call(
            "cudaMemcpyAsync", target, source, size_bytes, getattr(self._runtime.cudaMemcpyKind, kind), self.stream
        )

    def _call(self, name: str, *arguments: Any) -> Any:
        error, *values = getattr(self._runtime, name)(*arguments)
        if error != self._runtime.cudaError_t.cudaSuccess:
            is_short = error == self._runtime.cudaError_t.cudaErrorMemoryAllocation
            raise (EngineError if is_short else EngineLost)(f"{name} failed: {error.name}")
        return values[0] if values else None


class DeviceArray:
    """An array on the GPU, always contiguous; slices share its memory."""

    def __init__(self, cuda: Cuda, shape: Sequence[int], dtype: Any, shared: "tuple[DeviceArray, int] | None" = None):
        self.cuda, self.shape, self.dtype = cuda, tuple(shape), np.dtype(dtype)
        self.nbytes = math.prod(self.shape) * self.dtype.itemsize
        self._owner = shared[0] if shared else None
        self.address = shared[1] if shared else cuda.allocate(self.nbytes)

    def __getitem__(self, index: Any) -> "DeviceArray":
        """Whole axes of length 1 and then one range, as `array[:, 2:4]`; raises ValueError for what is not contiguous."""
        index = index if isinstance(index, tuple) else (index,)
        axis = len(index) - 1
        whole = all(part == slice(None) and size == 1 for part, size in zip(index[:-1], self.shape, strict=False))
        if not (whole and isinstance(index[-1], slice) and index[-1].step in (None, 1)):
            raise ValueError(f"{index} of an array {list(self.shape)} on the GPU is not contiguous")
        start, stop, _ = index[-1].indices(self.shape[axis])
        stop = max(start, stop)
        row_bytes = math.prod(self.shape[axis + 1 :]) * self.dtype.itemsize
        shape = (*self.shape[:axis], stop - start, *self.shape[axis + 1 :])
        return DeviceArray(self.cuda, shape, self.dtype, (self._owner or self, self.address + start * row_bytes))

    def __setitem__(self, index: Any, value: "DeviceArray | NDArray[Any]") -> None:
        target = self[index]
        if value.shape != target.shape or value.dtype != target.dtype:
            raise ValueError(f"{value.dtype}{list(value.shape)} does not fit into {target.dtype}{list(target.shape)}")
        if isinstance(value, DeviceArray):
            self.cuda.move(target.address, value.address, target.nbytes)
        else:
            self.cuda.upload(target.address, np.ascontiguousarray(value))
            self.cuda.synchronise()

    def numpy(self) -> NDArray[Any]:
        """A copy in main memory."""
        out = np.empty(self.shape, self.dtype)
        self.cuda.download(out, self.address)
        self.cuda.synchronise()
        return out

    def __del__(self) -> None:
        if getattr(self, "_owner", self) is None and hasattr(self, "address"):
            self.cuda.free(self.address)
