"""flap-sd15 goes through every stage of its training on a CPU, narrow and with two levels of four, in mixed precision."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from diffusers import AutoencoderKL, MotionAdapter, UNet2DConditionModel  # noqa: E402

from flap.sd15 import weights  # noqa: E402
from flap.sd15.networks import DenoisingNet, ReferenceNet  # noqa: E402
from tests.sd15 import LATENT_SIZE, TOKEN_WIDTH, WIDTHS, awake  # noqa: E402
from training import begin_sd15, train_sd15  # noqa: E402
from training.sd15 import FlapSd15  # noqa: E402
from training.stages import STAGES  # noqa: E402

TWO_LEVELS = WIDTHS[:2]
FROZEN = {
    "head_motion": (".expression.", "conditions.groups", ".temporal."),
    "expression": (".head_motion.", "conditions.pose", ".temporal."),
    "consistency": (".temporal.",),
    "few_step": (".temporal.",),
    "video": ("reference.", ".blocks.", ".trunk.", ".conditions.", ".conv_out."),
}
TRAINED = {
    "head_motion": (".head_motion.to_out", "conditions.pose", "reference.trunk", ".feed_forward."),
    "expression": (".expression.to_out", "conditions.groups", "reference.trunk", ".spatial."),
    "consistency": (".expression.to_out", ".head_motion.to_out"),
    "few_step": (".expression.to_out", ".head_motion.to_out"),
    "video": (".temporal.10.second.to_value", ".temporal.0.first.position", ".temporal.7.proj_out"),
}


def write_shards(folder: Path, clips: int = 1) -> None:
    """Three people, one of them held out, with a portrait, three frames on their own and clips of ten; as the renderer writes them."""
    folder.mkdir()
    rng, count = np.random.default_rng(0), 4 + 10 * clips
    for person in (0, 1, 400):
        np.savez(
            folder / f"person{person:03d}-00.npz",
            image=rng.integers(0, 255, (count, 256, 256, 3), dtype=np.uint8),
            portrait_xy=np.zeros((count, 64, 64, 2), np.float16), unposed_xy=np.zeros((count, 64, 64, 2), np.float16),
            masks=rng.integers(0, 255, (count, 64, 64, 4), dtype=np.uint8),
            coefficients=rng.random((count, 120), dtype=np.float32), clip=np.repeat(np.arange(-1, clips), [4] + [10] * clips),
        )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set, an autoencoder and networks to begin from, all small."""
    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("sd15")
    write_shards(root / "dataset")
    AutoencoderKL(
        block_out_channels=(8,) * 4, norm_num_groups=8, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, layers_per_block=1,
    ).save_pretrained(root / "vae")  # fmt: skip
    denoiser = DenoisingNet(widths=TWO_LEVELS, latent_size=LATENT_SIZE, token_width=TOKEN_WIDTH)
    FlapSd15(awake(ReferenceNet(widths=TWO_LEVELS)), awake(denoiser)).save_pretrained(root / "begin")
    return root


@pytest.fixture(autouse=True)
def one_batch_is_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_sd15, "HELD_OUT_BATCHES", 1)


def run(folder: Path, stage: str, *more: str) -> None:
    options = ["--data", "dataset", "--vae", "vae", "--begin-from", "begin", "--out", "out"]
    paths = [str(folder / word) if not word.startswith("--") else word for word in options]
    sizes = ["--people", "1", "--frames-each", "2", "--learning-rate", "0.1", "--cpu"]
    train_sd15.main([stage, *paths, *sizes, *more])


def weights_of(folder: Path) -> dict:
    return {name: value.clone() for name, value in FlapSd15.from_pretrained(folder).state_dict().items()}


def test_each_stage_trains_what_it_is_for_and_leaves_the_rest_bit_for_bit(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = weights_of(folder / "begin")
    for stage in STAGES:
        run(folder, stage, "--steps", "1")
        assert "held out" in capsys.readouterr().out, stage
        after = weights_of(folder / "out" / stage)
        assert all(value.isfinite().all() for value in after.values())
        changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
        assert not [name for name in changed if any(part in name for part in FROZEN[stage])], stage
        assert not [part for part in TRAINED[stage] if not any(part in name for name in changed)], stage
        before = after


def test_a_stage_goes_on_where_it_was_stopped(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two steps in one run, and in two runs that save memory, leave the same weights."""
    made = []
    for out, runs in (("whole", [2]), ("parts", [1, 2])):
        for steps in runs:
            run(
                folder, "head_motion", "--steps", str(steps), "--out", str(tmp_path / out), 
                *(["--gradient-checkpointing"] if out == "parts" else []), "--accumulate", "2", "--save-every", "1",
            )  # fmt: skip
        made.append(weights_of(tmp_path / out / "head_motion"))
    assert [line.split()[2] for line in capsys.readouterr().out.splitlines()] == ["1", "2", "1", "2"]
    assert all(torch.allclose(made[0][name], value, atol=1e-5) for name, value in made[1].items())
    begun = weights_of(folder / "begin")
    assert max((made[1][name] - value).abs().max() for name, value in begun.items()) > 5e-4


def test_shards_without_clips_are_refused_before_the_first_stage(folder: Path, tmp_path: Path) -> None:
    write_shards(tmp_path / "dataset", clips=0)
    with pytest.raises(FileNotFoundError, match="--clips"):
        run(folder, "head_motion", "--steps", "1", "--data", str(tmp_path / "dataset"), "--out", str(tmp_path / "out"))


def test_pictures_are_encoded_on_the_process_s_own_device(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = []
    monkeypatch.setattr(train_sd15, "Accelerator", lambda **_: SimpleNamespace(device=torch.device("meta")))
    monkeypatch.setattr(train_sd15, "encode", lambda frames, vae, size: devices.append(vae.device.type))
    monkeypatch.setattr(train_sd15, "train", lambda *_: None)
    run(folder, "head_motion")
    assert devices == ["meta", "meta"]


def test_the_first_stage_says_what_it_begins_from() -> None:
    with pytest.raises(SystemExit):
        train_sd15.main(["head_motion", "--data", "d", "--vae", "v", "--out", "o"])


def test_networks_to_begin_from_are_made_of_published_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"block_out_channels": WIDTHS}
    UNet2DConditionModel(cross_attention_dim=TOKEN_WIDTH, **small).save_pretrained(tmp_path / "unet")
    MotionAdapter(use_motion_mid_block=False, **small).save_pretrained(tmp_path / "motion")

    def from_small(unet: Path, motion: Path, **config: str) -> tuple[ReferenceNet, DenoisingNet]:
        return weights.from_sd15(unet, motion, WIDTHS, token_width=TOKEN_WIDTH, latent_size=LATENT_SIZE, **config)

    monkeypatch.setattr(begin_sd15, "from_sd15", from_small)
    begin_sd15.main([f"--{name}={tmp_path / name}" for name in ("unet", "motion", "out")] + ["--prediction=epsilon"])
    network = FlapSd15.from_pretrained(tmp_path / "out")
    assert network.denoiser.config.prediction == "epsilon" and len(network.denoiser.temporal) == 20
    with pytest.raises(SystemExit, match="nothing was made: .*give the `unet` folder"):
        begin_sd15.main(["--unet", str(tmp_path), "--motion", str(tmp_path / "motion"), "--out", str(tmp_path / "out")])


def test_a_state_that_is_being_written_never_takes_the_place_of_a_whole_one(tmp_path: Path) -> None:
    state, before, made = (tmp_path / f"expression.{name}" for name in ("state", "before", "partial"))
    for number in range(3):
        made.mkdir()
        (made / "weights").write_text(str(number))
        train_sd15._take_place(made, state, before)
        assert (state / "weights").read_text() == str(number) and not made.exists() and not before.exists()
