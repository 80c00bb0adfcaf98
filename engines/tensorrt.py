"""Graphs on TensorRT itself: engines built by `python -m export.to_tensorrt`, replayed as CUDA graphs.

Written against TensorRT 10.12 and 11 and tested with a stand-in for both libraries (`tests/fake_gpu.py`): not run on a GPU
by us.
"""

import importlib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from engines.cuda import INSTALL, Cuda, DeviceArray
from engines.engine import Array, EngineError, EngineLost, TensorSpec, check_inputs, outputs_for
from engines.tensorrt_store import EngineStore, Recipe, Target

if TYPE_CHECKING:
    from engines.bundle import GraphEntry

OLDEST = (10, 12)
PRECISIONS = ("fp16", "fp32")
RULES = 1  # one more whenever `export/strong_types.py` or the builder's settings make another engine of the same graph

logger = logging.getLogger(__name__)


def library() -> ModuleType:
    """TensorRT; raises EngineError when it is missing or too old."""
    try:
        tensorrt = importlib.import_module("tensorrt")
    except ImportError as error:
        raise EngineError(f"TensorRT is missing ({error}): {INSTALL}") from error
    version = tuple(int(part) for part in tensorrt.__version__.split(".")[:2])
    if version < OLDEST:
        raise EngineError(f"TensorRT {tensorrt.__version__} is too old: install 10.12 or newer")
    return tensorrt


class UnusableEngine(EngineError):
    """There is no engine for a graph, or one that has to be built again."""


class TensorRt:
    """The library, one GPU, and the engines that have been built for a bundle."""

    def __init__(self, bundle: Path, precision: str = "fp16"):
        """Raises EngineError without TensorRT, CUDA or a GPU, and for another precision than PRECISIONS."""
        if precision not in PRECISIONS:
            raise EngineError(
                f"TensorRT's engines are {' or '.join(PRECISIONS)}, not {precision}: leave the variant out"
            )
        self.library, self.cuda = library(), Cuda()
        self.target = Target(self.library.__version__, self.cuda.name, self.cuda.compute_capability)
        self.store, self.precision, self._bundle = EngineStore.beside(bundle), precision, bundle
        self.logger = self.library.Logger(self.library.Logger.WARNING)

    def recipe(self, graph: str, entry: "GraphEntry") -> Recipe:
        return Recipe(
            graph, "+".join(entry.checksums.values()), self.precision, entry.inputs, entry.outputs, self.target, RULES
        )

    def open(self, graph: str, entry: "GraphEntry") -> "TensorRtEngine":
        """A graph ready to run; raises UnusableEngine when none has been built for it, this GPU and this version, or TensorRT does
        not take it, and EngineError when it cannot run."""
        recipe = self.recipe(graph, entry)
        plan = self.store.load(recipe)
        if plan is None:
            raise UnusableEngine(
                f"no TensorRT {self.target.tensorrt} engine of graph {graph} for {self.target.gpu}: "
                f"build it with python -m export.to_tensorrt {self._bundle}"
            )
        try:
            return TensorRtEngine(self, recipe, plan)
        except UnusableEngine as error:
            raise UnusableEngine(
                f"{error}. Unless the GPU's memory is full, build it again with python -m export.to_tensorrt {self._bundle}"
            ) from error


class TensorRtEngine:
    """One engine with a buffer on the GPU for each input and output, so that a single captured graph can be replayed."""

    def __init__(self, gpu: TensorRt, recipe: Recipe, plan: bytes):
        self.name, self.inputs, self.outputs = recipe.graph, recipe.inputs, recipe.outputs
        self._cuda = gpu.cuda
        self._engine = gpu.library.Runtime(gpu.logger).deserialize_cuda_engine(plan)
        if self._engine is None:
            raise UnusableEngine(f"TensorRT does not take its engine of graph {self.name}; its messages are above")
        self._check(gpu.library)
        self._context: Any = self._engine.create_execution_context()
        if self._context is None:
            raise EngineError(
                f"TensorRT cannot prepare graph {self.name} to run; its messages are above: the GPU's memory may be full"
            )
        specs = {**self.inputs, **self.outputs}
        self._buffers = {name: DeviceArray(self._cuda, spec.shape, spec.dtype) for name, spec in specs.items()}
        for name, buffer in self._buffers.items():
            self._context.set_tensor_address(name, buffer.address)
        self._execute: Callable[[], None] = self._queue
        zeros = {name: np.zeros(spec.shape, spec.dtype) for name, spec in self.inputs.items()}
        self.run(zeros)  # TensorRT allocates on its first run, which a capture may not
        self.provider = f"TensorRT {gpu.target.tensorrt} on {gpu.target.gpu}"
        try:
            self._execute = self._cuda.capture(self._queue)
        except EngineError as error:
            logger.warning("graph %s runs without a CUDA graph: %s", self.name, error)
            self.provider += " without CUDA graph"
        self.run(zeros)

    def run(self, inputs: Mapping[str, Array], into: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """As every engine; arrays of `empty` are read and written on the GPU."""
        check_inputs(self.name, self.inputs, inputs)
        outputs = outputs_for(self.name, self.outputs, into)
        held = []  # copies must live until the stream has read them
        for name, array in inputs.items():
            buffer = self._buffers[name]
            if isinstance(array, DeviceArray):
                self._cuda.move(buffer.address, array.address, buffer.nbytes)
            else:
                held.append(np.ascontiguousarray(array))
                self._cuda.upload(buffer.address, held[-1])
        self._execute()
        for name, array in outputs.items():
            buffer = self._buffers[name]
            if isinstance(array, DeviceArray):
                self._cuda.move(array.address, buffer.address, buffer.nbytes)
            else:
                self._cuda.download(array, buffer.address)
        self._cuda.synchronise()
        return outputs

    def empty(self, shape: tuple[int, ...], dtype: str) -> Any:
        return DeviceArray(self._cuda, shape, dtype)

    def _queue(self) -> None:
        if not self._context.execute_async_v3(int(self._cuda.stream)):
            raise EngineLost(f"TensorRT cannot run graph {self.name}; its messages are above")

    def _check(self, library: ModuleType) -> None:
        """Raises EngineError unless the engine's inputs and outputs are those of the graph."""
        engine = self._engine
        found: dict[Any, dict[str, TensorSpec]] = {
            mode: {} for mode in (library.TensorIOMode.INPUT, library.TensorIOMode.OUTPUT)
        }
        for i in range(engine.num_io_tensors):
            name = engine.get_tensor_name(i)
            dtype = np.dtype(library.nptype(engine.get_tensor_dtype(name))).name
            found[engine.get_tensor_mode(name)][name] = TensorSpec(tuple(engine.get_tensor_shape(name)), dtype)
        if list(found.values()) != [dict(self.inputs), dict(self.outputs)]:
            raise UnusableEngine(f"the TensorRT engine of graph {self.name} has other inputs or outputs than the graph")
