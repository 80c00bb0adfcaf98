"""The parity table measures what it says, and its tolerances refuse what they should."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engines.bundle import Bundle, open_bundle  # noqa: E402
from engines.engine import Array, Engine  # noqa: E402
from export import check_parity  # noqa: E402
from export.check_parity import FRAMES, MOUTH, TorchEngine, below, compare, table  # noqa: E402
from export.fidelity import FLOORS, signal_to_difference_db  # noqa: E402
from export.portrait_graphs import GraphSpec  # noqa: E402
from tests.toy_bundle import write_bundle, write_doubler  # noqa: E402

BUNDLE = Path(__file__).parent.parent / "bundles" / "flap-small"


class Distorted:
    """An engine whose one output is off by a share of its size."""

    def __init__(self, engine: Engine, output: str, share: float):
        self._engine, self._output, self._share = engine, output, share
        self.inputs, self.outputs, self.provider = engine.inputs, engine.outputs, engine.provider
        self.empty = engine.empty

    def run(self, inputs: Mapping[str, Array], into: Mapping[str, Array] | None = None) -> dict[str, Array]:
        made = self._engine.run(inputs, into)
        made[self._output][:] = np.round(made[self._output] * (1 - self._share)).astype(made[self._output].dtype)
        return made


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return open_bundle(BUNDLE)


def with_distorted(bundle: Bundle, graph: str, output: str, share: float) -> Bundle:
    return replace(bundle, engines={**bundle.engines, graph: Distorted(bundle.engines[graph], output, share)})


def test_equal_graphs_are_equal_and_a_distorted_one_is_found_where_it_stands(bundle: Bundle) -> None:
    others = {"fp16": bundle, "int8": with_distorted(bundle, "decoder", "frames", 0.05)}
    columns = compare(bundle, others, seeds=range(1), chunks=2)
    assert set(columns["fp16"]) == {*bundle.engines, FRAMES, MOUTH}
    assert set(columns["fp16"].values()) == {120.0} and not below({"fp16": columns["fp16"]})
    distorted = columns["int8"]
    assert distorted["decoder"] == pytest.approx(26, abs=0.3)  # 20 log10(1 / 0.05)
    assert all(distorted[graph] == 120 for graph in bundle.engines if graph != "decoder")
    assert [line.split(":")[0] for line in below({"int8": distorted})] == [f"int8, {FRAMES}", f"int8, {MOUTH}"]
    assert "**below**" in table(columns)


@pytest.mark.parametrize("name", FLOORS)
def test_every_floor_refuses_a_difference_just_beyond_it_and_what_is_no_number(name: str) -> None:
    floor = FLOORS[name]
    column = {"decoder": floor.graph, FRAMES: floor.frames, MOUTH: floor.mouth}
    assert not below({name: column})
    for row in column:
        for bad in (column[row] - 0.1, float("nan")):
            assert len(below({name: {**column, row: bad}})) == 1


def test_the_worst_output_counts_and_nan_is_worse_than_anything() -> None:
    wanted = [{"a": np.ones(4), "b": np.ones(4)}]
    made = [{"a": np.full(4, 1.1), "b": np.full(4, 1.01)}]
    assert signal_to_difference_db(made, wanted) == pytest.approx(20)
    assert np.isnan(signal_to_difference_db([{"a": np.full(4, np.nan), "b": np.ones(4)}], wanted))


def test_a_network_in_torch_stands_behind_the_seam_of_the_engines(bundle: Bundle, tmp_path: Path) -> None:
    doubler = open_bundle(write_bundle(tmp_path / "toy")).engines["doubler"]

    class Doubler(torch.nn.Module):
        def forward(self, number):  # type: ignore[no-untyped-def]
            return 2 * number

    engine = TorchEngine(GraphSpec("doubler", Doubler(), {"number": torch.zeros(1, 3)}, ("doubled",)), doubler)
    into = {"doubled": np.zeros((1, 3), np.float32)}
    assert engine.run({"number": np.ones((1, 3), np.float32)}, into)["doubled"] is into["doubled"]
    assert into["doubled"].tolist() == [[2, 2, 2]]


def test_a_bundle_with_nothing_to_compare_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="nothing to compare: give --checkpoint, or make variants"):
        check_parity.main([str(write_bundle(tmp_path / "toy"))])
    write_doubler(tmp_path / "toy" / "doubler.onnx", (1, 4))
    with pytest.raises(SystemExit, match="cannot compare: .* wrong checksum"):
        check_parity.main([str(tmp_path / "toy")])


def test_graphs_of_a_bundle_without_presenters_are_compared_alone(tmp_path: Path) -> None:
    bundle = open_bundle(write_bundle(tmp_path / "toy", presenters=[]))
    assert compare(bundle, {"fp16": bundle}) == {"fp16": {"doubler": 120.0}}
