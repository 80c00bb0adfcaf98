"""Portrait, ground truth, and what 50, 2 and 1 steps of diffusion make of it, side by side, on motions never trained on:

python -m benchmarks.steps_sheet --out docs/images/steps.jpg

Two people of the training set above two that were never rendered for it. Needs what `benchmarks.quality` needs.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import DEFAULT_ASSETS, REPOSITORY
from benchmarks.quality import MANY_STEPS, Person, generate, render_person, with_people
from engines.bundle import Bundle, BundleError, open_bundle
from engines.engine import EngineError
from realtime.render.portrait import PortraitStage

PEOPLE = (500, 506, 402, 411)  # the last two are held out
STEPS = (MANY_STEPS, 2, 1)
MOTIONS = 2


def sheet(bundle: Bundle, people: Sequence[Person], motions: int) -> NDArray[np.uint8]:
    """Rows of people and motions; columns as above, labelled; RGB."""
    with tempfile.TemporaryDirectory() as folder:
        stages = [PortraitStage(with_people(bundle, people, Path(folder)), steps) for steps in STEPS]
        rows = []
        for person in people:
            made = [generate(stage, person.name, person.faces[:motions]) for stage in stages]
            columns = [[person.portrait] * motions, person.pictures[:motions], *made]
            rows += [np.concatenate(tiles, 1) for tiles in zip(*columns, strict=True)]
    picture = np.ascontiguousarray(np.concatenate(rows))
    labels = ("portrait", "truth", *(f"{steps} step{'s' * (steps > 1)}" for steps in STEPS))
    for column, label in enumerate(labels):
        place = (column * people[0].portrait.shape[1] + 6, 18)
        cv2.putText(picture, label, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    return picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=REPOSITORY / "bundles" / "flap-small")
    parser.add_argument("--assets", type=Path, default=DEFAULT_ASSETS, help="folder of the MakeHuman assets")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "docs" / "images" / "steps.jpg")
    options = parser.parse_args()
    try:
        from training.render.assets import AssetError, Assets

        assets, bundle = Assets(options.assets), open_bundle(options.bundle)
    except ImportError as error:
        sys.exit(f"cannot draw: {error}; make install-dev installs what the renderer needs")
    except (AssetError, BundleError, EngineError) as error:
        sys.exit(f"cannot draw: {error}")
    people = [render_person(assets, number, MOTIONS) for number in PEOPLE]
    picture = sheet(bundle, people, MOTIONS)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(options.out), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
