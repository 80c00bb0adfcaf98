"""Keeps the weights that a bundle was exported from, in half precision, so that a later training can go on from them:

    python -m training.keep_weights runs/checkpoint bundles/checkpoints

Every trainer takes such a folder with `--begin-from`, and `training.flap_small` takes those of the portrait.
"""

import argparse
import json
import sys
from pathlib import Path

from safetensors.torch import load_file, save_file

WEIGHTS = "diffusion_pytorch_model.safetensors"


def keep(checkpoint: Path, out: Path) -> list[str]:
    """Copies each network folder of `checkpoint` to `out`, floats halved; returns their names, in order.

    Raises FileNotFoundError when there is none.
    """
    folders = sorted(path.parent for path in checkpoint.glob(f"*/{WEIGHTS}"))
    if not folders:
        raise FileNotFoundError(f"no network in {checkpoint}: run python -m training.flap_small first")
    for folder in folders:
        kept = out / folder.name
        kept.mkdir(parents=True, exist_ok=True)
        weights = load_file(folder / WEIGHTS)
        halved = {name: value.half() if value.is_floating_point() else value for name, value in weights.items()}
        save_file(halved, kept / WEIGHTS, {"format": "pt"})
        config = json.loads((folder / "config.json").read_text())
        config.pop("_name_or_path", None)  # a path of the machine that trained it
        (kept / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    return [folder.name for folder in folders]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    try:
        print(*keep(options.checkpoint, options.out), sep="\n")
    except FileNotFoundError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
