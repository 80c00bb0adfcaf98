"""The export command: a whole checkpoint to a bundle, or one graph of it."""

import json
import shutil
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
from training.keep_weights import keep  # noqa: E402

SHIPPED = Path(__file__).parent.parent / "bundles"


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


@pytest.mark.parametrize(
    ("trained_again", "only", "left_behind"),
    [
        ("reference_net", "decoder", "portrait_encoder"), ("motion_field", "portrait_encoder", "motion_field"),
        ("denoising_net", "portrait_encoder", "denoiser_step"), ("autoencoder", "portrait_encoder", "decoder"),
    ],
)  # fmt: skip
def test_a_graph_is_not_put_beside_one_of_another_training(
    checkpoint: Path, bundle: Path, tmp_path: Path, trained_again: str, only: str, left_behind: str
) -> None:
    shutil.copytree(checkpoint, tmp_path / "other")
    networks = {
        "autoencoder": Autoencoder, "motion_field": MotionField, "reference_net": ReferenceNet, "denoising_net": DenoisingNet,
    }  # fmt: skip
    networks[trained_again]().save_pretrained(tmp_path / "other" / trained_again)
    before = {path: path.read_bytes() for path in bundle.rglob("*.*")}
    told = rf"nothing was exported: {left_behind} in .* is not of this checkpoint: export the bundle whole"
    with pytest.raises(SystemExit, match=told):
        main([str(tmp_path / "other"), str(bundle), "--only", only])
    assert {path: path.read_bytes() for path in bundle.rglob("*.*")} == before


def test_a_graph_is_made_anew_of_the_same_checkpoint_and_of_its_kept_weights(
    checkpoint: Path, bundle: Path, tmp_path: Path
) -> None:
    keep(checkpoint, tmp_path / "kept")
    shutil.copytree(bundle, tmp_path / "bundle")
    main([str(checkpoint), str(tmp_path / "bundle"), "--only", "decoder"])
    main([str(tmp_path / "kept"), str(tmp_path / "bundle"), "--only", "motion_field"])
    open_bundle(tmp_path / "bundle", threads=1)


def test_a_graph_of_the_shipped_bundle_is_made_anew_of_the_weights_beside_it(tmp_path: Path) -> None:
    """Its motion field is of weights in full precision, the kept ones are in half."""
    shutil.copytree(SHIPPED / "flap-small", tmp_path / "bundle")
    main([str(SHIPPED / "checkpoints"), str(tmp_path / "bundle"), "--only", "decoder"])
    open_bundle(tmp_path / "bundle", threads=1)


def test_a_speech_network_alone_says_how_far_ahead_it_hears(bundle: Path, tmp_path: Path) -> None:
    """The server refuses a bundle that does not say it, and one that says something else."""
    shutil.copytree(bundle, tmp_path / "bundle")
    listener().save_pretrained(tmp_path / "audio_to_flame")
    manifest = json.loads((bundle / "manifest.json").read_text())
    for older in ({}, {"lookahead_frames": LOOKAHEAD_FRAMES - 1}):
        config = {name: value for name, value in manifest["config"].items() if name != "lookahead_frames"}
        (tmp_path / "bundle" / "manifest.json").write_text(json.dumps(manifest | {"config": config | older}))
        main([str(tmp_path), str(tmp_path / "bundle"), "--only", "audio_to_flame"])
        assert read_manifest(tmp_path / "bundle").config == manifest["config"]


def test_a_checkpoint_without_the_network_changes_nothing(bundle: Path, tmp_path: Path) -> None:
    before = read_manifest(bundle)
    with pytest.raises(SystemExit, match="nothing was exported"):
        main([str(tmp_path), str(bundle), "--only", "decoder"])
    assert read_manifest(bundle) == before
