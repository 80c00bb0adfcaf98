"""Exports trained networks to a bundle: `python -m export.to_onnx runs/checkpoint bundles/flap-small`.

The checkpoint folder holds `autoencoder/`, `motion_field/`, `reference_net/`, `denoising_net/`, `audio_to_flame/`
(diffusers folders) and `presenters/`. With `--only GRAPH` one graph of a finished bundle is replaced, and only the
networks that it is made of must be there; graphs of the portrait that are kept must be of the same ones. With
`--only presenters` the people are replaced, and no network must be there.

`--scale flap-sd15` exports what a stage of `training.train_sd15` has left, with the autoencoder that is given by `--vae`.
"""

import argparse
import json
import sys
from pathlib import Path

from engines.bundle import BundleError
from engines.engine import EngineError
from export.audio_graph import audio_graph
from export.bundle import ExportError, replace_graph, replace_presenters, write_bundle
from export.portrait_graphs import GraphSpec, portrait_graphs
from export.sd15_graphs import sd15_graphs
from flap import config
from flap.audio_to_flame import load as load_audio_to_flame
from flap.autoencoder import Autoencoder
from flap.denoising_net import DenoisingNet, ReferenceNet
from flap.motion_field import MotionField
from flap.speech import LOOKAHEAD_FRAMES

SHARED_CONFIG = ("SAMPLE_RATE_HZ", "FRAME_RATE_HZ", "CHUNK_FRAMES", "CONTEXT_FRAMES", "IMAGE_SIZE")
PORTRAIT_GRAPHS = ("portrait_encoder", "motion_field", "denoiser_step", "decoder")
GRAPHS, PRESENTERS = (*PORTRAIT_GRAPHS, "audio_to_flame"), "presenters"
SCALES = ("flap-small", "flap-sd15")


def load_graphs(checkpoint: Path, only: str | None = None) -> list[GraphSpec]:
    """The graphs of a checkpoint folder, or `only` and those that are trained with it; raises OSError when a part is missing."""
    graphs: list[GraphSpec] = []
    if only is None or only in PORTRAIT_GRAPHS:
        graphs += portrait_graphs(
            Autoencoder.from_pretrained(checkpoint / "autoencoder"), MotionField.from_pretrained(checkpoint / "motion_field"),
            ReferenceNet.from_pretrained(checkpoint / "reference_net"), DenoisingNet.from_pretrained(checkpoint / "denoising_net"),
        )  # fmt: skip
    if only in (None, "audio_to_flame"):
        network = load_audio_to_flame(checkpoint / "audio_to_flame")
        if not network.closed_shapes.any():  # diffusers fills in what an older checkpoint lacks without a word
            raise ExportError("audio_to_flame is of an older network or unfinished: train it again")
        graphs.append(audio_graph(network))
    return graphs


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--only", choices=(*GRAPHS, PRESENTERS), help="replace this part of the bundle in OUT and keep the rest"
    )
    parser.add_argument("--scale", choices=SCALES, default=SCALES[0])
    parser.add_argument("--vae", type=Path, help="the `vae` folder of Stable Diffusion 1.5, for flap-sd15")
    parser.add_argument("--name", help="of the whole bundle (default: its scale)")
    parser.add_argument("--metrics", type=Path, help="JSON with measured quality, kept in the manifest")
    options = parser.parse_args(arguments)
    large = options.scale == "flap-sd15"
    if large and (options.only or not options.vae):
        parser.error("flap-sd15 needs --vae and is exported whole")
    metrics = json.loads(options.metrics.read_text()) if options.metrics else {}
    hears_ahead = {"lookahead_frames": LOOKAHEAD_FRAMES}
    shared = {name.lower(): getattr(config, name) for name in SHARED_CONFIG} | hears_ahead
    name = options.name or options.scale
    try:
        if large:
            del shared["image_size"], shared["lookahead_frames"]  # flap-small's
            shared["chunk_frames"] = config.TOGETHER_FRAMES
            graphs = sd15_graphs(options.checkpoint, options.vae)
            differences = write_bundle(options.out, name, graphs, None, shared, metrics, large=True)
        elif options.only == PRESENTERS:
            replace_presenters(options.out, options.checkpoint / PRESENTERS)
            differences = {}
        elif options.only:
            graphs_by_name = {graph.name: graph for graph in load_graphs(options.checkpoint, options.only)}
            graph = graphs_by_name.pop(options.only)
            told = hears_ahead if options.only == "audio_to_flame" else {}
            difference = replace_graph(options.out, graph, metrics, told, trained_with=graphs_by_name.values())
            differences = {options.only: difference}
        else:
            presenters = options.checkpoint / PRESENTERS
            differences = write_bundle(options.out, name, load_graphs(options.checkpoint), presenters, shared, metrics)
    except (BundleError, EngineError, ExportError, OSError) as error:
        sys.exit(f"nothing was exported: {error}")
    for graph_name, difference in differences.items():
        print(f"{graph_name}: largest difference to torch {difference:.2e}")


if __name__ == "__main__":
    main()
