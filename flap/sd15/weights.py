"""Reads a diffusers Stable Diffusion 1.5 U-Net and AnimateDiff v2 or v3 motion modules into flap-sd15, by name.

Every name on both sides is accounted for: a weight of the file is read, or listed as unused by a rule below; a weight of
the network is read, or listed as fresh by a rule below. Anything else is refused, and the network stays as it was.
"""

import json
import pickle
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from flap.sd15.networks import WIDTHS, DenoisingNet, ReferenceNet
from flap.sd15.trunk import sites

# ours: theirs, within an attention block or a motion module
PROJECTIONS = {"to_query": "to_q", "to_key": "to_k", "to_value": "to_v", "to_out": "to_out.0"}
OUTSIDE = {"entry.norm": "norm", "entry.proj_in": "proj_in", "proj_out": "proj_out"}
FEED_FORWARD = {"feed_forward.0": "norm3", "feed_forward.1.proj": "ff.net.0.proj", "feed_forward.2": "ff.net.2"}
# head motion begins as a copy of the prompt's layer
ATTENTION_LAYERS = {"spatial": 1, "expression": 2, "head_motion": 2}
MOTION_LAYERS = {"first": 1, "second": 2}

FRESH = re.compile(r"conditions\.|temporal\.|blocks\.\d+\.(\w+\.null_token$|head_motion\.to_out\.)")
PROMPT = re.compile(r"transformer_blocks\.0\.(attn2|norm2)\.")
ANIMATEDIFF_V1_POSITIONS = 24


class WeightsError(Exception):
    """A file is not what it was taken for; nothing was loaded."""


@dataclass(frozen=True)
class Loaded:
    """Names of what was read from a file, what of it the network has no use for, and what of the network stays fresh."""

    used: frozenset[str]
    unused: frozenset[str]
    fresh: frozenset[str]


def load_unet(network: DenoisingNet | ReferenceNet, state: Mapping[str, Tensor]) -> Loaded:
    """Fills `network` from the state of a diffusers UNet2DConditionModel; raises WeightsError.

    Fresh in a DenoisingNet: condition encoder, null tokens, motion modules, and the output of head motion, which is zero.
    Unused by a ReferenceNet: the prompt's layers, and whatever lies behind the last hidden state.
    """
    prefixes = [f"{site.level}.attentions.{site.position}" for site in _sites(network) if site.has_attention]
    sources = {name: _unet_name(name, prefixes) for name, _ in network.named_parameters() if not FRESH.match(name)}
    unused: set[str] = set()
    if isinstance(network, ReferenceNet):
        last = re.compile(rf"{re.escape(prefixes[-1])}\.(transformer_blocks|proj_out)\.|conv_(norm_)?out\.")
        unused = {name for name in state if PROMPT.search(name) or last.match(name)}
    return _fill(network, sources, state, unused)


def load_motion_modules(network: DenoisingNet, state: Mapping[str, Tensor]) -> Loaded:
    """Fills the motion modules of `network` from AnimateDiff's own file or from a diffusers MotionAdapter.

    Raises WeightsError; v1 is refused, since its U-Net normalises over all frames, the future ones too.
    """
    state = motion_names(state)
    places = [site for site in _sites(network) if network.config.motion_in_middle or site.level != "mid_block"]
    prefixes = [f"{site.level}.motion_modules.{site.position}" for site in places]
    sources = {
        name: _motion_name(name, prefixes) for name, _ in network.named_parameters() if name.startswith("temporal.")
    }
    frames = network.config.context_frames + network.config.chunk_frames
    placed = {name: value[0, :frames] if name.endswith(".pe") else value for name, value in state.items()}
    return _fill(network, sources, placed, set())


def from_sd15(
    unet: Path, motion: Path | None, widths: tuple[int, ...] = WIDTHS, **config: Any
) -> tuple[ReferenceNet, DenoisingNet]:
    """Both networks with the weights of a diffusers U-Net folder and a file of motion modules; raises WeightsError.

    `config` goes to DenoisingNet. Motion modules decide `motion_in_middle`; without a file they stay fresh.
    """
    unet_state, motion_state = read_unet(unet), read_motion_modules(motion) if motion else {}
    if motion:
        config["motion_in_middle"] = any(name.startswith("mid_block.") for name in motion_names(motion_state))
    reference, denoiser = ReferenceNet(widths=widths), DenoisingNet(widths=widths, **config)
    load_unet(reference, unet_state)
    load_unet(denoiser, unet_state)
    if motion:
        load_motion_modules(denoiser, motion_state)
    return reference, denoiser


def read_unet(folder: Path) -> dict[str, Tensor]:
    """Weights of a diffusers U-Net folder, which must hold safetensors of the kind that Stable Diffusion 1.5 has.

    Raises WeightsError.
    """
    for name in ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors"):
        if (folder / name).exists() and (folder / "config.json").exists():
            config = json.loads((folder / "config.json").read_text())
            if config.get("_class_name") != "UNet2DConditionModel":
                raise WeightsError(f"{folder} holds a {config.get('_class_name')}, not a UNet2DConditionModel")
            return _read(folder / name)
    raise WeightsError(f"{folder} has no config.json and diffusion_pytorch_model.safetensors: give the `unet` folder")


def read_motion_modules(path: Path) -> dict[str, Tensor]:
    """Weights of AnimateDiff's file (.ckpt, .safetensors) or of a diffusers MotionAdapter folder; no code is run.

    Raises WeightsError.
    """
    if path.is_dir():
        path = path / "diffusion_pytorch_model.safetensors"
    if not path.exists():
        raise WeightsError(f"{path} does not exist")
    stored = _read(path)
    stored = stored.get("state_dict", stored) if isinstance(stored, dict) else stored
    if not isinstance(stored, dict):
        raise WeightsError(f"{path} holds a {type(stored).__name__}, not weights by name: give AnimateDiff's own file")
    return {name: value for name, value in stored.items() if isinstance(value, Tensor)}


def _read(path: Path) -> Any:
    """What a file of weights holds."""
    try:
        return (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except pickle.UnpicklingError as error:
        raise WeightsError(f"{path} holds more than weights: {error}") from error
    except (SafetensorError, RuntimeError, EOFError, OSError) as error:
        raise WeightsError(f"{path} cannot be read, fetch it again: {error}") from error


def motion_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """One naming for AnimateDiff's own files and for diffusers': `...attn1.to_q.weight`, and positions `...attn1.pe`."""
    named: dict[str, Tensor] = {}
    for name, value in state.items():
        name = name.removeprefix("module.").replace(".temporal_transformer.", ".")
        for theirs, ours in (("norms.0", "norm1"), ("norms.1", "norm2"), ("ff_norm", "norm3")):
            name = name.replace(f".{theirs}.", f".{ours}.")
        name = name.replace(".attention_blocks.0.", ".attn1.").replace(".attention_blocks.1.", ".attn2.")
        name = name.replace(".pos_encoder.pe", ".pe")
        if name.endswith(".pos_embed.pe"):  # diffusers has one table for both attentions
            named |= {name.replace("pos_embed", layer): value for layer in ("attn1", "attn2")}
        else:
            named[name] = value
    positions = {value.shape[1] for name, value in named.items() if name.endswith(".pe")}
    if positions == {ANIMATEDIFF_V1_POSITIONS}:
        raise WeightsError("these are motion modules of AnimateDiff v1: take those of v2 or v3")
    return named


def _unet_name(name: str, prefixes: list[str]) -> str:
    """Where a weight of ours stands in a UNet2DConditionModel."""
    if not (match := re.match(r"blocks\.(\d+)\.(.+)", name)):
        return name.removeprefix("trunk.")
    return f"{prefixes[int(match[1])]}.{_within(match[2], ATTENTION_LAYERS)}"


def _motion_name(name: str, prefixes: list[str]) -> str:
    """Where a weight of ours stands in what `motion_names` gives."""
    match = re.match(r"temporal\.(\d+)\.(.+)", name)
    assert match
    return f"{prefixes[int(match[1])]}.{_within(match[2], MOTION_LAYERS)}"


def _within(name: str, layers: Mapping[str, int]) -> str:
    """`spatial.to_query.weight` to `transformer_blocks.0.attn1.to_q.weight`."""
    layer, _, rest = name.partition(".")
    if layer in layers:
        if rest == "position":
            return f"transformer_blocks.0.attn{layers[layer]}.pe"
        part, kind = rest.rsplit(".", 1)
        inside = f"norm{layers[layer]}" if part == "norm" else f"attn{layers[layer]}.{PROJECTIONS[part]}"
        return f"transformer_blocks.0.{inside}.{kind}"
    part, kind = name.rsplit(".", 1)
    return f"{OUTSIDE[part]}.{kind}" if part in OUTSIDE else f"transformer_blocks.0.{FEED_FORWARD[part]}.{kind}"


def _sites(network: DenoisingNet | ReferenceNet) -> list[Any]:
    return list(sites(tuple(network.config.widths)))


def _fill(network: nn.Module, sources: Mapping[str, str], state: Mapping[str, Tensor], unused: set[str]) -> Loaded:
    """Copies `state[theirs]` to each ours of `sources` ({ours: theirs}) when every name and shape is accounted for."""
    used = set(sources.values())
    own = dict(network.named_parameters())
    problems = [
        *_listed("missing", used - state.keys()),
        *_listed("unknown", state.keys() - used - unused),
        *_listed("of another shape", {theirs for ours, theirs in sources.items() if not _fits(own[ours], state.get(theirs))}),
    ]  # fmt: skip
    if problems:
        raise WeightsError("not the weights of this network: " + "; ".join(problems))
    with torch.no_grad():
        for ours, theirs in sources.items():
            own[ours].copy_(state[theirs].reshape(own[ours].shape))
    return Loaded(frozenset(used), frozenset(unused), frozenset(own.keys() - sources.keys()))


def _fits(own: Tensor, other: Tensor | None) -> bool:
    """Equal shapes; a convolution of one pixel fits a linear layer. What is missing is named elsewhere."""
    return other is None or other.shape in (own.shape, (*own.shape, 1, 1))


def _listed(problem: str, names: Iterable[str]) -> list[str]:
    found = sorted(names)
    return [f"{len(found)} {problem} ({', '.join(found[:3])}{', ...' if len(found) > 3 else ''})"] if found else []
