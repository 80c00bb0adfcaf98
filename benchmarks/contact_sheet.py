"""Presenters x poses, expressions and visemes from a shipped bundle:

python -m benchmarks.contact_sheet --bundle bundles/flap-small --out docs/images/contact_sheet.jpg
python -m benchmarks.contact_sheet --visemes --out docs/images/visemes.jpg

The second shows the lower faces of all mouths that training.visemes knows.
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.bundle import open_bundle
from flap import coefficients as co
from flap.config import CHUNK_FRAMES
from flap.presenter_folder import PresenterFolder
from realtime.cast import Cast
from realtime.render.portrait import PortraitStage
from training.visemes import SHAPES

SETTLE_CHUNKS = 3  # so that the temporal layers have past frames to see

COLUMNS: dict[str, co.Array] = {
    "portrait": co.neutral(),
    "yaw 25": co.from_arkit({}, co.rotation_from_degrees(yaw_deg=25)),
    "yaw -25": co.from_arkit({}, co.rotation_from_degrees(yaw_deg=-25)),
    "pitch 12": co.from_arkit({}, co.rotation_from_degrees(pitch_deg=12)),
    "pitch -12": co.from_arkit({}, co.rotation_from_degrees(pitch_deg=-12)),
    "roll 12": co.from_arkit({}, co.rotation_from_degrees(roll_deg=12)),
    "smile": co.from_arkit({"mouthSmileLeft": 0.8, "mouthSmileRight": 0.8}),
    "eyes closed": co.from_arkit({"eyeBlinkLeft": 1, "eyeBlinkRight": 1}),
    "brows up": co.from_arkit({"browInnerUp": 1, "browOuterUpLeft": 1, "browOuterUpRight": 1}),
    "look left": co.from_arkit({"eyeLookOutLeft": 0.6, "eyeLookInRight": 0.6}),
    "p b m": co.from_arkit({"jawOpen": 0.1, "mouthClose": 0.1, "mouthPressLeft": 0.5, "mouthPressRight": 0.5}),
    "f v": co.from_arkit({"jawOpen": 0.08, "mouthRollLower": 0.6, "mouthUpperUpLeft": 0.25, "mouthUpperUpRight": 0.25}),
    "ah": co.from_arkit({"jawOpen": 0.6}),
    "ee": co.from_arkit({"jawOpen": 0.15, "mouthStretchLeft": 0.5, "mouthStretchRight": 0.5}),
    "oo": co.from_arkit({"jawOpen": 0.12, "mouthPucker": 0.7}),
    "oh": co.from_arkit({"jawOpen": 0.3, "mouthFunnel": 0.6}),
    "yaw 20, ah": co.from_arkit({"jawOpen": 0.5}, co.rotation_from_degrees(yaw_deg=20)),
}


SOUNDS = {
    "p": "p b m", "f": "f v", "t": "t d n", "s": "s z", "k": "k g ng h", "i": "ee", "e": "e", "ae": "a (cat)", "a": "ah",
    "o": "oh", "u": "oo", "y": "u (French)",
}  # fmt: skip
VISEMES = {SOUNDS.get(mouth, mouth): co.from_arkit(shapes) for mouth, shapes in SHAPES.items()}
WHOLE, LOWER_FACE = np.s_[:, :], np.s_[108:220, 72:184]


def render(stage: PortraitStage, presenter_id: str, face: co.Array) -> NDArray[np.uint8]:
    """One settled frame `[256, 256, 3]` RGB of a presenter with a face."""
    state = stage.init_state(presenter_id)
    for _ in range(SETTLE_CHUNKS):
        frames, state = stage.step(np.tile(face, (CHUNK_FRAMES, 1)), state)
    return frames[-1]


def sheet(
    stage: PortraitStage, presenter_ids: list[str], columns: Mapping[str, co.Array], part: tuple[slice, slice]
) -> NDArray[np.uint8]:
    """Rows of presenters, columns of faces, each labelled; RGB. `part` is what is shown of each picture."""
    rows = []
    for presenter_id in presenter_ids:
        tiles = []
        for label, face in columns.items():
            tile = np.ascontiguousarray(render(stage, presenter_id, face)[part])
            cv2.putText(tile, label, (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
            tiles.append(tile)
        rows.append(np.concatenate(tiles, 1))
    return np.concatenate(rows, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, default=Path("bundles/flap-small"))
    parser.add_argument("--out", type=Path, default=Path("docs/images/contact_sheet.jpg"))
    parser.add_argument("--visemes", action="store_true", help="mouths instead of poses and expressions")
    parser.add_argument("--steps", type=int, default=1, help="denoising steps")
    parser.add_argument("--presenters-folder", type=Path, help="show those whom flap.presenter added there instead")
    options = parser.parse_args()
    bundle = open_bundle(options.bundle)
    if options.presenters_folder:
        bundle = replace(bundle, presenters=Cast({}, PresenterFolder(options.presenters_folder)))
    stage, people = PortraitStage(bundle, options.steps), list(bundle.presenters)
    if options.visemes:
        mouths = list(VISEMES.items())
        halves = (dict(mouths[: len(mouths) // 2]), dict(mouths[len(mouths) // 2 :]))
        picture = np.concatenate([sheet(stage, people, half, LOWER_FACE) for half in halves])
    else:
        picture = sheet(stage, people, COLUMNS, WHOLE)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(options.out), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == "__main__":
    main()
