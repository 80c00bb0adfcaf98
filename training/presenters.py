"""Renders the presenters that ship with the bundle:

    python -m training.presenters --assets ../shared/assets/makehuman --out runs/checkpoint/presenters

`training.render.people` says who they are; a portrait is the presenter's neutral frame in the studio, twice
as large as what the networks draw (`realtime/render/detail.py`).
"""

import argparse
import json
from pathlib import Path

from PIL import Image

from flap import coefficients as co
from flap.config import FINE_SIZE
from training.render.assets import Assets
from training.render.character import Character
from training.render.people import FIRST_PRESENTER, PRESENTERS, identity_of, scene_of
from training.render.rasterizer import Stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    assets, entries = Assets(options.assets), []
    for number, spec in enumerate(PRESENTERS, FIRST_PRESENTER):
        stage = Stage(Character(assets, identity_of(number)), scene_of(number, 0), size=FINE_SIZE)
        picture, _ = stage.render(co.neutral())
        stage.context.release()
        Image.fromarray(picture).save(options.out / f"{spec.id}.png", optimize=True)
        entries.append({"id": spec.id, "name": spec.name, "coefficients": co.neutral().tolist()})
    (options.out / "presenters.json").write_text(json.dumps(entries, indent=1))


if __name__ == "__main__":
    main()
