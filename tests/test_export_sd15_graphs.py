"""flap-sd15, narrow and with two levels of four, becomes a bundle whose graphs compute what torch does, and is planned for TensorRT."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from diffusers import AutoencoderKL  # noqa: E402

from engines.bundle import Bundle, BundleError, open_bundle  # noqa: E402
from export import precisions, to_onnx, to_tensorrt  # noqa: E402
from flap.sd15.networks import DenoisingNet, ReferenceNet  # noqa: E402
from tests.sd15 import awake  # noqa: E402

# A coarsest level of one pixel has two numbers in a group of GroupNorm, which multiplies rounding by up to 1000 when they are equal
WIDTHS, SIZE = (32, 64), 16
SHRINK = 2  # of the autoencoder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a stage of training leaves, an autoencoder, and the bundle that is exported from them."""
    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("sd15")
    AutoencoderKL(
        block_out_channels=(8,) * 2, norm_num_groups=8, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2, layers_per_block=1,
    ).save_pretrained(root / "vae")  # fmt: skip
    awake(ReferenceNet(widths=WIDTHS)).save_pretrained(root / "video" / "reference_net")
    denoiser = DenoisingNet(widths=WIDTHS, latent_size=SIZE, token_width=48, motion_in_middle=False)
    awake(denoiser).save_pretrained(root / "video" / "denoising_net")
    to_onnx.main(["--scale", "flap-sd15", str(root / "video"), str(root / "bundle"), "--vae", str(root / "vae")])
    return root


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Bundle:
    return open_bundle(folder / "bundle", threads=1)


def test_a_portrait_is_encoded_denoised_and_decoded(bundle: Bundle) -> None:
    encoder, step, decoder = (bundle.engines[name] for name in ("portrait_encoder", "denoiser_step", "decoder"))
    rng = np.random.default_rng(0)
    given = {name: rng.standard_normal(spec.shape).astype(spec.dtype) for name, spec in step.inputs.items()}
    keys = encoder.run({"image": rng.uniform(-1, 1, (1, 3, SHRINK * SIZE, SHRINK * SIZE)).astype(np.float32)})
    assert {name for name in step.inputs if name.startswith("reference_")} == keys.keys()
    made = step.run(given | keys)
    other = step.run(given | {name: key + 1 for name, key in keys.items()})
    assert np.abs(made["velocity"] - other["velocity"]).max() > 1e-3
    caches = {name.removeprefix("cache_") for name in step.inputs if name.startswith(("cache_key", "cache_value"))}
    assert caches == {name.removeprefix("new_") for name in made if name.startswith("new_")}
    frames = decoder.run({"latent": made["velocity"]})["frames"]
    assert frames.shape == (2, SHRINK * SIZE, SHRINK * SIZE, 3) and frames.std() > 1


def test_weights_lie_in_files_of_their_own_whose_damage_is_found(folder: Path, bundle: Bundle, tmp_path: Path) -> None:
    for name, entry in bundle.manifest.graphs.items():
        shutil.copy(folder / "bundle" / entry.file, tmp_path)
        shutil.copy(folder / "bundle" / entry.weights_file, tmp_path)
        sizes = {file: (tmp_path / file).stat().st_size for file in (entry.file, entry.weights_file)}
        assert entry.weights_file == f"{name}.weights" and sizes[entry.weights_file] > sizes[entry.file] / 2
    shutil.copy(folder / "bundle" / "manifest.json", tmp_path)
    with (tmp_path / "decoder.weights").open("r+b") as stream:
        stream.write(b"\1")
    with pytest.raises(BundleError, match=r"decoder\.weights has a wrong checksum"):
        open_bundle(tmp_path, threads=1)


def test_its_graphs_are_planned_for_tensorrt_with_files_as_large_ones_need(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Operators documented, half precision written in, and as close as planned graphs must come."""
    monkeypatch.setattr(precisions, "LARGEST_FILE_BYTES", 100_000)
    to_tensorrt.main([str(folder / "bundle"), "--plan", "--threads", "1"])
    told = capsys.readouterr().out
    for name in ("portrait_encoder", "denoiser_step", "decoder"):
        half, single = map(int, re.search(rf"{name}: .*half precision (\d+), in single precision (\d+)", told).groups())
        assert half > single > 0
        assert f"| {name} |" in told


def test_it_is_exported_whole_and_with_an_autoencoder(folder: Path) -> None:
    for more in ([], ["--vae", str(folder / "vae"), "--only", "decoder"]):
        with pytest.raises(SystemExit, match="2"):
            to_onnx.main(["--scale", "flap-sd15", str(folder / "video"), str(folder / "other"), *more])
    with pytest.raises(SystemExit, match="nothing was exported"):
        to_onnx.main(["--scale", "flap-sd15", str(folder), str(folder / "other"), "--vae", str(folder / "vae")])
    assert not (folder / "other").exists()
