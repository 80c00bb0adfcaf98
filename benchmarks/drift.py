"""Whether a stream that goes on for hours stays what it was: python -m benchmarks.drift --json

One stream of one presenter renders minute after minute of changing faces, without network and pacing. Once a minute the
same probe comes by: a second of rest, half a second of a smile, half a second of a turned, speaking face. Compared with
minute one, per minute: colour (mean of each channel, levels of 255), sharpness (share of minute one's), likeness of the
probes' pictures (dB). What minute one varies by itself is measured by repeating the probe within it (`noise`).

minutes, frames, frames_per_second
drift      per measure: `noise` within minute one, `largest` difference to it in any later minute, `slope_per_hour`
trend      names of the measures whose largest difference is beyond three times the noise
"""

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import REPOSITORY, commit, machine
from benchmarks.psnr import psnr_db
from engines.bundle import BundleError, open_bundle
from engines.engine import EngineError
from flap import coefficients as co
from flap.config import CHUNK_FRAMES, FRAME_RATE_HZ
from realtime.render.portrait import PortraitStage, PortraitState

Pictures = NDArray[np.uint8]  # [n, 256, 256, 3]
NOISE_PROBES = 4  # in minute one
MEASURES = ("red", "green", "blue", "sharpness", "likeness_db")
TREND_FACTOR = 3.0
# below it nobody sees anything
LEAST_NOISE = {"red": 0.1, "green": 0.1, "blue": 0.1, "sharpness": 0.005, "likeness_db": 0.5}


@dataclass(frozen=True)
class Look:
    """What a probe looked like."""

    colour: NDArray[np.float64]  # [3] means, levels
    sharpness: float  # variance of the Laplacian
    pictures: Pictures


def probe_faces() -> co.Array:
    """Coefficients `[50, 120]`, eased so that every move is one that speech could make."""
    rest = co.neutral()
    smile = co.from_arkit({"mouthSmileLeft": 0.7, "mouthSmileRight": 0.7})
    turned = co.from_arkit({"jawOpen": 0.4}, co.rotation_from_degrees(yaw_deg=15, pitch_deg=4))
    keys, frames = (rest, rest, smile, smile, turned, turned), (20, 5, 7, 6, 7, 5)
    parts = []
    for index, count in enumerate(frames):
        before, after = keys[max(index - 1, 0)], keys[index]
        t = (np.arange(count, dtype=np.float32) + 1) / count
        parts.append(before + (after - before) * (t * t * (3 - 2 * t))[:, None])
    return np.concatenate(parts).astype(np.float32)


def look(pictures: Pictures) -> Look:
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in pictures]
    sharpness = float(np.mean([cv2.Laplacian(picture, cv2.CV_64F).var() for picture in grey]))
    return Look(pictures.reshape(-1, 3).mean(0), sharpness, pictures)


def difference(now: Look, first: Look) -> dict[str, float]:
    """Every measure of `now` against `first`."""
    likeness_db = psnr_db(now.pictures, first.pictures)
    colour = now.colour - first.colour
    ratio = now.sharpness / max(first.sharpness, 1e-9)
    return dict(zip(MEASURES, (*map(float, colour), ratio - 1, likeness_db), strict=True))


def summary(noise: list[dict[str, float]], later: list[dict[str, float]]) -> dict[str, Any]:
    """Drift per measure and the names of those with a trend; likeness counts by how far it falls below minute one's."""
    drift, trend = {}, []
    for name in MEASURES:
        within, values = [row[name] for row in noise], np.array([row[name] for row in later])
        if name == "likeness_db":
            level, values = min(within), np.minimum(values - min(within), 0)
            own = max(within) - level
        else:
            own = max(abs(value) for value in within)
        largest = float(np.abs(values).max()) if len(values) else 0.0
        hours = (np.arange(len(values)) + 1) / 60
        slope = float(np.polyfit(hours, values, 1)[0]) if len(values) > 1 else 0.0
        drift[name] = {"noise": round(own, 4), "largest": round(largest, 4), "slope_per_hour": round(slope, 4)}
        if largest > TREND_FACTOR * max(own, LEAST_NOISE[name]):
            trend.append(name)
    return {"drift": drift, "trend": trend}


class Stream:
    """One presenter's stream and what it has rendered so far."""

    def __init__(self, stage: PortraitStage, presenter: str):
        self.stage, self.frames = stage, 0
        self.state: PortraitState = stage.init_state(presenter)

    def render(self, faces: co.Array) -> Pictures:
        made = []
        for chunk in faces.reshape(-1, CHUNK_FRAMES, co.SIZE):
            pictures, self.state = self.stage.step(chunk, self.state)
            made.append(pictures)
        self.frames += len(faces)
        return np.concatenate(made)


def run(stage: PortraitStage, presenter: str, minutes: int, seconds_a_minute: float) -> dict[str, Any]:
    """Renders `minutes` times `seconds_a_minute` and measures a probe after each."""
    from training.motions import random_clip  # only numpy; the training set's own kind of motion

    rng, stream, probe = np.random.default_rng(3), Stream(stage, presenter), probe_faces()
    filler = int(seconds_a_minute * FRAME_RATE_HZ) - len(probe)
    started = time.perf_counter()
    first: Look | None = None
    noise: list[dict[str, float]] = []
    later: list[dict[str, float]] = []
    for minute in range(minutes):
        for _ in range(NOISE_PROBES if minute == 0 else 1):
            share = filler // (NOISE_PROBES if minute == 0 else 1) // CHUNK_FRAMES * CHUNK_FRAMES
            stream.render(np.concatenate([random_clip(rng, 50) for _ in range(share // 50 + 1)])[:share])
            seen = look(stream.render(probe))
            if first is None:
                first = seen
            else:
                (noise if minute == 0 else later).append(difference(seen, first))
        print(f"minute {minute + 1}/{minutes}", file=sys.stderr, flush=True)
    spent_s = time.perf_counter() - started
    result = {"presenter": presenter, "minutes": minutes, "frames": stream.frames}
    result["frames_per_second"] = round(stream.frames / spent_s, 1)
    return result | summary(noise, later)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="four minutes, of twelve seconds each")
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--bundle", type=Path, default=REPOSITORY / "bundles" / "flap-small")
    parser.add_argument("--presenter", help="default: the bundle's first")
    parser.add_argument("--steps", type=int, default=1)
    options = parser.parse_args(arguments)
    try:
        bundle = open_bundle(options.bundle)
    except (BundleError, EngineError) as error:
        sys.exit(f"cannot measure: {error}")
    presenter = options.presenter or next(iter(bundle.presenters))
    if presenter not in bundle.presenters:
        sys.exit(f"no presenter {presenter}: choose one of {', '.join(bundle.presenters)}")
    minutes, seconds = (4, 12.0) if options.quick else (options.minutes, 60.0)
    result = run(PortraitStage(bundle, options.steps), presenter, minutes, seconds)
    result |= {"machine": machine(), "commit": commit()}
    for name, value in result.items():
        print(f"{name:<20} {value}")
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
