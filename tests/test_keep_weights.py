"""Kept weights are what a training goes on from: half the bytes, the same network."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from flap.denoising_net import ReferenceNet  # noqa: E402
from training.checkpoint import begin_from  # noqa: E402
from training.keep_weights import WEIGHTS, keep  # noqa: E402


def test_a_network_goes_on_from_kept_weights_of_half_the_size(tmp_path: Path) -> None:
    torch.manual_seed(0)
    trained, fresh = ReferenceNet(), ReferenceNet()
    trained.save_pretrained(tmp_path / "somewhere")
    ReferenceNet.from_pretrained(tmp_path / "somewhere").save_pretrained(tmp_path / "checkpoint/reference_net")
    assert keep(tmp_path / "checkpoint", tmp_path / "kept") == ["reference_net"]
    whole, halved = (tmp_path / folder / "reference_net" / WEIGHTS for folder in ("checkpoint", "kept"))
    assert halved.stat().st_size < 0.55 * whole.stat().st_size
    assert "_name_or_path" not in (tmp_path / "kept/reference_net/config.json").read_text()
    assert begin_from(fresh, tmp_path / "kept/reference_net") == []
    for name, value in trained.state_dict().items():
        torch.testing.assert_close(fresh.state_dict()[name], value, rtol=1e-3, atol=1e-4)


def test_a_folder_without_networks_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="training.flap_small"):
        keep(tmp_path, tmp_path / "kept")
