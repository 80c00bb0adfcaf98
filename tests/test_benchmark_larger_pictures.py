"""The benchmark of larger pictures builds networks whose pictures have the size that it speaks of."""

import json

import onnx
import pytest

from benchmarks import larger_pictures
from benchmarks.graph_cost import TimedGraph, Timing


@pytest.mark.parametrize(
    ("latent", "widths", "last"), [(64, (16, 8, 8), 2), (32, (16, 8, 8, 8), 2), (32, (8, 8, 8), 4)]
)
def test_a_decoder_makes_whole_pictures(latent: int, widths: tuple[int, ...], last: int) -> None:
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(larger_pictures.decoder(latent, widths, last)))
    sides = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in model.graph.value_info}
    sides |= {model.graph.output[0].name: [d.dim_value for d in model.graph.output[0].type.tensor_type.shape.dim]}
    frames, channels, height, width = sides[model.graph.output[0].name]
    assert (frames, channels) == (1, 4 * last**2)
    assert height * last == width * last == larger_pictures.SIZE


def test_the_benchmark_prints_its_promised_keys(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sums and rates follow from the parts, whatever these take: here each graph takes 20 ms."""
    monkeypatch.setattr(TimedGraph, "time", lambda *_: Timing(20.0, 20.0))
    monkeypatch.setattr(larger_pictures, "moving_ms", lambda _: 5.0)
    monkeypatch.setattr(larger_pictures, "encoding_ms", lambda _: 15.0)
    larger_pictures.main(["--quick", "--json"])
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {"budget_ms", "variants", "machine", "commit"} <= set(result)
    for variant in result["variants"]:
        assert variant["both_ms"] == 80.0 and variant["frames_per_second"] == 25.0 and variant["decoder_gmac"] > 0


def test_moving_and_encoding_take_time() -> None:
    assert larger_pictures.moving_ms(0) > 0 and larger_pictures.encoding_ms(0) > 0
