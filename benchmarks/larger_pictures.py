"""What 512 x 512 would cost on this machine, with untrained networks of the right shapes: python -m benchmarks.larger_pictures --json

Two frames are drawn side by side and have 80 ms. The motion field is that of the bundle in every variant, since its
sources are resized anyway, and so is the denoiser where latents stay 32 x 32 (an autoencoder of factor 16). With factor 8
latents are 64 x 64 and the denoiser's convolutions alone are timed, so its number is the least that it could take.

The last line is one JSON object: `budget_ms`, and in `variants` for each: name, decoder_gmac, and milliseconds for both of
motion, move (the portrait's pixels and features), denoiser, decoder, encode (H.264), both (their sum); frames_per_second.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from benchmarks.graph_cost import TimedGraph, count_macs
from benchmarks.machine import REPOSITORY, commit, machine
from benchmarks.peers import NetworkBuilder
from engines.bundle import AT_ONCE, BundleError, read_manifest
from flap.config import FRAME_RATE_HZ
from realtime.media.encoder import VideoEncoder
from realtime.render.portrait import move

SIZE = 512
BUDGET_MS = 1000 * AT_ONCE / FRAME_RATE_HZ
DENOISER_WIDTHS = 32, 64, 128


def decoder(latent: int, widths: tuple[int, ...], last: int) -> bytes:
    """Two 3x3 convolutions and a residual at every size from the latent's on, each twice the one before; the moved portrait joins
    at the last two, and `last` x `last` squares of pixels and of how they blend come out of the last."""
    net = NetworkBuilder("decoder")
    x = net.conv(net.input("latent", 1, 16, latent, latent), widths[0])
    side = latent
    for number, width in enumerate(widths):
        if number:
            side *= 2
            x = net.upsample(net.conv(x, width, 1, act=None), 2, 2)
        if number >= len(widths) - 2:
            fold = SIZE // side
            shown = net.input(f"portrait{side}", 1, 16 if number < len(widths) - 1 else 3 * fold**2, side, side)
            x = net.node("Relu", net.node("Add", x, net.conv(shown, width, act=None)))
        x = net.conv(x, width) if number == len(widths) - 1 else net.conv(net.conv(x, width), width, residual=True)
    return net.bytes(net.conv(x, 4 * last**2, act=None))


def denoiser_trunk(latent: int) -> bytes:
    """The convolutions of flap-small's denoiser on latents of another size."""
    net = NetworkBuilder("denoiser")
    fine, middle, coarse = DENOISER_WIDTHS

    def block(x: str, width: int) -> str:
        return net.conv(net.conv(x, width), width)

    down0 = block(net.conv(net.input("x", 1, 34, latent, latent), fine), fine)
    down1 = block(net.conv(down0, middle, stride=2), middle)
    down2 = block(net.conv(down1, coarse, stride=2), coarse)
    x = block(net.concat(block(down2, coarse), down2), coarse)
    x = block(block(net.concat(net.upsample(net.conv(x, middle, 1), 2, 2), down1), middle), middle)
    x = block(net.concat(net.upsample(net.conv(x, fine, 1), 2, 2), down0), fine)
    return net.bytes(net.conv(x, 16, act=None))


def median_ms(run: Callable[[], object], seconds: float) -> float:
    times_ms: list[float] = []
    until_s = time.perf_counter() + seconds
    while len(times_ms) < 5 or time.perf_counter() < until_s:
        started_s = time.perf_counter()
        run()
        times_ms.append((time.perf_counter() - started_s) * 1000)
    return float(np.median(times_ms))


def moving_ms(seconds: float) -> float:
    """The portrait's pixels and features to where a frame wants them."""
    rng = np.random.default_rng(0)
    picture = rng.standard_normal((SIZE, SIZE, 3), np.float32)
    features = rng.standard_normal((SIZE // 4, SIZE // 4, 16), np.float32)
    axis = (np.arange(64, dtype=np.float32) + 0.5) / 32 - 1
    source = np.stack(np.meshgrid(axis, axis)) + rng.standard_normal((1, 2, 64, 64), np.float32) * 0.01
    return median_ms(lambda: (move(picture, source), move(features, source)), seconds)


def encoding_ms(seconds: float) -> float:
    """H.264 of both as the server encodes it: smooth pictures that move a little."""
    axis = np.linspace(0, 255, SIZE, dtype=np.float32)
    still = np.stack(np.broadcast_arrays(axis[:, None], axis[None], axis[::-1, None]), -1).astype(np.uint8)
    encoder, frame = VideoEncoder("H264", SIZE), iter(range(1_000_000))

    def encode_both() -> None:
        for _ in range(AT_ONCE):
            number = next(frame)
            encoder.encode(np.ascontiguousarray(np.roll(still, number % 5, 1)), number, False)

    return median_ms(encode_both, seconds)


def measure(bundle: Path, threads: int, seconds: float) -> dict[str, Any]:
    """Raises BundleError for a bundle without the graphs of flap-small."""
    manifest = read_manifest(bundle)

    beside = min(threads, AT_ONCE)

    def graph_ms(graph: bytes | str) -> float:
        run_ms = TimedGraph(graph, threads // beside, beside=beside).time(5, seconds).median_ms
        return run_ms * AT_ONCE / beside

    def shipped_ms(name: str) -> float:
        return graph_ms(str(bundle / manifest.graphs[name].file))

    motion_ms, shipped_denoiser_ms = shipped_ms("motion_field"), shipped_ms("denoiser_step")
    move_ms, encode_ms = moving_ms(seconds) * AT_ONCE / beside, encoding_ms(seconds)
    variants = []
    for name, denoiser_ms, graph in (
        ("factor 8, every part at twice the size", graph_ms(denoiser_trunk(64)), decoder(64, (64, 32, 16), 2)),
        ("factor 16, one more stage in the decoder", shipped_denoiser_ms, decoder(32, (64, 32, 16, 16), 2)),
        ("factor 16, squares of 4 x 4 pixels from the decoder", shipped_denoiser_ms, decoder(32, (64, 32, 16), 4)),
    ):
        parts = {
            "motion": motion_ms, "move": move_ms, "denoiser": denoiser_ms, "decoder": graph_ms(graph),
            "encode": encode_ms,
        }  # fmt: skip
        both_ms = sum(parts.values())
        variants.append(
            {
                "name": name,
                "decoder_gmac": round(AT_ONCE * count_macs(onnx.load_from_string(graph)) / 1e9, 3),
                **{f"{part}_ms": round(spent_ms, 1) for part, spent_ms in parts.items()},
                "both_ms": round(both_ms, 1),
                "frames_per_second": round(1000 * AT_ONCE / both_ms, 1),
            }
        )
    return {"budget_ms": BUDGET_MS, "variants": variants}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="less exact, done within a minute")
    parser.add_argument("--bundle", type=Path, default=REPOSITORY / "bundles" / "flap-small")
    parser.add_argument("--threads", type=int, default=2, help="threads that draw (default: 2)")
    options = parser.parse_args(arguments)
    try:
        result = measure(options.bundle, options.threads, 1.5 if options.quick else 6)
    except BundleError as error:
        sys.exit(f"cannot measure: {error}")
    result |= {"machine": machine(), "commit": commit()}
    for variant in result["variants"]:
        print(
            f"{variant['name']:<52} {variant['both_ms']:6.1f} ms both, {variant['frames_per_second']} frames a second"
        )
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
