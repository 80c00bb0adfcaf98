"""The export command: a whole checkpoint to a bundle, or one graph of it."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engines.bundle import open_bundle, read_manifest  # noqa: E402
from export.to_onnx import GRAPHS, main  # noqa: E402
from flap import coefficients  # noqa: E402
from flap.audio_to_flame import AudioToFlame  # noqa: E402
from flap.autoencoder import Autoencoder  # noqa: E402
from flap.denoising_net import DenoisingNet, ReferenceNet  # noqa: E402
from flap.motion_field import MotionField  # noqa: E402
from flap.speech import LOOKAHEAD_FRAMES  # noqa: E402


def listener() -> AudioToFlame:
    """Untrained, but for what training leaves beside the weights."""
    network = AudioToFlame()
    network.closed_shapes.fill_(0.1)
    return network


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained networks and one presenter, as training leaves them."""
    folder = tmp_path_factory.mktemp("checkpoint")
    networks = {
        "autoencoder": Autoencoder(), "motion_field": MotionField(), "reference_net": ReferenceNet(),
        "denoising_net": DenoisingNet(), "audio_to_flame": listener(),
    }  # fmt: skip
    for name, network in networks.items():
        network.save_pretrained(folder / name)
    (folder / "presenters").mkdir()
    person = {"id": "ada", "name": "Ada", "coefficients": coefficients.neutral().tolist()}
    (folder / "presenters" / "presenters.json").write_text(json.dumps([person]))
    cv2.imwrite(str(folder / "presenters" / "ada.png"), np.full((256, 256, 3), 90, np.uint8))
    return folder


@pytest.fixture(scope="module")
def bundle(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "small"
    main([str(checkpoint), str(folder), "--name", "small"])
    return folder


def test_a_checkpoint_becomes_a_bundle_that_opens(bundle: Path) -> None:
    opened = open_bundle(bundle)
    assert opened.manifest.name == "small" and tuple(opened.engines) == GRAPHS and list(opened.presenters) == ["ada"]
    assert opened.manifest.config["lookahead_frames"] == LOOKAHEAD_FRAMES


def test_only_the_named_graph_is_replaced_and_needs_only_its_own_network(bundle: Path, tmp_path: Path) -> None:
    before = read_manifest(bundle)
    listener().save_pretrained(tmp_path / "audio_to_flame")
    main([str(tmp_path), str(bundle), "--only", "audio_to_flame"])
    after = open_bundle(bundle).manifest
    changed = {name for name in GRAPHS if after.graphs[name].sha256 != before.graphs[name].sha256}
    assert changed == {"audio_to_flame"} and after.name == "small"


def test_a_checkpoint_without_the_network_changes_nothing(bundle: Path, tmp_path: Path) -> None:
    before = read_manifest(bundle)
    with pytest.raises(SystemExit, match="nothing was exported"):
        main([str(tmp_path), str(bundle), "--only", "decoder"])
    assert read_manifest(bundle) == before
