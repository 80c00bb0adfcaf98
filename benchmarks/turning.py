"""How far the shipped presenters' heads turn, against exact renders of the same people: python -m benchmarks.turning --json

Both are read by the same tracker, since it misreads heads whose hair lies beside the face, drawn or rendered. Needs what
training needs (make install-dev) and the MakeHuman assets. The last line is one JSON object:

turn_error_deg   mean absolute difference between the drawn and the rendered turn, each counted from the same head at rest;
                 faces_lost: how many turns are left out because the tracker finds no face
psnr_db          drawn against rendered, by commanded yaw
presenters       id -> what was read of the render and of the drawn picture, by commanded yaw
machine, commit  what was measured, and on what
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.face_tracker import track
from benchmarks.machine import DEFAULT_ASSETS, REPOSITORY, commit, machine
from benchmarks.psnr import decibels, mean_square
from engines.bundle import BundleError, open_bundle
from flap import coefficients as co
from flap.config import CHUNK_FRAMES
from realtime.render.portrait import PortraitStage

YAWS_DEG = (-25.0, -12.0, 12.0, 25.0)
QUICK_PRESENTERS = 3
Picture = NDArray[np.uint8]


def turned(yaw_deg: float) -> co.Array:
    face = co.neutral()
    face[co.ROTATION] = co.rotation_from_degrees(yaw_deg)
    return face


def render(assets: Any, number: int) -> list[Picture]:
    """The presenter of this number at rest and at each of `YAWS_DEG`, as the renderer has them."""
    from training.render.character import Character
    from training.render.people import identity_of, scene_of
    from training.render.rasterizer import Stage

    stage = Stage(Character(assets, identity_of(number)), scene_of(number, 0))
    pictures = [np.asarray(stage.render(turned(yaw_deg))[0], np.uint8) for yaw_deg in (0.0, *YAWS_DEG)]
    stage.context.release()
    return pictures


def draw(stage: PortraitStage, presenter_id: str) -> list[Picture]:
    """The same as the bundle has them, in the second chunk of a stream."""
    pictures = []
    for yaw_deg in (0.0, *YAWS_DEG):
        state = stage.init_state(presenter_id)
        for _ in range(2):
            frames, state = stage.step(np.stack([turned(yaw_deg)] * CHUNK_FRAMES), state)
        pictures.append(frames[-1])
    return pictures


def read(pictures: list[Picture]) -> NDArray[np.float64]:
    """Turns in degrees `[len(YAWS_DEG)]` from the first picture, NaN where no face is found."""
    yaws_deg = np.array([np.nan if sight is None else sight.yaw_deg for sight in track(pictures)])
    return yaws_deg[1:] - yaws_deg[0]


def figures(rendered: dict[str, list[Picture]], drawn: dict[str, list[Picture]]) -> dict[str, Any]:
    """The numbers of the benchmark, without machine and commit."""
    rows, errors_deg, squares = {}, [], []
    for name in rendered:
        true_deg, made_deg = read(rendered[name]), read(drawn[name])
        errors_deg.append(np.abs(made_deg - true_deg))
        rows[name] = {"rendered_deg": true_deg.round(1).tolist(), "drawn_deg": made_deg.round(1).tolist()}
        pairs = zip(rendered[name][1:], drawn[name][1:], strict=True)
        squares.append([mean_square(a, b) for a, b in pairs])
    likeness_db = map(decibels, np.mean(squares, 0))
    return {
        "turn_error_deg": round(float(np.nanmean(errors_deg)), 2),
        "faces_lost": int(np.isnan(errors_deg).sum()),
        "psnr_db": {f"{yaw_deg:g}": round(value, 2) for yaw_deg, value in zip(YAWS_DEG, likeness_db, strict=True)},
        "presenters": rows,
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_PRESENTERS} presenters, done within a minute")
    parser.add_argument("--bundle", type=Path, default=REPOSITORY / "bundles" / "flap-small")
    parser.add_argument("--assets", type=Path, default=DEFAULT_ASSETS, help="folder of the MakeHuman assets")
    options = parser.parse_args(arguments)
    try:
        from training.render.assets import AssetError, Assets
        from training.render.people import FIRST_PRESENTER, PRESENTERS

        assets, stage = Assets(options.assets), PortraitStage(open_bundle(options.bundle))
    except ImportError as error:
        sys.exit(f"cannot measure: {error}; make install-dev installs what the renderer needs")
    except (AssetError, BundleError) as error:
        sys.exit(f"cannot measure: {error}")
    chosen = list(enumerate(PRESENTERS, FIRST_PRESENTER))[: QUICK_PRESENTERS if options.quick else None]
    result = figures(
        {spec.id: render(assets, number) for number, spec in chosen}, {spec.id: draw(stage, spec.id) for _, spec in chosen}
    ) | {"machine": machine(), "commit": commit()}  # fmt: skip
    for name, value in result.items():
        print(f"{name:<16} {value}")
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
