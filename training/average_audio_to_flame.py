"""Puts audio-to-FLAME networks that learnt on from the same one together as one network of the mean of their weights:

    python -m training.average_audio_to_flame runs/first/final runs/second/final --corpus runs/speech --out runs/audio_to_flame/final

Networks that went different ways from the same place lie close enough for that, and the one between them does about as well as the better
one (docs/decisions.md, 48). What comes out is calibrated as one is at the end of its training; of a single network that is all.
"""

import argparse
import sys
from pathlib import Path

import torch

from flap.audio_to_flame import AudioToFlame, load
from training.speech_corpus import load_all
from training.train_audio_to_flame import calibrate, calibration_clips


@torch.no_grad()
def average(networks: list[AudioToFlame]) -> AudioToFlame:
    """The network between `networks`. Raises ValueError for networks of other shapes."""
    shapes = [{name: tensor.shape for name, tensor in network.state_dict().items()} for network in networks]
    if any(shape != shapes[0] for shape in shapes):
        raise ValueError("the networks have other shapes: put together what learnt on from the same one")
    mean = AudioToFlame(**{name: networks[0].config[name] for name in ("width", "hidden", "mouths", "dropout")})
    states = [network.state_dict() for network in networks]
    mean.load_state_dict({name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]})
    return mean.eval()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", type=Path, nargs="+", help="folders that training.train_audio_to_flame made")
    parser.add_argument("--corpus", type=Path, required=True, help="what training.speech_corpus made")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    try:
        clips = calibration_clips(load_all(options.corpus))
        mean = average([load(folder) for folder in options.networks])
    except (OSError, ValueError) as error:
        sys.exit(f"nothing was put together: {error}")
    calibrate(mean, clips)
    mean.save_pretrained(options.out)


if __name__ == "__main__":
    main()
