"""Variants of a bundle: smaller, close to the original, refused when they are not."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

pytest.importorskip("torch")

from benchmarks.peers import NetworkBuilder  # noqa: E402
from engines.bundle import Bundle, BundleError, open_bundle, read_manifest  # noqa: E402
from engines.onnx import OnnxEngine  # noqa: E402
from export import quantize, rollouts  # noqa: E402
from export.bundle import with_variants  # noqa: E402
from export.fidelity import FLOORS, Floor, Likeness, signal_to_difference_db  # noqa: E402
from export.precisions import fp16_storage, int8  # noqa: E402
from tests.toy_bundle import write_bundle  # noqa: E402

BUNDLE = Path(__file__).parent.parent / "bundles" / "flap-small"
RUNS = [{"x": np.random.default_rng(seed).standard_normal((1, 8, 16, 16)).astype(np.float32)} for seed in range(6)]


def network() -> onnx.ModelProto:
    """Three convolutions, one after another."""
    net = NetworkBuilder("small")
    x = net.input("x", 1, 8, 16, 16)
    return onnx.load_from_string(net.bytes(net.conv(net.conv(net.conv(x, 16), 16), 4, act=None)))


def run(model: onnx.ModelProto, folder: Path) -> list[dict[str, np.ndarray]]:
    onnx.save(model, folder / "model.onnx")
    engine = OnnxEngine(folder / "model.onnx", threads=1)
    return [engine.run(inputs) for inputs in RUNS]


def test_weights_stored_in_half_precision_take_half_the_bytes_and_compute_almost_the_same(tmp_path: Path) -> None:
    model = network()
    stored = fp16_storage(model)
    assert stored.ByteSize() < 0.6 * model.ByteSize()
    assert 60 < signal_to_difference_db(run(stored, tmp_path), run(model, tmp_path)) < 120


def test_weights_that_half_precision_cannot_hold_stay_as_they_are(tmp_path: Path) -> None:
    model = network()
    weight = next(tensor for tensor in model.graph.initializer if len(tensor.dims) == 4)
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * 1e6, weight.name))
    assert np.isfinite(run(fp16_storage(model), tmp_path)[0].popitem()[1]).all()


def test_all_convolutions_but_the_last_get_8_bits(tmp_path: Path) -> None:
    model = network()
    quantised = int8(model, RUNS)
    made_by = {name: node.op_type for node in quantised.graph.node for name in node.output}
    kinds = [made_by.get(node.input[0], "input") for node in quantised.graph.node if node.op_type == "Conv"]
    assert [kind == "DequantizeLinear" for kind in kinds] == [True, True, False]
    assert 25 < signal_to_difference_db(run(quantised, tmp_path), run(model, tmp_path)) < 80


def test_8_bit_weights_have_a_scale_for_each_channel_and_no_more_than_7_bits() -> None:
    quantised = int8(network(), RUNS)
    weights = [numpy_helper.to_array(t) for t in quantised.graph.initializer if t.data_type == onnx.TensorProto.INT8]
    large = [array for array in weights if array.ndim == 4]
    assert len(large) == 2 and all(60 <= np.abs(array.astype(int)).max() <= 64 for array in large)
    scales = [t for t in quantised.graph.initializer if t.name.endswith("_scale") and list(t.dims) == [16]]
    assert scales


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantize, "CALIBRATION_SEEDS", range(1))
    monkeypatch.setattr(quantize, "MEASURED_SEEDS", range(100, 101))
    monkeypatch.setattr(quantize, "CHUNKS", 3)


@pytest.mark.usefixtures("quick")
def test_the_shipped_bundle_gets_variants_with_their_cost_in_the_manifest(tmp_path: Path) -> None:
    quantize.main([str(BUNDLE), str(tmp_path / "out")])
    variants = read_manifest(tmp_path / "out").variants
    assert set(variants) == {"fp16", "int8"} and set(variants["int8"].graphs) == set(quantize.INT8_GRAPHS)
    for name, variant in variants.items():
        assert variant.metrics["psnr_db"] >= FLOORS[name].frames and variant.metrics["fp32_frame_ms_2_steps"] > 0
    opened = open_bundle(tmp_path / "out", variant="int8")
    zeros = {name: np.zeros(spec.shape, spec.dtype) for name, spec in opened.engines["decoder"].inputs.items()}
    plain = open_bundle(tmp_path / "out").engines["decoder"].run(zeros)["frames"]
    assert not np.array_equal(opened.engines["decoder"].run(zeros)["frames"], plain)


def test_graphs_of_a_variant_are_timed_on_as_many_threads_as_those_that_they_replace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(quantize, "OnnxEngine", lambda _, threads: threads)
    bundle = open_bundle(BUNDLE, threads=2)
    models = {name: onnx.load(BUNDLE / f"{name}.onnx") for name in ("denoiser_step", "portrait_encoder")}
    replaced = quantize.with_models(bundle, models).engines
    assert (replaced["denoiser_step"], replaced["portrait_encoder"]) == (1, 2)


@pytest.mark.usefixtures("quick")
def test_a_variant_below_its_floor_is_left_out_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FLOORS, "fp16", Floor(0, frames=119, mouth=0))
    with pytest.raises(SystemExit, match=r"fp16 is left out: frames \d+\.\d dB, below 119 dB"):
        quantize.main([str(BUNDLE), str(tmp_path / "out"), "--only", "fp16"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("in_place", [True, False])
def test_a_variant_that_falls_below_its_floor_does_not_stay_from_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_place: bool
) -> None:
    folder = write_bundle(tmp_path / "toy")
    out = folder if in_place else tmp_path / "out"
    model = onnx.load(folder / "doubler.onnx")
    with_variants(folder, out, {name: {"doubler": model} for name in quantize.VARIANTS}, {"fp16": {}, "int8": {}})
    before = read_manifest(out)
    monkeypatch.setattr(quantize, "compare", lambda *_: (Likeness(30, 30), {}))
    with pytest.raises(SystemExit, match="fp16 is left out: frames 30.0 dB, below 42 dB"):
        quantize.main([str(folder), str(out), "--only", "fp16"])
    after = open_bundle(out, threads=1).manifest
    assert "fp16" not in after.variants and not (out / "fp16").exists() and after.graphs == before.graphs
    # a bundle elsewhere is written anew from this one, which never had any
    assert ("int8" in after.variants) == in_place


@pytest.mark.parametrize(("people", "others"), [(10, 4), (5, 1), (4, 0), (1, 0)])
def test_variants_are_measured_with_people_that_they_were_not_calibrated_on(
    monkeypatch: pytest.MonkeyPatch, people: int, others: int
) -> None:
    """As far as the bundle has others, and with as many streams."""
    shown: list[str] = []

    class Still:
        def __init__(self, bundle: Bundle, presenter: str, *_: int):
            shown.append(presenter)

        def step(self) -> None:
            pass

        def finished(self) -> rollouts.Rollout:
            black = np.zeros((1, 256, 256, 3), np.uint8)
            return rollouts.Rollout(black, black[..., 0] == 0, (1.0,) * quantize.CHUNKS)

    monkeypatch.setattr(rollouts, "Stream", Still)
    bundle = open_bundle(BUNDLE, threads=1)
    bundle = replace(bundle, presenters=dict(list(bundle.presenters.items())[:people]))
    rollouts.record(bundle, quantize.CALIBRATION_SEEDS, chunks=1)
    calibrated_on = set(shown)
    shown.clear()
    quantize.compare(bundle, bundle)
    assert len(shown) == 2 * len(rollouts.STEPS) * 4  # in fp32 and the variant
    if others:
        assert len(set(shown)) == others and calibrated_on.isdisjoint(shown)
    else:
        assert set(shown) == calibrated_on


def test_a_variant_that_a_bundle_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        BundleError, match=r"no variant 'int8' \(it has: none\): make it with python -m export.quantize"
    ):
        open_bundle(write_bundle(tmp_path / "toy"), variant="int8")


def test_a_changed_variant_is_refused(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "toy")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "half").mkdir()
    shutil.copy(folder / "doubler.onnx", folder / "half" / "doubler.onnx")
    entry = manifest["graphs"]["doubler"] | {"file": "half/doubler.onnx"}
    manifest["variants"] = {"half": {"graphs": {"doubler": entry}, "metrics": {}}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    open_bundle(folder, variant="half")
    with (folder / "half" / "doubler.onnx").open("ab") as stream:
        stream.write(b"\0")
    open_bundle(folder)
    with pytest.raises(BundleError, match="half/doubler.onnx has a wrong checksum"):
        open_bundle(folder, variant="half")


def test_a_bundle_without_presenters_has_nothing_to_measure_variants_with(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "toy", presenters=[])
    with pytest.raises(SystemExit, match="nothing was written: .* has no presenters"):
        quantize.main([str(folder), str(tmp_path / "out")])
