"""Renders the training set: `python -m training.render_dataset --assets ../shared/assets/makehuman --out runs/dataset`.

A shard `person012-03.npz` holds frames of one person in one scene; its first frame is the portrait that the motion of
all of them is measured from. Shard 00 of a person is the plain studio with a neutral portrait, as presenters ship; the
others vary light, background, lens and the portrait's own face. Shards are drawn from their own seed and written whole,
so a run that was stopped goes on where it was. Start several processes with `--worker 0/2` and `--worker 1/2` to use
several cores.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from flap import coefficients as co
from flap.config import FLOW_SIZE, IMAGE_SIZE
from training.motions import random_clip, random_face, random_portrait, speaking_face
from training.render.assets import AssetError, Assets
from training.render.character import Character
from training.render.people import identity_of, scene_of
from training.render.rasterizer import Stage

CLIP_FRAMES = 10


def shard_faces(person: int, shard: int, singles: int, clips: int, speaking: int = 0) -> tuple[co.Array, np.ndarray]:
    """Coefficients `[n, 120]` of a shard and for each frame the clip it belongs to, -1 for single frames."""
    rng = np.random.default_rng([11, person, shard])
    portrait = random_portrait(rng) if shard and rng.random() < 0.8 else co.neutral()
    faces = [portrait[None], *(random_face(rng)[None] for _ in range(singles))]
    faces += [speaking_face(rng)[None] for _ in range(speaking)]
    faces += [random_clip(rng, CLIP_FRAMES) for _ in range(clips)]
    clip_of = np.concatenate([np.full(1 + singles + speaking, -1), np.repeat(np.arange(clips), CLIP_FRAMES)])
    return np.concatenate(faces), clip_of.astype(np.int16)


def render_shard(
    assets: Assets, person: int, shard: int, singles: int, clips: int, path: Path, speaking: int = 0
) -> None:
    faces, clip_of = shard_faces(person, shard, singles, clips, speaking)
    character, scene = Character(assets, identity_of(person)), scene_of(person, shard)
    stage = Stage(character, scene, faces[0], size=IMAGE_SIZE, motion_size=FLOW_SIZE)
    rendered = [stage.render(face) for face in faces]
    stage.context.release()
    unfinished = path.with_suffix(".partial")
    with unfinished.open("wb") as file:
        np.savez(
            file,
            image=np.stack([image for image, _ in rendered]),  # [n, 256, 256, 3] uint8
            portrait_xy=np.stack([motion.portrait_xy for _, motion in rendered]).astype(np.float16),  # [n, 64, 64, 2]
            unposed_xy=np.stack([motion.unposed_xy for _, motion in rendered]).astype(np.float16),
            masks=(np.stack([motion.masks for _, motion in rendered]).clip(0, 1) * 255).astype(np.uint8),
            coefficients=faces,
            clip=clip_of,
        )
    unfinished.rename(path)


def numbers(text: str) -> list[int]:
    """`0:3,7` to 0, 1, 2 and 7."""
    out: list[int] = []
    for part in text.split(","):
        first, _, end = part.partition(":")
        out += range(int(first), int(end)) if end else [int(first)]
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--assets", type=Path, required=True, help="folder of the MakeHuman assets")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--people", default="0:24", type=numbers, help="person seeds: numbers and first:last+1, by comma"
    )
    parser.add_argument("--shards", default="1", type=numbers, help="shards of each person, written the same way")
    parser.add_argument("--singles", type=int, default=13, help="independent frames a shard, beside the portrait")
    parser.add_argument("--speaking", type=int, default=0, help="moments of speech a shard")
    parser.add_argument("--clips", type=int, default=0, help=f"clips of {CLIP_FRAMES} frames a shard")
    parser.add_argument("--worker", default="0/1", help="which part of how many this process renders")
    options = parser.parse_args()
    try:
        assets = Assets(options.assets)
    except AssetError as error:
        sys.exit(str(error))
    options.out.mkdir(parents=True, exist_ok=True)
    worker, workers = map(int, options.worker.split("/"))
    jobs = [(person, shard) for shard in options.shards for person in options.people][worker::workers]
    started = time.monotonic()
    for done, (person, shard) in enumerate(jobs, 1):
        path = options.out / f"person{person:03d}-{shard:02d}.npz"
        if not path.exists():
            render_shard(assets, person, shard, options.singles, options.clips, path, options.speaking)
        print(f"{path.name}  {done}/{len(jobs)}  {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
