"""flap-sd15 as large as it is meant to be, with random weights, in torch and in ONNX Runtime."""

import json

import pytest

pytest.importorskip("torch")

from benchmarks import sd15  # noqa: E402


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_a_chunk_at_512_pixels_is_denoised_on_a_cpu_within_24_gb(capsys: pytest.CaptureFixture[str]) -> None:
    """The command itself fails when ONNX Runtime computes something else than torch."""
    sd15.main(["--json"])
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["picture"] == 512
    assert all(figures[name]["peak_gb"] < 24 for name in ("torch", "export", "onnxruntime"))
