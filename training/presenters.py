"""Renders the presenters that ship with the bundle:

    python -m training.presenters --assets ../shared/assets/makehuman --out runs/checkpoint/presenters

A presenter is one of the training people with a name; its portrait is that person's neutral frame.
"""

import argparse
import json
from pathlib import Path

from PIL import Image

from flap import coefficients as co
from training.render.assets import Assets
from training.render.character import Character
from training.render.identities import random_identity
from training.render.rasterizer import Stage

PRESENTERS = {  # id -> (name shown, seed of the person)
    "nora": ("Nora", 10),
    "jun": ("Jun", 33),
    "mei": ("Mei", 0),
    "tom": ("Tom", 1),
    "amara": ("Amara", 8),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    assets, entries = Assets(options.assets), []
    for presenter_id, (name, seed) in PRESENTERS.items():
        stage = Stage(Character(assets, random_identity(seed)))
        picture, _ = stage.render(co.neutral())
        stage.context.release()
        Image.fromarray(picture).save(options.out / f"{presenter_id}.png")
        entries.append({"id": presenter_id, "name": name, "coefficients": co.neutral().tolist()})
    (options.out / "presenters.json").write_text(json.dumps(entries, indent=1))


if __name__ == "__main__":
    main()
