"""Puts audio-to-FLAME networks that were trained apart together as one that says their mean:

    python -m training.average_audio_to_flame runs/first/final runs/second/final --out runs/audio_to_flame/final

Each keeps its own weights: a mean can be taken apart, and its first member trained on (`--begin-from`).
"""

import argparse
import sys
from pathlib import Path

import torch

from flap.audio_to_flame import AudioToFlame, AudioToFlameMean, load
from training.train_audio_to_flame import READY_TO_SHUT


def members_of(folders: list[Path]) -> list[AudioToFlame]:
    """Those of all folders; a mean that was made before gives each of its own. Raises OSError."""
    members: list[AudioToFlame] = []
    for folder in folders:
        network = load(folder)
        members += network.members if isinstance(network, AudioToFlameMean) else [network]
    return members


def average(members: list[AudioToFlame]) -> AudioToFlameMean:
    """As ready to shut its lips as one that was trained now. Raises ValueError for networks that know other mouths."""
    mouths = {member.config.mouths for member in members}
    if len(mouths) != 1:
        raise ValueError("the networks know different mouths: train them with the same training.phones")
    mean = AudioToFlameMean([member.config.width for member in members], mouths.pop())
    for place, member in zip(mean.members, members, strict=True):
        place.load_state_dict(member.state_dict())
        place.shut_bias.copy_(torch.tensor(READY_TO_SHUT))
    return mean


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", type=Path, nargs="+", help="folders that training.train_audio_to_flame made")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    try:
        mean = average(members_of(options.networks))
    except (OSError, ValueError) as error:
        sys.exit(f"nothing was put together: {error}")
    mean.save_pretrained(options.out)
    print(
        f"{len(mean.members)} networks, {sum(weight.numel() for weight in mean.parameters()) / 1e6:.1f} million weights"
    )


if __name__ == "__main__":
    main()
