"""One pass of flap-sd15 on a processor, with random weights: what it takes, and that ONNX Runtime computes the same.

python -m benchmarks.sd15 --json      the last line is one JSON object:

million_weights   of ReferenceNet and DenoisingNet
picture           pixels a side
torch             portrait_s and step_s: a portrait through ReferenceNet, and a denoising step of a chunk of two frames;
                  peak_gb of that process until then
export            the denoiser step as ONNX: seconds, gb of its files, peak_gb of the same process to its end
onnxruntime       a fresh process: open_s with one run to warm up, step_s, peak_gb, and difference: the largest to torch, of any
                  of the step's outputs. The command fails when one is above 0.001 of its largest value
machine, commit   what was measured, and on what

Full width needs 24 GB of memory, and as much disk as 2 x `gb` where temporary files go (TMPDIR).
"""

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.machine import commit, machine
from engines.onnx import OnnxEngine
from export.bundle import ExportError, export_graph, largest_difference
from export.sd15_graphs import denoiser_graph
from flap.sd15.networks import WIDTHS, DenoisingNet, ReferenceNet

LATENT_SIZE, LATENT_SHRINK = 64, 8
SMALL_WIDTHS, SMALL_LATENT_SIZE = (32, 64, 64, 64), 32


def measure(widths: tuple[int, ...], latent_size: int, threads: int) -> dict[str, Any]:
    """The numbers of the benchmark, without machine and commit. Raises ExportError when ONNX Runtime computes something else."""
    with tempfile.TemporaryDirectory() as place:
        in_torch = _alone(run_torch, Path(place), widths, latent_size, threads)
        return in_torch | {"onnxruntime": _alone(run_onnx, Path(place), threads)}


def run_torch(folder: Path, widths: tuple[int, ...], latent_size: int, threads: int) -> dict[str, Any]:
    """A portrait and a step; leaves the step in `folder` as ONNX with what went in and came out."""
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    reference = ReferenceNet(widths=widths).eval()
    denoiser = DenoisingNet(widths=widths, latent_size=latent_size).eval()
    weights = [sum(parameter.numel() for parameter in network.parameters()) for network in (reference, denoiser)]
    spec = denoiser_graph(denoiser)
    with torch.no_grad():
        for parameter in denoiser.parameters():
            if not parameter.any():  # layers that start at zero would hide a wrong export
                parameter.normal_(std=0.02)
        started_s = time.perf_counter()
        keys = denoiser.project_reference(reference(torch.randn(1, 4, latent_size, latent_size)))
        portrait_s = time.perf_counter() - started_s
        del reference
        names = (name for name in spec.inputs if name.startswith("reference_"))
        spec.inputs.update(zip(names, (tensor for pair in keys for tensor in pair), strict=True))
        started_s = time.perf_counter()
        made = dict(zip(spec.outputs, spec.module(*spec.inputs.values()), strict=True))
        step_s, peak_gb = time.perf_counter() - started_s, _peak_gb()
    np.savez(folder / "inputs.npz", **{name: tensor.numpy() for name, tensor in spec.inputs.items()})
    np.savez(folder / "outputs.npz", **{name: tensor.numpy() for name, tensor in made.items()})
    del made
    started_s = time.perf_counter()
    path = export_graph(spec, folder, weights_apart=True)
    files = sum(file.stat().st_size for file in folder.glob(f"{path.stem}.*"))
    return {
        "million_weights": [round(count / 1e6, 1) for count in weights],
        "picture": LATENT_SHRINK * latent_size,
        "torch": {"portrait_s": round(portrait_s, 1), "step_s": round(step_s, 1), "peak_gb": peak_gb},
        "export": {
            "seconds": round(time.perf_counter() - started_s, 1), "gb": round(files / 1e9, 2), "peak_gb": _peak_gb()
        },
    }  # fmt: skip


def run_onnx(folder: Path, threads: int) -> dict[str, float]:
    """The step that `run_torch` has left, in ONNX Runtime."""
    inputs, wanted = (dict(np.load(folder / f"{name}.npz")) for name in ("inputs", "outputs"))
    started_s = time.perf_counter()
    engine = OnnxEngine(folder / "denoiser_step.onnx", threads=threads)
    open_s, started_s = time.perf_counter() - started_s, time.perf_counter()
    made = engine.run(inputs)
    step_s = time.perf_counter() - started_s
    difference = largest_difference("denoiser_step", made, wanted)
    return {
        "open_s": round(open_s, 1), "step_s": round(step_s, 1), "peak_gb": _peak_gb(), "difference": float(f"{difference:.1e}"),
    }  # fmt: skip


def _alone(work: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """`work` in a fresh process, so that its memory is its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
        return fresh.submit(work, *arguments).result()


def _peak_gb() -> float:
    unit_bytes = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit_bytes / 1e9, 2)


def report(result: dict[str, Any]) -> str:
    """The same numbers for people."""
    in_torch, export, onnx = (result[name] for name in ("torch", "export", "onnxruntime"))
    reference, denoiser = result["million_weights"]
    return "\n".join(
        [
            f"ReferenceNet {reference} million weights, DenoisingNet {denoiser}; {result['picture']} pixels a side",
            f"torch: portrait {in_torch['portrait_s']} s, step {in_torch['step_s']} s, at most {in_torch['peak_gb']} GB",
            f"export: {export['seconds']} s, {export['gb']} GB of files, at most {export['peak_gb']} GB",
            f"ONNX Runtime: step {onnx['step_s']} s, at most {onnx['peak_gb']} GB, differs by {onnx['difference']}",
        ]
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--small", action="store_true", help="a tenth of the width at 256 pixels, in a minute")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    widths, latent_size = (SMALL_WIDTHS, SMALL_LATENT_SIZE) if options.small else (WIDTHS, LATENT_SIZE)
    try:
        result = measure(widths, latent_size, options.threads)
    except ExportError as error:
        sys.exit(str(error))
    result |= {"machine": machine(), "commit": commit()}
    print(report(result))
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
