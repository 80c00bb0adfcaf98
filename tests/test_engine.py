"""What an engine takes and refuses, on ONNX Runtime."""

from importlib import metadata
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto

from engines.engine import Engine, EngineError, EngineLost, TensorSpec
from engines.onnx import OnnxEngine, provider_name
from tests.toy_bundle import write_doubler

NUMBER = np.array([[1, 2, 3]], np.float32)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    write_doubler(tmp_path / "doubler.onnx")
    return OnnxEngine(tmp_path / "doubler.onnx", threads=1)


def test_a_graph_runs_and_names_its_outputs(engine: Engine) -> None:
    outputs = engine.run({"number": NUMBER})
    assert list(outputs) == ["doubled"]
    np.testing.assert_array_equal(outputs["doubled"], 2 * NUMBER)


def test_an_engine_says_what_it_takes_gives_and_runs_on(engine: Engine) -> None:
    assert engine.inputs == {"number": TensorSpec((1, 3), "float32")}
    assert engine.outputs == {"doubled": TensorSpec((1, 3), "float32")}
    assert engine.provider == "CPUExecutionProvider"


def test_outputs_of_one_run_are_not_overwritten_by_the_next(engine: Engine) -> None:
    first = engine.run({"number": NUMBER})["doubled"]
    engine.run({"number": 5 * NUMBER})
    np.testing.assert_array_equal(first, 2 * NUMBER)


def test_an_output_is_written_into_the_callers_array(engine: Engine) -> None:
    strip = np.zeros((1, 9), np.float32)
    outputs = engine.run({"number": NUMBER}, {"doubled": strip[:, 3:6]})
    assert strip[0].tolist() == [0, 0, 0, 2, 4, 6, 0, 0, 0]
    assert np.shares_memory(outputs["doubled"], strip)


def test_an_input_that_is_a_strided_view_is_read_right(engine: Engine) -> None:
    strided = np.arange(6, dtype=np.float32).reshape(1, 6)[:, ::2]
    assert engine.run({"number": strided})["doubled"].tolist() == [[0, 4, 8]]


@pytest.mark.parametrize(
    ("into", "message"),
    [
        ({"halved": NUMBER}, r"unknown outputs \['halved'\]"),
        ({"doubled": NUMBER[:, :2]}, r"output doubled is float32\[1, 2\], wanted float32\[1, 3\]"),
        ({"doubled": np.zeros((1, 6), np.float32)[:, ::2]}, "output doubled must be contiguous and writeable"),
    ],
)
def test_an_array_that_an_output_does_not_fit_is_refused(engine: Engine, into: dict, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        engine.run({"number": NUMBER}, into)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, r"missing inputs \['number'\]"),
        ({"number": NUMBER, "extra": NUMBER}, r"unknown inputs \['extra'\]"),
        ({"number": NUMBER[:, :2]}, r"float32\[1, 2\], wanted float32\[1, 3\]"),
        ({"number": NUMBER.astype(np.float64)}, r"float64\[1, 3\], wanted float32\[1, 3\]"),
    ],
)
def test_wrong_inputs_are_refused_by_name(engine: Engine, inputs: dict, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        engine.run(inputs)


def test_an_unknown_engine_is_refused_with_the_known_ones() -> None:
    with pytest.raises(EngineError, match="choose one of cpu, cuda, tensorrt"):
        provider_name("gpu")


def test_a_provider_that_is_not_installed_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(EngineError, match="or use --engine cpu"):
        provider_name("cuda")


def test_the_wheel_for_processors_in_the_place_of_the_one_for_gpus_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.setattr(metadata, "version", lambda distribution: "1.32.0")
    with pytest.raises(EngineError, match="lie in the same folder.*pip uninstall -y onnxruntime onnxruntime-gpu"):
        provider_name("cuda")


def test_a_silent_fall_back_to_another_provider_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_doubler(tmp_path / "doubler.onnx")
    monkeypatch.setattr(onnxruntime.InferenceSession, "get_providers", lambda self: ["AzureExecutionProvider"])
    with pytest.raises(EngineError, match="runs on AzureExecutionProvider, not on CPUExecutionProvider"):
        OnnxEngine(tmp_path / "doubler.onnx")


def test_a_graph_without_static_shapes_is_refused(tmp_path: Path) -> None:
    write_doubler(tmp_path / "doubler.onnx", ("batch", 3))
    with pytest.raises(EngineError, match="number has no static shape"):
        OnnxEngine(tmp_path / "doubler.onnx")


def test_a_graph_that_opens_and_does_not_run_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_doubler(tmp_path / "doubler.onnx")

    def fail(self: onnxruntime.InferenceSession, binding: object) -> None:
        raise RuntimeError("CUDA error: no kernel image is available")

    monkeypatch.setattr(onnxruntime.InferenceSession, "run_with_iobinding", fail)
    with pytest.raises(EngineError, match="graph doubler cannot run on CPUExecutionProvider: CUDA error"):
        OnnxEngine(tmp_path / "doubler.onnx")


def test_an_engine_that_runs_no_more_is_lost_and_wrong_inputs_are_not_its_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_doubler(tmp_path / "doubler.onnx")
    engine = OnnxEngine(tmp_path / "doubler.onnx")
    with pytest.raises(EngineError) as refused:
        engine.run({})
    assert not isinstance(refused.value, EngineLost)

    def fail(*_: object) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    zeros = {name: np.zeros(spec.shape, spec.dtype) for name, spec in engine.inputs.items()}
    for step in (onnxruntime.InferenceSession, "run_with_iobinding"), (onnxruntime.IOBinding, "bind_cpu_input"):
        with (
            monkeypatch.context() as broken,
            pytest.raises(EngineLost, match="doubler runs no more on CPU.*: CUDA error"),
        ):
            broken.setattr(*step, fail)
            engine.run(zeros)


def test_a_shortage_of_memory_is_no_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_doubler(tmp_path / "doubler.onnx")
    engine = OnnxEngine(tmp_path / "doubler.onnx")

    def fail(self: onnxruntime.InferenceSession, binding: object) -> None:
        raise RuntimeError("Failed to allocate memory for requested buffer of size 1024")

    monkeypatch.setattr(onnxruntime.InferenceSession, "run_with_iobinding", fail)
    with pytest.raises(EngineError) as short:
        engine.run({name: np.zeros(spec.shape, spec.dtype) for name, spec in engine.inputs.items()})
    assert not isinstance(short.value, EngineLost)


def test_a_graph_with_numbers_of_another_kind_is_refused(tmp_path: Path) -> None:
    write_doubler(tmp_path / "doubler.onnx", kind=TensorProto.DOUBLE)
    with pytest.raises(EngineError, match=r"number is a tensor\(double\), none of tensor\(float\)"):
        OnnxEngine(tmp_path / "doubler.onnx")


def test_a_file_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    with pytest.raises(EngineError, match="graph broken cannot be opened"):
        OnnxEngine(tmp_path / "broken.onnx")


def test_worker_threads_do_not_spin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_doubler(tmp_path / "doubler.onnx")
    seen, open_session = [], onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime,
        "InferenceSession",
        lambda path, options, **more: seen.append(options) or open_session(path, options, **more),
    )
    OnnxEngine(tmp_path / "doubler.onnx", threads=1)
    assert seen[0].get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert seen[0].intra_op_num_threads == 1
