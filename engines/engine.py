"""The one seam behind which a graph runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class EngineError(Exception):
    """A graph cannot be opened or was given something it does not take."""


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

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Every output by name; raises EngineError for a missing, surplus or wrongly shaped input."""
        ...


def check_inputs(graph: str, specs: Mapping[str, TensorSpec], inputs: Mapping[str, Array]) -> None:
    """Raises EngineError unless `inputs` are exactly what `specs` say."""
    if inputs.keys() != specs.keys():
        missing, surplus = sorted(specs.keys() - inputs.keys()), sorted(inputs.keys() - specs.keys())
        raise EngineError(f"graph {graph}: missing inputs {missing}, unknown inputs {surplus}")
    for name, spec in specs.items():
        given = inputs[name]
        if given.shape != spec.shape or given.dtype != np.dtype(spec.dtype):
            raise EngineError(
                f"graph {graph}: input {name} is {given.dtype}{list(given.shape)}, wanted {spec.dtype}{list(spec.shape)}"
            )
