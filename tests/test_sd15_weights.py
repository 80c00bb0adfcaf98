"""Stable Diffusion's and AnimateDiff's weights land where they belong, and nothing is left out without being named."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from diffusers import MotionAdapter, UNet2DConditionModel, UNetMotionModel  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from flap import scheduler  # noqa: E402
from flap.sd15 import weights  # noqa: E402
from flap.sd15.networks import DenoisingNet, ReferenceNet  # noqa: E402
from flap.sd15.weights import WeightsError, load_motion_modules, load_unet  # noqa: E402
from tests.sd15 import LATENT_SIZE, TOKEN_WIDTH, WIDTHS, small_denoiser, small_reference  # noqa: E402

State = dict[str, Any]


def unet(**changes: Any) -> UNet2DConditionModel:
    """As Stable Diffusion 1.5 is published, but for the widths in `changes`."""
    return UNet2DConditionModel(**({"cross_attention_dim": 768, "attention_head_dim": 8, "sample_size": 64} | changes))


def small_unet() -> UNet2DConditionModel:
    torch.manual_seed(3)
    return unet(block_out_channels=WIDTHS, cross_attention_dim=TOKEN_WIDTH).eval()


def small_adapter(in_middle: bool = True) -> MotionAdapter:
    torch.manual_seed(4)
    return MotionAdapter(block_out_channels=WIDTHS, use_motion_mid_block=in_middle).eval()


def as_animatediff_writes(state: State) -> State:
    """The names of the published mm_sd_v15_v2.ckpt and v3_sd15_mm.ckpt."""
    named: State = {}
    for name, value in state.items():
        name = re.sub(r"(motion_modules\.\d)\.", r"\1.temporal_transformer.", name)
        for ours, theirs in (("norm1", "norms.0"), ("norm2", "norms.1"), ("norm3", "ff_norm")):
            name = name.replace(ours, theirs)
        name = name.replace("attn1", "attention_blocks.0").replace("attn2", "attention_blocks.1")
        if "pos_embed" in name:
            for i in range(2):
                named[name.replace("pos_embed.pe", f"attention_blocks.{i}.pos_encoder.pe")] = value
        else:
            named[name] = value
    return named


def test_every_weight_of_the_published_unet_is_used_by_the_denoising_net() -> None:
    with torch.device("meta"):
        network, state = DenoisingNet(), unet().state_dict()
        loaded = load_unet(network, state)
    assert len(state) == 686 and loaded.used == set(state) and not loaded.unused
    kinds = {re.sub(r"\.\d+\.", ".", name).split(".")[0] for name in loaded.fresh}
    assert kinds == {"conditions", "temporal", "blocks"}
    in_blocks = {name.split(".", 2)[2] for name in loaded.fresh if name.startswith("blocks.")}
    assert in_blocks == {
        "head_motion.null_token", "head_motion.to_out.weight", "head_motion.to_out.bias", "expression.null_token",
    }  # fmt: skip


def test_the_reference_net_leaves_the_prompt_and_what_lies_behind_the_last_attention() -> None:
    with torch.device("meta"):
        network, state = ReferenceNet(), unet().state_dict()
        loaded = load_unet(network, state)
    assert not loaded.fresh and loaded.used | loaded.unused == set(state) and not loaded.used & loaded.unused
    last = "up_blocks.3.attentions.2."
    others = {name for name in loaded.unused if not name.startswith((last, "conv_norm_out.", "conv_out."))}
    assert len(others) == 15 * 7 and all(".attn2." in name or ".norm2." in name for name in others)
    assert {name for name in state if name.startswith((last + "norm.", last + "proj_in."))} <= loaded.used


@pytest.mark.parametrize("layout", [as_animatediff_writes, dict], ids=["animatediff", "diffusers"])
@pytest.mark.parametrize(("in_middle", "modules"), [(True, 21), (False, 20)], ids=["v2", "v3"])
def test_every_published_motion_weight_is_used(layout: Callable[[State], State], in_middle: bool, modules: int) -> None:
    with torch.device("meta"):
        network = DenoisingNet(motion_in_middle=in_middle)
        state = layout(MotionAdapter(use_motion_mid_block=in_middle).state_dict())
        loaded = load_motion_modules(network, state)
    assert len(weights.motion_names(state)) == modules * 28  # 26 weights and a table of positions for each attention
    assert loaded.used == set(weights.motion_names(state)) and not loaded.unused
    assert not [name for name in loaded.fresh if name.startswith("temporal.")]


@torch.no_grad()
def silence_head_motion(network: DenoisingNet, loaded: weights.Loaded) -> None:
    """As in a new network: `small_denoiser` lets every layer act."""
    for name in loaded.fresh:
        if "head_motion.to_out" in name:
            network.get_parameter(name).zero_()


@torch.no_grad()
def prompt_of(network: DenoisingNet, coefficients: torch.Tensor) -> torch.Tensor:
    """What diffusers has to be given as prompt; makes the null token of every block the same."""
    for block in network.blocks:
        block.expression.null_token.copy_(network.blocks[0].expression.null_token)
    null_token = network.blocks[0].expression.null_token.expand(len(coefficients), -1, -1)
    return torch.cat([network.conditions(coefficients)[1], null_token], 1)


def test_a_denoising_net_without_control_is_stable_diffusion() -> None:
    """Noise predicted from the same prompt tokens, by our layers and by diffusers."""
    model, network = small_unet(), small_denoiser(prediction="epsilon")
    silence_head_motion(network, load_unet(network, model.state_dict()))
    coefficients, noisy = torch.rand(2, 120), torch.randn(2, 4, LATENT_SIZE, LATENT_SIZE)
    prompt = prompt_of(network, coefficients)
    level = scheduler.stable_diffusion_levels(False)[600]
    with torch.no_grad():
        v, _ = network(noisy, torch.full((2,), level), coefficients, [None] * 16)
        expected = model(noisy, 600, prompt).sample
    noise = scheduler.noise_from_velocity(noisy, v, level)
    assert torch.allclose(noise, expected, atol=2e-4), (noise - expected).abs().max()


class EachFrame(torch.nn.Module):
    """GroupNorm of each frame of [1, c, frames, h, w] on its own, as AnimateDiff v2 has it; diffusers norms the whole clip."""

    def __init__(self, norm: torch.nn.GroupNorm):
        super().__init__()
        self.norm = norm

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        return torch.stack([self.norm(frame) for frame in clip.unbind(2)], 2)


def test_with_animatediffs_modules_it_is_animatediff() -> None:
    """Noise predicted for a clip of three frames, by our layers and by diffusers."""
    model, adapter = small_unet(), small_adapter()
    network = small_denoiser(prediction="epsilon", context_frames=0, chunk_frames=3)
    silence_head_motion(network, load_unet(network, model.state_dict()))
    load_motion_modules(network, adapter.state_dict())
    theirs = UNetMotionModel.from_unet2d(model, adapter).eval()
    for module in theirs.modules():
        if type(module).__name__ == "AnimateDiffTransformer3D":
            module.norm = EachFrame(module.norm)
    coefficients, noisy = torch.rand(3, 120), torch.randn(3, 4, LATENT_SIZE, LATENT_SIZE)
    prompt = prompt_of(network, coefficients)
    level = scheduler.stable_diffusion_levels(False)[600]
    past = network.empty_cache(1), torch.zeros(1, 0)
    with torch.no_grad():
        v, _ = network(noisy, torch.full((3,), level), coefficients, [None] * 16, *past)
        clip = noisy.transpose(0, 1)[None]  # [1, 4, frames, h, w]
        expected = theirs(clip, 600, prompt).sample[0].transpose(0, 1)
    noise = scheduler.noise_from_velocity(noisy, v, level)
    assert torch.allclose(noise, expected, atol=2e-4), (noise - expected).abs().max()


def test_head_motion_begins_as_a_silent_copy_of_the_prompts_layer() -> None:
    network = DenoisingNet(widths=WIDTHS, latent_size=LATENT_SIZE, token_width=TOKEN_WIDTH)
    load_unet(network, small_unet().state_dict())
    block = network.blocks[5]
    assert torch.equal(block.head_motion.to_key.weight, block.expression.to_key.weight)
    assert torch.equal(block.head_motion.norm.weight, block.expression.norm.weight)
    assert not block.head_motion.to_out.weight.any() and block.expression.to_out.weight.any()


@pytest.mark.parametrize("network", [small_denoiser, small_reference])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda state: state.pop("mid_block.resnets.0.conv1.weight"), r"1 missing \(mid_block\.resnets\.0\.conv1\.weight\)"),
        (lambda state: state.update({"add_embedding.weight": torch.zeros(1)}), r"1 unknown \(add_embedding\.weight\)"),
        (lambda state: state.update({"conv_in.weight": torch.zeros(32, 9, 3, 3)}), r"1 of another shape \(conv_in\.weight\)"),
    ],
    ids=["missing", "unknown", "shape"],
)  # fmt: skip
def test_a_unet_of_another_kind_is_refused_and_changes_nothing(network: Any, spoil: Any, message: str) -> None:
    ours, state = network(), small_unet().state_dict()
    before = {name: value.clone() for name, value in ours.state_dict().items()}
    spoil(state)
    with pytest.raises(WeightsError, match=message):
        load_unet(ours, state)
    assert all(torch.equal(value, before[name]) for name, value in ours.state_dict().items())


def test_motion_modules_of_v1_or_of_another_layout_are_refused() -> None:
    network = small_denoiser()
    first = MotionAdapter(block_out_channels=WIDTHS, use_motion_mid_block=False, motion_max_seq_length=24).state_dict()
    with pytest.raises(WeightsError, match="v1"):
        load_motion_modules(network, first)
    with pytest.raises(WeightsError, match="28 missing .*mid_block"):
        load_motion_modules(network, small_adapter(in_middle=False).state_dict())
    with pytest.raises(WeightsError, match="28 unknown .*mid_block"):
        load_motion_modules(small_denoiser(motion_in_middle=False), small_adapter().state_dict())


def test_a_context_longer_than_the_positions_is_refused() -> None:
    with pytest.raises(WeightsError, match="42 of another shape .*pe"):
        load_motion_modules(small_denoiser(context_frames=31), small_adapter().state_dict())


@pytest.mark.parametrize("in_middle", [True, False], ids=["v2", "v3"])
def test_both_networks_are_made_from_files(in_middle: bool, tmp_path: Path) -> None:
    small_unet().save_pretrained(tmp_path / "unet")
    adapter = small_adapter(in_middle).state_dict()
    torch.save({"state_dict": as_animatediff_writes(adapter)}, tmp_path / "mm.ckpt")
    reference, denoiser = weights.from_sd15(
        tmp_path / "unet", tmp_path / "mm.ckpt", WIDTHS, token_width=TOKEN_WIDTH, latent_size=LATENT_SIZE
    )
    assert len(denoiser.temporal) == 20 + in_middle
    ours = denoiser.temporal[7].second.to_value.weight
    assert torch.equal(ours, adapter["down_blocks.3.motion_modules.1.transformer_blocks.0.attn2.to_v.weight"])
    assert torch.equal(reference.trunk.conv_in.weight, denoiser.trunk.conv_in.weight)


def test_files_that_are_not_there_or_hold_something_else_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="give the `unet` folder"):
        weights.read_unet(tmp_path)
    with pytest.raises(WeightsError, match="mm.ckpt does not exist"):
        weights.read_motion_modules(tmp_path / "mm.ckpt")
    torch.save({"weights": Path}, tmp_path / "code.ckpt")
    with pytest.raises(WeightsError, match="holds more than weights"):
        weights.read_motion_modules(tmp_path / "code.ckpt")
    small_adapter().save_pretrained(tmp_path / "adapter")
    with pytest.raises(WeightsError, match="holds a MotionAdapter"):
        weights.read_unet(tmp_path / "adapter")
    assert weights.read_motion_modules(tmp_path / "adapter")


LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 1816903200\n"


@pytest.mark.parametrize(
    ("name", "spoil"),
    [("whole.safetensors", lambda data: data[:-100]), ("whole.safetensors", lambda _: LFS_POINTER),
     ("whole.ckpt", lambda data: data[:-100]), ("whole.ckpt", lambda _: b""), ("whole.ckpt", lambda _: LFS_POINTER)],
    ids=["short safetensors", "pointer to safetensors", "short ckpt", "empty ckpt", "pointer to ckpt"],
)  # fmt: skip
def test_files_that_did_not_come_whole_are_named(name: str, spoil: Any, tmp_path: Path) -> None:
    state, whole, spoilt = {"weight": torch.zeros(100)}, tmp_path / name, tmp_path / f"spoilt-{name}"
    (save_file if whole.suffix == ".safetensors" else torch.save)(state, whole)
    assert weights.read_motion_modules(whole).keys() == state.keys()
    spoilt.write_bytes(spoil(whole.read_bytes()))
    with pytest.raises(WeightsError, match=spoilt.name):
        weights.read_motion_modules(spoilt)


def test_a_unet_that_did_not_come_whole_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"_class_name": "UNet2DConditionModel"}')
    (tmp_path / "diffusion_pytorch_model.safetensors").write_bytes(LFS_POINTER)
    with pytest.raises(WeightsError, match="diffusion_pytorch_model.safetensors cannot be read"):
        weights.read_unet(tmp_path)


@pytest.mark.parametrize("stored", [[torch.zeros(1)], {"state_dict": [torch.zeros(1)]}], ids=["list", "list in a dict"])
def test_weights_without_names_are_refused(stored: Any, tmp_path: Path) -> None:
    torch.save(stored, tmp_path / "list.ckpt")
    with pytest.raises(WeightsError, match="list.ckpt holds a list"):
        weights.read_motion_modules(tmp_path / "list.ckpt")
