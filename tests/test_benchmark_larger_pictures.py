"""The benchmark of larger pictures builds networks whose pictures have the size that it speaks of."""

import json

import numpy as np
import onnx
import pytest
from av import Packet

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


def test_what_is_timed_moves_and_encodes_two_pictures_of_that_size(monkeypatch: pytest.MonkeyPatch) -> None:
    size, made, encoded = larger_pictures.SIZE, [], []
    encode = larger_pictures.VideoEncoder.encode

    def seen(encoder: larger_pictures.VideoEncoder, picture: np.ndarray, frame: int, key_frame: bool) -> list[Packet]:
        encoded.append((picture, encode(encoder, picture, frame, key_frame)))
        return encoded[-1][1]

    monkeypatch.setattr(larger_pictures, "median_ms", lambda run, seconds: made.append(run()))
    monkeypatch.setattr(larger_pictures.VideoEncoder, "encode", seen)
    larger_pictures.moving_ms(0)
    larger_pictures.encoding_ms(0)
    picture, features = made[0]
    assert picture.shape == (1, size, size, 3) and features.shape == (1, size // 4, size // 4, 16)
    assert all(np.isfinite(moved).all() and moved.std() > 0.1 for moved in (picture, features))
    (one, packets), (other, further) = encoded
    assert one.shape == other.shape == (size, size, 3) and not np.array_equal(one, other)
    assert packets and further
