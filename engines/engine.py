"""The one seam behind which a graph runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class EngineError(Exception):
    """A graph cannot be opened or was given something it does not take."""


class EngineLost(EngineError):
    """What runs the graphs is gone, as a CUDA context after a fault: nothing in this process will run on it any more."""


@dataclass(frozen=True)
class TensorSpec:
    """Static shape and numpy dtype name of one input or output."""

    shape: tuple[int, ...]
    dtype: str


class Engine(Protocol):
    """A graph ready to run. `provider` is what really executes it."""

    @property
    def inputs(self) -> Mapping[str, TensorSpec]: ...

    @property
    def outputs(self) -> Mapping[str, TensorSpec]: ...

    @property
    def provider(self) -> str: ...

    def run(self, inputs: Mapping[str, Array], into: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """Every output by name; those named in `into` are written there, the others are new.

        Raises EngineError for a missing, surplus or wrongly shaped input, and for an array that cannot be written into; EngineLost
        when it can run no more.
        """
        ...

    def empty(self, shape: tuple[int, ...], dtype: str) -> Array:
        """An array for a stream's state, where this engine computes: on a GPU it never comes back from there.

        It can be given to `run` of this engine, sliced along the first axis longer than 1, and assigned to.
        """
        ...


def check_inputs(graph: str, specs: Mapping[str, TensorSpec], inputs: Mapping[str, Array]) -> None:
    """Raises EngineError unless `inputs` are exactly what `specs` say."""
    if inputs.keys() != specs.keys():
        missing, surplus = sorted(specs.keys() - inputs.keys()), sorted(inputs.keys() - specs.keys())
        raise EngineError(f"graph {graph}: missing inputs {missing}, unknown inputs {surplus}")
    for name, spec in specs.items():
        _check(f"graph {graph}: input {name}", spec, inputs[name])


def outputs_for(graph: str, specs: Mapping[str, TensorSpec], into: Mapping[str, Array] | None) -> dict[str, Array]:
    """An array for every output: the caller's where `into` has one. Raises EngineError when such a one does not fit."""
    into = into or {}
    if unknown := sorted(into.keys() - specs.keys()):
        raise EngineError(f"graph {graph}: unknown outputs {unknown}")
    for name, array in into.items():
        _check(f"graph {graph}: output {name}", specs[name], array)
        if isinstance(array, np.ndarray) and not (array.flags.c_contiguous and array.flags.writeable):
            raise EngineError(f"graph {graph}: the array for output {name} must be contiguous and writeable")
    return {name: into[name] if name in into else np.empty(spec.shape, spec.dtype) for name, spec in specs.items()}


def _check(what: str, spec: TensorSpec, given: Array) -> None:
    if given.shape != spec.shape or given.dtype != np.dtype(spec.dtype):
        raise EngineError(f"{what} is {given.dtype}{list(given.shape)}, wanted {spec.dtype}{list(spec.shape)}")
