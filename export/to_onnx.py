"""Exports trained networks to a bundle: `python -m export.to_onnx runs/checkpoint bundles/flap-small`.

The checkpoint folder holds `autoencoder/`, `motion_field/`, `reference_net/`, `denoising_net/`, `audio_to_flame/`
(diffusers folders) and `presenters/`.
"""

import argparse
import json
import sys
from pathlib import Path

from export.audio_graph import audio_graph
from export.bundle import ExportError, write_bundle
from export.portrait_graphs import GraphSpec, portrait_graphs
from flap import config
from flap.audio_to_flame import AudioToFlame
from flap.autoencoder import Autoencoder
from flap.denoising_net import DenoisingNet, ReferenceNet
from flap.motion_field import MotionField

SHARED_CONFIG = ("SAMPLE_RATE_HZ", "FRAME_RATE_HZ", "CHUNK_FRAMES", "CONTEXT_FRAMES", "IMAGE_SIZE")


def load_graphs(checkpoint: Path) -> list[GraphSpec]:
    """Every graph of a checkpoint folder; raises OSError when a part is missing."""
    portrait = portrait_graphs(
        Autoencoder.from_pretrained(checkpoint / "autoencoder"), MotionField.from_pretrained(checkpoint / "motion_field"),
        ReferenceNet.from_pretrained(checkpoint / "reference_net"), DenoisingNet.from_pretrained(checkpoint / "denoising_net"),
    )  # fmt: skip
    return [*portrait, audio_graph(AudioToFlame.from_pretrained(checkpoint / "audio_to_flame"))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--name", default="flap-small")
    parser.add_argument("--metrics", type=Path, help="JSON with measured quality, kept in the manifest")
    options = parser.parse_args()
    metrics = json.loads(options.metrics.read_text()) if options.metrics else {}
    shared = {name.lower(): getattr(config, name) for name in SHARED_CONFIG}
    try:
        graphs = load_graphs(options.checkpoint)
        differences = write_bundle(
            options.out, options.name, graphs, options.checkpoint / "presenters", shared, metrics
        )
    except (ExportError, OSError) as error:
        sys.exit(f"nothing was exported: {error}")
    for name, difference in differences.items():
        print(f"{name}: largest difference to torch {difference:.2e}")


if __name__ == "__main__":
    main()
