"""Makes the networks that training.train_sd15 begins from, out of Stable Diffusion 1.5 and AnimateDiff v2 or v3:

python -m training.begin_sd15 --unet sd15/unet --motion mm_sd_v15_v2.ckpt --out runs/sd15/begin
"""

import argparse
import sys
from pathlib import Path

from flap.sd15.networks import PREDICTIONS
from flap.sd15.weights import WeightsError, from_sd15
from training.sd15 import FlapSd15


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--unet", type=Path, required=True, help="the `unet` folder of Stable Diffusion 1.5 (diffusers)"
    )
    parser.add_argument("--motion", type=Path, required=True, help="AnimateDiff's file or diffusers' folder, v2 or v3")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--prediction", choices=PREDICTIONS, default="velocity")
    options = parser.parse_args(words)
    try:
        reference, denoiser = from_sd15(options.unet, options.motion, prediction=options.prediction)
    except WeightsError as error:
        sys.exit(f"nothing was made: {error}")
    FlapSd15(reference, denoiser).save_pretrained(options.out)


if __name__ == "__main__":
    main()
