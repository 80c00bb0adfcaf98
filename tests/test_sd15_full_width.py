"""flap-sd15 as large as it is meant to be, with random weights."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_chunk_at_512_pixels_is_denoised_on_a_cpu_within_24_gb() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.sd15_full_width"],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["shape"] == [2, 4, 64, 64] and figures["finite"]
    assert figures["peak_gb"] < 24
