"""What the networks make of this machine, and what lighter and heavier networks of other projects would.

python -m benchmarks.roofline --json      the last line is one JSON object:

peak_gflops            the faster of a large matrix product and a large convolution in the same runtime and run
graphs                 per graph and two frames, each drawn by a thread, on as many threads as the server gives it: gmac, median_ms, gflops,
                       share_of_peak (of all threads), and outside_matrix_ms, which its other operators take
frame_ms               fp32 and int8: median and p95 of a frame through the whole chain, sound to encoded H.264, two of which
                       are drawn side by side: the time from one to the next; null where the bundle has no such variant
int8_psnr_db           frames of the int8 variant against fp32, from the manifest
open_to_first_frame_s  a fresh process: opening the bundle to the first frames
memory_mb              of that process, which has no network and no pages (benchmarks.live has the server's): session, with the
                       first one; further_session, what each of four more adds
peers                  name, gmac, frame_ms, and ratio: how many of our frames are made in the time of one of theirs
steps, machine, commit what was measured, and on what
"""

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from benchmarks.graph_cost import TimedGraph, count_macs, matrix_share
from benchmarks.machine import REPOSITORY, commit, machine
from benchmarks.peers import NetworkBuilder, live_portrait_frame, wav2lip_generator
from benchmarks.realtime import WARM_UP_CHUNKS, Chain, in_turn
from benchmarks.speech import RECORDED, speech
from engines.bundle import BundleError, Manifest, open_bundle, read_manifest
from engines.engine import EngineError
from flap.config import MEDIA_CHUNK_SAMPLES

FURTHER_SESSIONS = 4
MEMORY_CHUNKS = 60  # of each: memory that is never written is never counted


@dataclass(frozen=True)
class Plan:
    """Seconds for each timing; the heaviest peer runs `peer_runs` times, however long that takes."""

    graph_s: float
    chain_s: float
    peer_runs: int


FULL = Plan(graph_s=5, chain_s=20, peer_runs=3)
QUICK = Plan(graph_s=1.5, chain_s=4, peer_runs=1)


def peak_gflops(plan: Plan, threads: int) -> float:
    """The most that this machine does in this runtime: 2 operations a multiply-add."""
    product, convolution = NetworkBuilder("product"), NetworkBuilder("convolution")
    size = 2048
    factor = product.constant(np.random.default_rng(0).standard_normal((size, size), np.float32) / size)
    models = [
        product.bytes(product.node("MatMul", product.input("x", size, size), factor)),
        convolution.bytes(convolution.conv(convolution.input("x", 1, 256, 128, 128), 256, act=None)),
    ]
    return max(_gflops(model, TimedGraph(model, threads).time(5, plan.graph_s).median_ms) for model in models)


def measure_graphs(
    folder: Path, manifest: Manifest, plan: Plan, threads: int, peak: float
) -> Iterator[tuple[str, Any]]:
    """Each graph's name and numbers: of as many runs as go on at the same time, a chunk's frames on two cores."""
    for name, entry in manifest.graphs.items():
        path = str(folder / entry.file)
        own_threads, beside = entry.threads(name, threads), entry.beside(name, threads)
        timing = TimedGraph(path, own_threads, beside=beside).time(10, plan.graph_s)
        gmac = beside * count_macs(onnx.load(path)) / 1e9
        gflops = 2 * gmac / timing.median_ms * 1000
        yield (
            name,
            {
                "gmac": round(gmac, 4),
                "median_ms": round(timing.median_ms, 2),
                "gflops": round(gflops, 1),
                "share_of_peak": round(gflops / peak, 3),
                "outside_matrix_ms": round(timing.median_ms * (1 - matrix_share(path, own_threads)), 2),
            },
        )


def measure_frames(folder: Path, plan: Plan, threads: int, steps: int, variant: str | None = None) -> dict[str, float]:
    """Milliseconds a frame through the whole chain, without network and pacing."""
    bundle = open_bundle(folder, threads=threads, variant=variant)
    chain = Chain(bundle, steps, speech(RECORDED, 60)[0])
    until_s = time.perf_counter() + plan.chain_s
    chunks = takewhile(lambda chunk: chunk < 4 * WARM_UP_CHUNKS or time.perf_counter() < until_s, count())
    state = chain.pipeline.init_state(next(iter(bundle.presenters)))
    ready_s = [second for ready in in_turn(chain, state, chunks) for second in ready.ready_s][WARM_UP_CHUNKS:]
    # of two frames drawn side by side: they may become ready at the same time
    times_ms = (np.array(ready_s[chain.at_once :]) - ready_s[: -chain.at_once]) * 1000 / chain.at_once
    median, p95 = np.percentile(times_ms, [50, 95])
    return {"median": round(float(median), 2), "p95": round(float(p95), 2)}


def measure_opening(folder: Path, threads: int, steps: int) -> tuple[float, dict[str, float]]:
    """Seconds to the first frames and memory, in a fresh process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
        return fresh.submit(_open_and_speak, folder, threads, steps).result()


def _open_and_speak(folder: Path, threads: int, steps: int) -> tuple[float, dict[str, float]]:
    started_s = time.perf_counter()
    bundle = open_bundle(folder, threads=threads)
    sound = np.zeros((1 + FURTHER_SESSIONS) * MEDIA_CHUNK_SAMPLES * MEMORY_CHUNKS, np.int16)
    chains, memory_mb, first_s = [], [], 0.0
    for _ in range(1 + FURTHER_SESSIONS):
        chains.append(chain := Chain(bundle, steps, sound))
        state = chain.pipeline.init_state(next(iter(bundle.presenters)))
        for chunk in range(MEMORY_CHUNKS):
            _, state = chain.step(chunk, state)
            first_s = first_s or time.perf_counter() - started_s
        memory_mb.append(_resident_mb())
    further = (memory_mb[-1] - memory_mb[0]) / FURTHER_SESSIONS
    return round(first_s, 2), {"session": round(memory_mb[0]), "further_session": round(further, 1)}


def _resident_mb() -> float:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return float("nan")
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure_peers(plan: Plan, threads: int, our_frame_ms: float) -> Iterator[dict[str, Any]]:
    """Networks of other projects, one frame each."""
    for name, build, runs, seconds in (
        ("Wav2Lip-size generator, 96 x 96", wav2lip_generator, 5, plan.graph_s),
        ("LivePortrait-size warping and decoding, 512 x 512", live_portrait_frame, plan.peer_runs, 0.0),
    ):
        model = build()
        gmac = count_macs(onnx.load_from_string(model)) / 1e9
        frame_ms = TimedGraph(model, threads).time(runs, seconds, warm_up=runs > 1).median_ms
        ratio = round(frame_ms / our_frame_ms, 1)
        yield {"name": name, "gmac": round(gmac, 2), "frame_ms": round(frame_ms, 1), "ratio": ratio}


def _gflops(model: bytes, median_ms: float) -> float:
    return 2 * count_macs(onnx.load_from_string(model)) / median_ms / 1e6


def measure(folder: Path, plan: Plan, threads: int, steps: int) -> dict[str, Any]:
    """The numbers of the benchmark, without machine and commit. Raises BundleError or EngineError."""
    manifest = read_manifest(folder)
    peak = peak_gflops(plan, threads)
    graphs = dict(measure_graphs(folder, manifest, plan, threads, peak))
    fp32 = measure_frames(folder, plan, threads, steps)
    int8 = manifest.variants.get("int8")
    first_s, memory_mb = measure_opening(folder, threads, steps)
    return {
        "peak_gflops": round(peak, 1),
        "graphs": graphs,
        "frame_ms": {"fp32": fp32, "int8": measure_frames(folder, plan, threads, steps, "int8") if int8 else None},
        "int8_psnr_db": int8.metrics["psnr_db"] if int8 else None,
        "open_to_first_frame_s": first_s,
        "memory_mb": memory_mb,
        "peers": list(measure_peers(plan, threads, fp32["median"])),
        "steps": steps,
    }


def report(result: dict[str, Any]) -> str:
    """The same numbers for people."""
    lines = [f"peak {result['peak_gflops']} GFLOP/s"]
    for name, graph in result["graphs"].items():
        lines.append(
            f"  {name:<18} {graph['gmac']:7.3f} GMAC {graph['median_ms']:7.2f} ms {graph['gflops']:6.1f} GFLOP/s "
            f"{graph['share_of_peak']:4.0%} of peak, {graph['outside_matrix_ms']:.2f} ms outside matrix work"
        )
    for precision, frame in result["frame_ms"].items():
        lines.append(f"frame, {precision}: " + (f"{frame['median']} ms, p95 {frame['p95']} ms" if frame else "none"))
    memory = result["memory_mb"]
    lines.append(f"bundle to first frame {result['open_to_first_frame_s']} s; {memory['session']} MB with one session")
    lines += [f"{p['name']}: {p['gmac']} GMAC, {p['frame_ms']} ms, {p['ratio']} of ours" for p in result["peers"]]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="less exact, done within a minute")
    parser.add_argument("--bundle", type=Path, default=REPOSITORY / "bundles" / "flap-small")
    parser.add_argument("--threads", type=int, default=2, help="threads of each network (default: 2)")
    parser.add_argument("--steps", type=int, default=2, help="denoising steps (default: 2)")
    options = parser.parse_args(arguments)
    try:
        result = measure(options.bundle, QUICK if options.quick else FULL, options.threads, options.steps)
    except (BundleError, EngineError) as error:
        sys.exit(f"cannot measure: {error}")
    result |= {"machine": machine(), "commit": commit()}
    print(report(result))
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
