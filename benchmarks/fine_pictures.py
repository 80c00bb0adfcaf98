"""What the fine detail of the portraits brings to pictures of 512 x 512: python -m benchmarks.fine_pictures --json --sheet FILE.jpg

Against exact renders of that size, of the presenters at rest, saying recorded speech (streamed as the server does it), and in any pose
and expression: pictures drawn at 256 x 256 and enlarged smoothly, and the same with `realtime/render/detail.py`. `sharpness` says how much
of the truth's detail they have (1: as much). Needs what `benchmarks.quality` needs.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import DEFAULT_ASSETS, REPOSITORY, commit, machine
from benchmarks.psnr import psnr_db
from benchmarks.quality import SEEN_PEOPLE, generate, spoken_faces, spoken_frames
from engines.bundle import BundleError, open_bundle
from engines.engine import EngineError
from flap import coefficients as co
from flap.config import FINE_SIZE, FRAME_RATE_HZ
from realtime.render.detail import enlarged
from realtime.render.portrait import PortraitStage

Picture = NDArray[np.uint8]
SPOKEN, ANY = 8, 8  # frames of each presenter
ON_THE_SHEET = ("mei", "samuel", "nora", "erik")


@dataclass(frozen=True)
class Compared:
    """One frame, `[512, 512, 3]` each."""

    presenter: str
    kind: str  # rest, speaking, any
    smooth: Picture
    fine: Picture
    truth: Picture


def sharpness(picture: Picture) -> float:
    """How much there is that a picture of half the size cannot hold: its deviation, in levels."""
    half = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return float((picture.astype(np.float32) - enlarged(np.asarray(half, np.uint8), len(picture))).std())


def streamed(stage: PortraitStage, presenter: str, faces: co.Array, chosen: list[int]) -> list[Picture]:
    """The `chosen` frames of a stream of `faces` `[n, 120]`."""
    state, kept = stage.init_state(presenter), []
    for number, face in enumerate(faces[: max(chosen) + 1]):
        frames, state = stage.step(face[None], state)
        if number in chosen:
            kept.append(frames[-1])
    return kept


def compare(drawn: PortraitStage, fine: PortraitStage, assets: Any, spoken: co.Array) -> Iterator[Compared]:
    """`drawn` draws 256 x 256, `fine` 512 x 512."""
    from training.motions import random_face
    from training.render.character import Character
    from training.render.people import identity_of, scene_of
    from training.render.rasterizer import Stage

    chosen = spoken_frames(spoken, SPOKEN)
    first = chosen[0] - FRAME_RATE_HZ // 2  # half a second before the first, so that the past is there
    around, rng = [number - first for number in chosen], np.random.default_rng(5)
    anything = np.stack([random_face(rng) for _ in range(ANY)])
    for number, presenter in zip(SEEN_PEOPLE, drawn.presenters, strict=True):
        truth = Stage(Character(assets, identity_of(number)), scene_of(number, 0), size=FINE_SIZE)
        made = [
            [*generate(s, presenter, co.neutral(1)), *streamed(s, presenter, spoken[first:], around), *generate(s, presenter, anything)]
            for s in (drawn, fine)
        ]  # fmt: skip
        kinds = ["rest"] + ["speaking"] * SPOKEN + ["any"] * ANY
        for kind, face, small, large in zip(kinds, [co.neutral(), *spoken[chosen], *anything], *made, strict=True):
            yield Compared(presenter, kind, enlarged(small, FINE_SIZE), large, truth.render(face)[0])
        truth.context.release()


def figures(compared: list[Compared]) -> dict[str, dict[str, float]]:
    """By kind, medians over the frames."""
    found = {}
    for kind in dict.fromkeys(each.kind for each in compared):
        some = [each for each in compared if each.kind == kind]
        found[kind] = {
            "smooth_db": float(np.median([psnr_db(each.smooth, each.truth) for each in some])),
            "fine_db": float(np.median([psnr_db(each.fine, each.truth) for each in some])),
            "smooth_sharpness": float(np.median([sharpness(each.smooth) / sharpness(each.truth) for each in some])),
            "fine_sharpness": float(np.median([sharpness(each.fine) / sharpness(each.truth) for each in some])),
        }
        found[kind] = {name: round(value, 3) for name, value in found[kind].items()} | {"frames": len(some)}
    return found


def sheet(compared: list[Compared]) -> Picture:
    """Smooth, fine and true, side by side: of some presenters the first frame of speech."""
    rows = []
    for presenter in ON_THE_SHEET:
        each = next(each for each in compared if each.presenter == presenter and each.kind == "speaking")
        rows.append(np.concatenate([each.smooth, each.fine, each.truth], 1))
    picture = np.ascontiguousarray(np.concatenate(rows))
    for column, label in enumerate(("drawn at 256, enlarged", "with the portrait's detail", "exact render")):
        place = (column * FINE_SIZE + 12, 30)
        cv2.putText(picture, label, place, cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255, 255, 255), 2, cv2.LINE_AA)
    return picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=REPOSITORY / "bundles" / "flap-small")
    parser.add_argument("--assets", type=Path, default=DEFAULT_ASSETS, help="folder of the MakeHuman assets")
    parser.add_argument("--sheet", type=Path, help="where to leave a picture of the comparison")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args()
    try:
        from training.render.assets import AssetError, Assets

        assets, bundle = Assets(options.assets), open_bundle(options.bundle)
    except ImportError as error:
        sys.exit(f"cannot compare: {error}; make install-dev installs what the renderer needs")
    except (AssetError, BundleError, EngineError) as error:
        sys.exit(f"cannot compare: {error}")
    stages = PortraitStage(bundle), PortraitStage(bundle, picture_size=FINE_SIZE)
    compared = list(compare(*stages, assets, spoken_faces(bundle)[0]))
    found = figures(compared)
    for kind, values in found.items():
        print(f"{kind:9s}" + "  ".join(f"{name} {value}" for name, value in values.items()))
    if options.sheet:
        jpeg = [cv2.IMWRITE_JPEG_QUALITY, 88]
        cv2.imwrite(str(options.sheet), cv2.cvtColor(sheet(compared), cv2.COLOR_RGB2BGR), jpeg)
    if options.json:
        print(json.dumps({**found, "machine": machine(), "commit": commit()}))


if __name__ == "__main__":
    main()
