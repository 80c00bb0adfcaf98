"""Adds smaller and faster variants to a bundle: python -m export.quantize bundles/flap-small runs/flap-small

fp16   weights stored in half precision, every graph
int8   convolutions of the denoiser and the decoder in 8 bits, ranges from streams of real motions over one and two steps

Each variant is compared with the fp32 graphs on people, where the bundle has more than four, and motions that it was not
calibrated on, and enters the manifest with what it costs (PSNR of frames and of mouth crops) and brings (milliseconds a
frame on this machine, fp32 beside it). One that falls below its floor (`export/fidelity.py`) is left out, also when OUT has
it from before, and the command fails after writing the others.
"""

import argparse
import platform
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from engines.bundle import MANIFEST, Bundle, BundleError, open_bundle, read_manifest
from engines.engine import EngineError
from engines.onnx import OnnxEngine
from export.bundle import ExportError, with_variants
from export.fidelity import FLOORS, Likeness, SquaredError
from export.precisions import fp16_storage, int8
from export.rollouts import STEPS, record, side_by_side, whose_turn
from flap.config import CHUNK_FRAMES

VARIANTS = ("fp16", "int8")
# the motion field says where pixels come from: 34.6 dB of frames with 8 bits
INT8_GRAPHS = ("denoiser_step", "decoder")
CALIBRATION_SEEDS, MEASURED_SEEDS = range(4), range(100, 104)
CHUNKS, WARM_UP_CHUNKS = 10, 2

Models = Mapping[str, onnx.ModelProto]


def convert(name: str, folder: Path, bundle: Bundle) -> dict[str, onnx.ModelProto]:
    """The graphs of one variant by name."""
    models = {graph: onnx.load(folder / entry.file) for graph, entry in bundle.manifest.graphs.items()}
    if name == "fp16":
        return {graph: fp16_storage(model) for graph, model in models.items()}
    streams = record(bundle, CALIBRATION_SEEDS, CHUNKS, every=4)
    return {graph: int8(models[graph], streams[graph].fed) for graph in INT8_GRAPHS}


def with_models(bundle: Bundle, models: Models) -> Bundle:
    """The bundle with `models` in the place of its graphs of the same names, on as many threads as those."""
    with tempfile.TemporaryDirectory() as folder:
        engines = dict(bundle.engines)
        for graph, model in models.items():
            path = Path(folder) / f"{graph}.onnx"
            onnx.save(model, path)
            entry = bundle.manifest.graphs[graph]
            engines[graph] = OnnxEngine(path, threads=entry.threads(graph, bundle.threads))
    return replace(bundle, engines=engines)


def measured_with(bundle: Bundle) -> list[str]:
    """The presenters that variants are not calibrated on, or all where there are no others."""
    names = list(bundle.presenters)
    calibrated_on = {whose_turn(names, seed) for seed in CALIBRATION_SEEDS}
    return [name for name in names if name not in calibrated_on] or names


def compare(bundle: Bundle, variant: Bundle) -> tuple[Likeness, dict[str, float]]:
    """Likeness to `bundle`, and the median milliseconds a frame of both, the two taking turns, by number of steps."""
    error, chunk_ms = SquaredError(), {(name, steps): list[float]() for name in ("", "variant") for steps in STEPS}
    both = {"": bundle, "variant": variant}
    for steps, rollouts in side_by_side(both, MEASURED_SEEDS, CHUNKS, measured_with(bundle)):
        error.add(steps, rollouts["variant"].frames, rollouts[""].frames, rollouts[""].mouth)
        for name, rollout in rollouts.items():
            chunk_ms[name, steps] += rollout.chunk_ms[WARM_UP_CHUNKS:]
    frame_ms = {
        f"{prefix}frame_ms_{steps}_steps": round(float(np.median(chunk_ms[name, steps])) / CHUNK_FRAMES, 2)
        for name, prefix in (("variant", ""), ("", "fp32_"))
        for steps in STEPS
    }
    return error.likeness(), frame_ms


def quantize(folder: Path, out: Path, names: list[str], threads: int) -> list[str]:
    """Writes the bundle with the variants that reach their floors; returns what fell short, in words."""
    if not read_manifest(folder).presenters:
        raise ExportError(f"{folder} has no presenters, whose streams variants are calibrated on and measured with")
    bundle = open_bundle(folder, threads=threads)
    kept, metrics, refused = {}, {}, dict[str, str]()
    for name in names:
        models = convert(name, folder, bundle)
        likeness, frame_ms = compare(bundle, with_models(bundle, models))
        print(
            f"{name}: frames {likeness.frames_db:.1f} dB, mouth crops {likeness.mouth_db:.1f} dB; "
            + ", ".join(f"{key} {value}" for key, value in frame_ms.items())
        )
        if shortfalls := likeness.shortfalls(FLOORS[name]):
            refused[name] = f"{name} is left out: {'; '.join(shortfalls)}"
            continue
        kept[name] = models
        quality = {"psnr_db": round(likeness.frames_db, 1), "mouth_psnr_db": round(likeness.mouth_db, 1)}
        metrics[name] = {**quality, **frame_ms, "threads": threads, "machine": platform.machine()}
    if kept or ((out / MANIFEST).exists() and refused.keys() & read_manifest(out).variants):
        with_variants(folder, out, kept, metrics, refused)
    return list(refused.values())


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("out", type=Path, help="folder of the bundle with variants; may be the same")
    parser.add_argument("--only", choices=VARIANTS, help="make this variant alone")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    try:
        refused = quantize(
            options.bundle, options.out, [options.only] if options.only else list(VARIANTS), options.threads
        )
    except (BundleError, EngineError, ExportError, OSError) as error:
        sys.exit(f"nothing was written: {error}")
    if refused:
        sys.exit("\n".join(refused))


if __name__ == "__main__":
    main()
