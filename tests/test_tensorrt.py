"""The native TensorRT runner and its builder, on stand-ins for TensorRT and CUDA (see fake_gpu.py for what that shows)."""

import gc
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

pytest.importorskip("torch")  # what export/ needs

from engines.bundle import NATIVE, open_bundle  # noqa: E402
from engines.cuda import DeviceArray  # noqa: E402
from engines.engine import Engine, EngineError  # noqa: E402
from engines.tensorrt import TensorRt  # noqa: E402
from export import check_parity, to_tensorrt  # noqa: E402
from export.bundle import ExportError  # noqa: E402
from export.fidelity import FLOORS, Floor  # noqa: E402
from export.to_tensorrt import build_missing, main  # noqa: E402
from flap import coefficients as co  # noqa: E402
from flap.config import CHUNK_FRAMES  # noqa: E402
from realtime.render.past_frames import ROOM_FRAMES
from realtime.render.portrait import PortraitStage  # noqa: E402
from tests import fake_gpu  # noqa: E402
from tests.fake_gpu import FakeCuda, FakeTensorRt  # noqa: E402
from tests.toy_bundle import write_bundle  # noqa: E402

SHIPPED = Path(__file__).parent.parent / "bundles" / "flap-small"
NUMBER = np.array([[1, 2, 3]], np.float32)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> tuple[FakeCuda, FakeTensorRt]:
    return fake_gpu.install(monkeypatch)


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "toy")


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    folder = tmp_path / "flap-small"
    folder.symlink_to(SHIPPED)
    return folder


def build(folder: Path, precision: str = "fp32") -> list[str]:
    return list(build_missing(TensorRt(folder, precision), folder, open_bundle(folder, threads=1)))


def opened(folder: Path) -> Engine:
    build(folder)
    return open_bundle(folder, provider=NATIVE, variant="fp32").engines["doubler"]


def test_an_engine_is_built_once_and_again_when_it_is_damaged(gpu: tuple[FakeCuda, FakeTensorRt], toy: Path) -> None:
    assert "built in" in build(toy)[0] and "built before" in build(toy)[0]
    next((toy.parent / "toy.tensorrt").glob("*/plan")).write_bytes(b"plan")
    assert "built in" in build(toy)[0]
    assert len(gpu[1].built) == 2 and gpu[1].timings == [b"", b"t"]


def test_another_gpu_or_version_needs_engines_of_its_own(gpu: tuple[FakeCuda, FakeTensorRt], toy: Path) -> None:
    build(toy)
    gpu[1].__version__ = "11.5.0"
    with pytest.raises(
        EngineError, match=r"no TensorRT 11\.5\.0 engine of graph doubler for Pretended GPU: build it with"
    ):
        open_bundle(toy, provider=NATIVE, variant="fp32")


def test_a_build_that_fails_is_reported_and_nothing_is_kept(gpu: tuple[FakeCuda, FakeTensorRt], toy: Path) -> None:
    gpu[1].can_build = False
    with pytest.raises(ExportError, match="TensorRT cannot build graph doubler"):
        build(toy)
    assert not (toy.parent / "toy.tensorrt").exists()


def test_a_run_replays_the_captured_graph(gpu: tuple[FakeCuda, FakeTensorRt], toy: Path) -> None:
    engine = opened(toy)
    assert engine.provider == "TensorRT 11.4.0 on Pretended GPU"
    executed, launched = gpu[0].counts["execute"], gpu[0].counts["launch"]
    assert engine.run({"number": NUMBER})["doubled"].tolist() == [[2, 4, 6]]
    assert engine.run({"number": 5 * NUMBER})["doubled"].tolist() == [[10, 20, 30]]
    assert gpu[0].counts["execute"] == executed and gpu[0].counts["launch"] == launched + 2


def test_a_graph_that_cannot_be_captured_runs_without_and_says_so(
    gpu: tuple[FakeCuda, FakeTensorRt], toy: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gpu[0].can_capture = False
    engine = opened(toy)
    assert engine.provider.endswith("without CUDA graph") and "cudaStreamBeginCapture failed" in caplog.text
    assert engine.run({"number": NUMBER})["doubled"].tolist() == [[2, 4, 6]]


def test_state_stays_on_the_gpu(gpu: tuple[FakeCuda, FakeTensorRt], toy: Path) -> None:
    engine = opened(toy)
    strip = engine.empty((1, 9), "float32")
    strip[:, :3] = NUMBER
    before = dict(gpu[0].counts)
    engine.run({"number": strip[:, :3]}, {"doubled": strip[:, 3:6]})
    engine.run({"number": strip[:, 3:6]}, {"doubled": strip[:, 6:]})
    assert gpu[0].counts["up"] == before["up"] and gpu[0].counts["down"] == before["down"]
    assert isinstance(strip, DeviceArray) and strip.numpy().tolist() == [[1, 2, 3, 2, 4, 6, 4, 8, 12]]


@pytest.mark.parametrize("index", [np.s_[:, ::2], np.s_[0], np.s_[:, 0]])
def test_a_slice_that_is_not_contiguous_is_refused(gpu: tuple[FakeCuda, FakeTensorRt], toy: Path, index) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="is not contiguous"):
        opened(toy).empty((1, 9), "float32")[index]


def test_what_does_not_fit_into_an_array_on_the_gpu_is_refused(gpu: tuple[FakeCuda, FakeTensorRt], toy: Path) -> None:
    array = opened(toy).empty((1, 9), "float32")
    for wrong in (np.zeros((1, 8), np.float32), np.zeros((1, 9), np.float64)):
        with pytest.raises(ValueError, match="does not fit"):
            array[:] = wrong


def test_wrong_inputs_and_outputs_are_refused_as_by_every_engine(gpu: tuple[FakeCuda, FakeTensorRt], toy: Path) -> None:
    engine = opened(toy)
    with pytest.raises(EngineError, match=r"float32\[1, 2\], wanted float32\[1, 3\]"):
        engine.run({"number": NUMBER[:, :2]})
    with pytest.raises(EngineError, match="output doubled is"):
        engine.run({"number": NUMBER}, {"doubled": engine.empty((1, 4), "float32")})


def test_memory_on_the_gpu_is_given_back(gpu: tuple[FakeCuda, FakeTensorRt], toy: Path) -> None:
    engine = opened(toy)
    held = len(gpu[0].blocks)
    view = engine.empty((1, 9), "float32")[:, 2:4]
    gc.collect()
    assert len(gpu[0].blocks) == held + 1  # a slice keeps what it is a slice of
    del view
    gc.collect()
    assert len(gpu[0].blocks) == held


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda plan: b"of another time", "TensorRT does not take its engine of graph doubler"),
        (lambda plan: b"plan" + wider(plan), "the TensorRT engine of graph doubler has other inputs or outputs"),
    ],
)
def test_an_engine_that_cannot_be_used_is_named_and_one_command_builds_it_again(
    gpu: tuple[FakeCuda, FakeTensorRt], toy: Path, spoil: Callable[[bytes], bytes], reason: str
) -> None:
    build(toy)
    gpu_now = TensorRt(toy, "fp32")
    recipe = gpu_now.recipe("doubler", open_bundle(toy).manifest.graphs["doubler"])
    gpu_now.store.save(recipe, spoil(gpu_now.store.load(recipe) or b""))
    with pytest.raises(EngineError, match=f"{reason}.* build it again with python -m export.to_tensorrt"):
        open_bundle(toy, provider=NATIVE, variant="fp32")
    assert "built in" in build(toy)[0]
    open_bundle(toy, provider=NATIVE, variant="fp32")


def wider(plan: bytes) -> bytes:
    model = onnx.load_from_string(plan.removeprefix(b"plan"))
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 4
    return model.SerializeToString()


def test_a_full_gpu_costs_no_engine_that_was_built(gpu: tuple[FakeCuda, FakeTensorRt], toy: Path) -> None:
    build(toy)
    gpu[1].has_memory = False
    for use in (lambda: open_bundle(toy, provider=NATIVE, variant="fp32"), lambda: build(toy)):
        with pytest.raises(EngineError, match="cannot prepare graph doubler to run.* memory may be full"):
            use()
    gpu[1].has_memory = True
    assert "built before" in build(toy)[0]


def test_timings_that_tensorrt_does_not_take_are_measured_anew(gpu: tuple[FakeCuda, FakeTensorRt], toy: Path) -> None:
    build(toy)
    next((toy.parent / "toy.tensorrt").glob("*/plan")).write_bytes(b"plan")
    gpu[1].takes_timings = False
    assert "built in" in build(toy)[0]
    assert gpu[1].timings == [b"", b"t", b""]


def test_too_old_a_tensorrt_is_refused(gpu: tuple[FakeCuda, FakeTensorRt], toy: Path) -> None:
    gpu[1].__version__ = "10.9.0"
    with pytest.raises(EngineError, match="10.9.0 is too old: install 10.12"):
        TensorRt(toy)


def test_a_machine_without_tensorrt_or_a_gpu_is_told_what_to_do(
    gpu: tuple[FakeCuda, FakeTensorRt], toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake_gpu.FakeCuda, "cudaSetDevice", lambda self, device: (fake_gpu.Status.cudaErrorNoDevice,))
    with pytest.raises(EngineError, match="cudaSetDevice failed: cudaErrorNoDevice"):
        open_bundle(toy, provider=NATIVE)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(EngineError, match="TensorRT is missing .* or use --engine cpu"):
        open_bundle(toy, provider=NATIVE)


def test_a_variant_that_is_no_precision_of_tensorrts_is_refused(
    gpu: tuple[FakeCuda, FakeTensorRt], tmp_path: Path
) -> None:
    folder = write_bundle(tmp_path / "toy", variants={"int8": {"graphs": {}, "metrics": {}}})
    with pytest.raises(EngineError, match="fp16 or fp32, not int8: leave the variant out"):
        open_bundle(folder, provider=NATIVE, variant="int8")


def test_the_shipped_portrait_runs_with_its_past_on_the_gpu(gpu: tuple[FakeCuda, FakeTensorRt], shipped: Path) -> None:
    build(shipped)
    faces = np.tile(co.from_arkit({"jawOpen": 0.5}), (CHUNK_FRAMES, 1))
    made = []
    for provider, variant in (("cpu", None), (NATIVE, "fp32")):
        stage = PortraitStage(open_bundle(shipped, provider=provider, variant=variant), steps=2)
        state = stage.init_state(next(iter(stage.presenters)))
        for _ in range(ROOM_FRAMES + 2):  # the strip of past frames is copied to its front in the last but one
            frames, state = stage.step(faces, state)
        made.append(frames.astype(int))
        assert isinstance(
            next(iter(state.past.result().strip.arrays.values())), DeviceArray if provider == NATIVE else np.ndarray
        )
    assert np.abs(made[0] - made[1]).max() <= 1


def test_the_command_builds_and_compares_and_the_parity_table_has_the_engines_then(
    gpu: tuple[FakeCuda, FakeTensorRt],
    shipped: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (to_tensorrt, check_parity):
        monkeypatch.setattr(module, "SEEDS", range(1))
        monkeypatch.setattr(module, "CHUNKS", 2)
    main([str(shipped), "--precision", "fp32"])
    told = capsys.readouterr().out
    graphs = open_bundle(shipped).manifest.graphs
    rows = {line.split("|")[1].strip(): line.split("|") for line in told.splitlines() if line.startswith("| ")}
    for graph in graphs:
        assert f"{graph}: built in" in told and float(rows[graph][2].split()[0]) > FLOORS["tensorrt"].graph
    assert (
        "TensorRT 11.4.0 on Pretended GPU" in told
        and "(1)" in rows["decoder"][4]
        and "(2)" in rows["portrait_encoder"][4]
    )
    check_parity.main([str(shipped), "--precision", "fp32"])
    assert "| tensorrt |" in capsys.readouterr().out
    monkeypatch.setitem(FLOORS, "tensorrt", Floor(graph=121, frames=0, mouth=0))
    with pytest.raises(SystemExit, match="at least one number is below its floor"):
        main([str(shipped), "--precision", "fp32"])


def test_parity_fails_when_engines_are_there_and_cannot_be_compared(
    gpu: tuple[FakeCuda, FakeTensorRt], toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(toy)
    gpu[1].has_memory = False
    with pytest.raises(SystemExit, match="cannot compare: TensorRT cannot prepare graph doubler"):
        check_parity.main([str(toy), "--precision", "fp32"])
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(SystemExit, match="cannot compare: TensorRT is missing"):
        check_parity.main([str(toy), "--precision", "fp32"])
    with pytest.raises(SystemExit, match="nothing to compare"):
        check_parity.main([str(toy)])


def test_the_command_says_why_nothing_is_ready(
    gpu: tuple[FakeCuda, FakeTensorRt], toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match="nothing is ready: no bundle in"):
        main([str(toy / "nowhere")])
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(SystemExit, match="nothing is ready: TensorRT is missing"):
        main([str(toy)])
