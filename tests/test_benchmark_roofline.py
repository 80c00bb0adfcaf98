"""The roofline benchmark counts what it says it counts and prints the promised keys."""

import json
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest

from benchmarks import roofline
from benchmarks.graph_cost import TimedGraph, count_macs, matrix_share
from benchmarks.peers import NetworkBuilder, wav2lip_generator


def network() -> bytes:
    """Two layers and a shape that only folding knows."""
    net = NetworkBuilder("small")
    h = net.upsample(net.conv(net.input("x", 1, 8, 16, 16), 4, stride=2), 2, 2)
    return net.bytes(net.conv_transpose(h, 2, stride=2, padding=1, output_padding=1))


def test_multiply_adds_of_convolutions_are_counted() -> None:
    forward, transposed = 4 * 8 * 8 * 8 * 9, 4 * 16 * 16 * 2 * 9
    assert count_macs(onnx.load_from_string(network())) == forward + transposed


@pytest.mark.parametrize("transposed", [0, 1])
def test_multiply_adds_of_a_matrix_product_are_counted(transposed: int) -> None:
    net = NetworkBuilder("product")
    x = net.input("x", *((5, 3) if transposed else (3, 5)))
    model = net.bytes(net.node("Gemm", x, net.constant(np.ones((5, 7), np.float32)), transA=transposed))
    assert count_macs(onnx.load_from_string(model)) == 3 * 5 * 7


def test_a_graph_is_timed_and_its_matrix_work_is_told_from_the_rest() -> None:
    timing = TimedGraph(network(), threads=1).time(5, 0)
    assert 0 < timing.median_ms <= timing.p95_ms
    assert 0 < matrix_share(network(), threads=1) < 1


def test_runs_beside_each_other_are_timed_until_the_last_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = TimedGraph(network(), threads=1, beside=3)
    run, runs = graph._session.run, []
    session = SimpleNamespace(run=lambda *fed: runs.append(run(*fed)))
    monkeypatch.setattr(graph, "_session", session)
    graph.time(2, 0, warm_up=False)
    assert len(runs) == 6


def test_the_wav2lip_size_generator_has_its_weights_and_gives_a_face() -> None:
    model = wav2lip_generator()
    weights = sum(np.prod(i.dims) for i in onnx.load_from_string(model).graph.initializer)
    assert 36.0e6 < weights < 36.4e6  # its released checkpoint has 36.3 million, batch normalisation included
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    assert session.get_outputs()[0].shape == [1, 3, 96, 96]


def test_the_result_has_the_promised_keys(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    time = TimedGraph.time
    monkeypatch.setattr(TimedGraph, "time", lambda graph, *_, **__: time(graph, 1, 0.0, warm_up=False))
    monkeypatch.setattr(roofline, "WARM_UP_CHUNKS", 1)
    monkeypatch.setattr(roofline, "QUICK", roofline.Plan(graph_s=0.0, chain_s=0.0, peer_runs=1))
    monkeypatch.setattr(roofline, "wav2lip_generator", network)
    monkeypatch.setattr(roofline, "live_portrait_frame", network)
    roofline.main(["--quick", "--json"])
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result.keys() == {
        "peak_gflops", "graphs", "frame_ms", "int8_psnr_db", "open_to_first_frame_s", "memory_mb", "peers", "steps",
        "machine", "commit",
    }  # fmt: skip
    assert result["graphs"]["decoder"].keys() >= {"gmac", "median_ms", "gflops", "share_of_peak", "outside_matrix_ms"}
    assert result["frame_ms"].keys() == {"fp32", "int8"} and result["frame_ms"]["fp32"].keys() == {"median", "p95"}
    assert all(peer.keys() == {"name", "gmac", "frame_ms", "ratio"} for peer in result["peers"])
    assert all(0 < graph["share_of_peak"] for graph in result["graphs"].values())
