"""How fast the whole chain runs, without network and pacing: 48 kHz sound in, encoded H.264 frames out.

python -m benchmarks.realtime --json      the last line is one JSON object:

frames_per_second   frames made when sound is always there
real_time_factor    seconds of work for a second of avatar; below 1 it keeps up
cpu_ms_per_frame    processor time of this process, all threads
stages              milliseconds a frame, while the next one is drawn beside it; `graph.*` are single runs of a network
mic_to_frame_ms     sound arrives in real time here: from the arrival of a frame's first sample to the frame encoded,
                    filling of the chunk, look-ahead and waiting for the processor included
machine, commit     what was measured, and on what
"""

import argparse
import json
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import REPOSITORY, commit, machine
from benchmarks.speech import RECORDED, Sound, speech
from engines.bundle import Bundle, BundleError, open_bundle
from engines.engine import Array, Engine, EngineError, TensorSpec
from flap.config import CHUNK_FRAMES, CHUNK_S, FINE_SIZE, FRAME_RATE_HZ, IMAGE_SIZE, MEDIA_CHUNK_SAMPLES
from realtime.media.bitrate import RATES
from realtime.media.encoder import VideoEncoder
from realtime.pipeline import AvatarState, AvatarStep
from realtime.render.opening import pipeline_of

WARM_UP_CHUNKS = 10


@dataclass(frozen=True)
class Plan:
    """Seconds of avatar made as fast as possible, and seconds made with sound arriving in real time."""

    free_s: float
    paced_s: float
    limit_s: float  # either part stops here on a machine that is too slow


FULL = Plan(free_s=60, paced_s=30, limit_s=240)
QUICK = Plan(free_s=12, paced_s=8, limit_s=22)


class TimedEngine:
    """An engine that notes how long each run took."""

    def __init__(self, engine: Engine, runs_ms: list[float]):
        self._engine, self._runs_ms = engine, runs_ms
        self.inputs: Mapping[str, TensorSpec] = engine.inputs
        self.outputs: Mapping[str, TensorSpec] = engine.outputs
        self.provider, self.empty = engine.provider, engine.empty

    def run(self, inputs: Mapping[str, Array], into: Mapping[str, Array] | None = None) -> dict[str, Array]:
        started_s = time.perf_counter()
        outputs = self._engine.run(inputs, into)
        self._runs_ms.append((time.perf_counter() - started_s) * 1000)
        return outputs


@dataclass(frozen=True)
class Ready:
    """A chunk that is encoded, and the second at which each of its frames was."""

    first_frame: int
    ready_s: list[float]


class Chain:
    """The pipeline and the encoder with the sound they are fed; notes the time of every stage."""

    def __init__(self, bundle: Bundle, steps: int, sound: Sound, picture_size: int = IMAGE_SIZE):
        self.stages_ms: dict[str, list[float]] = {}
        timed = {n: TimedEngine(e, self.stages_ms.setdefault(f"graph.{n}", [])) for n, e in bundle.engines.items()}
        self.pipeline = pipeline_of(replace(bundle, engines=timed), steps, picture_size=picture_size)
        self._encoder = VideoEncoder("H264", picture_size, RATES[picture_size][0])
        self._encode_thread = ThreadPoolExecutor(1, "encode")
        self._sound = sound[: len(sound) // MEDIA_CHUNK_SAMPLES * MEDIA_CHUNK_SAMPLES].reshape(-1, MEDIA_CHUNK_SAMPLES)

    @property
    def at_once(self) -> int:
        """How many chunks may be begun before the first of them is ready."""
        return self.pipeline.portrait.at_once

    def begin(self, chunk: int, state: AvatarState) -> tuple["Future[Ready]", AvatarState]:
        """One chunk of sound to encoded frames, which become ready while the next one begins."""
        step, state = self.pipeline.step(self._sound[chunk % len(self._sound)], [], state)
        return self._encode_thread.submit(self._encode, chunk, step), state

    def step(self, chunk: int, state: AvatarState) -> tuple["Ready", AvatarState]:
        """The same, waited for."""
        ready, state = self.begin(chunk, state)
        return ready.result(), state

    def _encode(self, chunk: int, step: AvatarStep) -> "Ready":
        assert step.drawing
        drawn, ready_s = step.drawing.result(), []
        started_s = time.perf_counter()
        for i, picture in enumerate(drawn.frames):
            self._encoder.encode(picture, chunk * CHUNK_FRAMES + i, key_frame=False)
            ready_s.append(time.perf_counter())
        stage_ms = {**step.stage_ms, "portrait": drawn.spent_ms, "encode": (ready_s[-1] - started_s) * 1000}
        for name, spent_ms in stage_ms.items():
            self.stages_ms.setdefault(name, []).append(spent_ms)
        return Ready(step.first_frame, ready_s)

    def forget_times(self) -> None:
        for times_ms in self.stages_ms.values():
            times_ms.clear()


def measure(chain: Chain, presenter_id: str, plan: Plan) -> dict[str, Any]:
    """The numbers of the benchmark, without machine and commit."""
    state = chain.pipeline.init_state(presenter_id)
    for chunk in range(WARM_UP_CHUNKS):
        _, state = chain.step(chunk, state)
    chain.forget_times()
    started_s, started_cpu_s, chunks = time.perf_counter(), time.process_time(), 0
    for _ in in_turn(chain, state, _chunks(plan.free_s, plan.limit_s)):
        chunks += 1
    wall_s, cpu_s = time.perf_counter() - started_s, time.process_time() - started_cpu_s
    frames = chunks * CHUNK_FRAMES
    stages = {name: _median_and_p95(times_ms) for name, times_ms in sorted(chain.stages_ms.items()) if times_ms}
    return {
        "frames_per_second": round(frames / wall_s, 1),
        "real_time_factor": round(wall_s * FRAME_RATE_HZ / frames, 3),
        "cpu_ms_per_frame": round(cpu_s * 1000 / frames, 2),
        "stages": stages,
        "mic_to_frame_ms": _mic_to_frame(chain, presenter_id, plan),
    }


def in_turn(chain: Chain, state: AvatarState, chunks: Iterator[int]) -> Iterator[Ready]:
    """Chunks as they become ready; each begins when a thread is free to draw it."""
    begun: deque[Future[Ready]] = deque()
    for chunk in chunks:
        if len(begun) == chain.at_once:
            yield begun.popleft().result()
        ready, state = chain.begin(chunk, state)
        begun.append(ready)
    for ready in begun:
        yield ready.result()


def _mic_to_frame(chain: Chain, presenter_id: str, plan: Plan) -> dict[str, float]:
    latencies_ms: list[float] = []
    start_s = time.perf_counter()

    def heard() -> Iterator[int]:
        for chunk in _chunks(plan.paced_s, plan.limit_s):
            time.sleep(max(0.0, start_s + (chunk + 1) * CHUNK_S - time.perf_counter()))
            yield chunk

    for ready in in_turn(chain, chain.pipeline.init_state(presenter_id), heard()):
        for i, second in enumerate(ready.ready_s):
            if (frame := ready.first_frame + i) >= 0:
                latencies_ms.append((second - start_s - frame / FRAME_RATE_HZ) * 1000)
    p50, p95 = np.percentile(latencies_ms, [50, 95])
    return {"p50": round(float(p50), 1), "p95": round(float(p95), 1)}


def _chunks(seconds: float, limit_s: float) -> Iterator[int]:
    end_s = time.perf_counter() + limit_s
    for chunk in range(round(seconds / CHUNK_S)):
        if time.perf_counter() > end_s:
            return
        yield chunk


def _median_and_p95(times_ms: list[float]) -> dict[str, float]:
    median, p95 = np.percentile(times_ms, [50, 95])
    return {"median_ms": round(float(median), 2), "p95_ms": round(float(p95), 2)}


def report(result: Mapping[str, Any], source: str) -> str:
    """The same numbers for people."""
    latency = result["mic_to_frame_ms"]
    lines = [
        f"sound: {source}",
        f"{result['frames_per_second']} frames a second, {result['cpu_ms_per_frame']} ms of processor time a frame",
        f"microphone to frame: {latency['p50']} ms median, {latency['p95']} ms p95",
        *(f"  {n:<24} {s['median_ms']:8.2f} ms median {s['p95_ms']:8.2f} ms p95" for n, s in result["stages"].items()),
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="less exact, done within a minute")
    parser.add_argument("--bundle", type=Path, default=REPOSITORY / "bundles" / "flap-small")
    parser.add_argument("--engine", default="cpu", help="what runs the networks (default: cpu)")
    parser.add_argument("--threads", type=int, default=2, help="threads of each network (default: 2)")
    parser.add_argument("--steps", type=int, default=1, help="denoising steps (default: 1)")
    parser.add_argument(
        "--picture-size", type=int, choices=(IMAGE_SIZE, FINE_SIZE), default=IMAGE_SIZE, help="(default: 256)"
    )
    parser.add_argument("--presenter", help="id of the presenter (default: the bundle's first)")
    parser.add_argument("--speech", type=Path, default=RECORDED, help="folder of sound files to speak")
    options = parser.parse_args(arguments)
    plan = QUICK if options.quick else FULL
    try:
        bundle = open_bundle(options.bundle, provider=options.engine, threads=options.threads)
    except (BundleError, EngineError) as error:
        sys.exit(f"cannot measure: {error}")
    presenter_id = options.presenter or next(iter(bundle.presenters))
    if presenter_id not in bundle.presenters:
        sys.exit(f"no presenter {presenter_id!r}: choose one of {', '.join(bundle.presenters)}")
    sound, source = speech(options.speech, min(plan.free_s, 60))
    result = measure(Chain(bundle, options.steps, sound, options.picture_size), presenter_id, plan)
    result |= {"picture_size": options.picture_size, "machine": machine(), "commit": commit()}
    print(report(result, source))
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
