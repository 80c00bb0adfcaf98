"""The live server with real clients: python -m benchmarks.live --json

Starts `run_server.py` with the shipped bundle. A host speaks recorded speech into it and sees the avatar, viewers come and go
in a process of their own, all by WebRTC on this machine; the clients take part of the same processor (`clients_core_share`).
The clients decode as soon as a picture is complete. A browser adds its own buffer and screen, 35 to 60 ms.

mic_to_glass_ms           a sample is spoken -> the picture of its 40 ms is decoded at the host; pictures shown twice left out
server_mic_to_frame_ms    what the server says itself at the end of that part: sound arrives -> its picture is encoded
server_av_offset_ms       the same of how much later a sound leaves than the picture of its moment: -40 for each frame that an
                          older picture stands in for, which the next two cannot see
mic_to_glass_loss5_ms     the same while 5 % of all packets of the host are lost, both ways; `later_half_p50` shows growth
av_offset_ms              how much later the sound comes than the picture of the same moment, by the streams' own clocks;
                          medians of ten seconds each. The clocks are told when things were sent: what is late all the time
                          does not show, but in `lips`
lips                      how much later than its sound the mouth moves in the pictures (with the correlation), as a check
                          that the pictures are dated right: medians of stretches of 6 to 60 s, as a short one has chance peaks
frames_per_second         new pictures at the host, beside 10 viewers; `viewers` is the slowest viewer's rate of frames, new ones
                          and repeated ones
longest_freeze_ms         the longest that the host waited for a new picture, or any viewer for a frame; `freezes_ms` has both,
                          `repeated_frames` and `skipped_frames` what the server itself says of that part
viewer_core_share         share of a core that one further viewer takes of the server
renderer_recovery_s       the render process is killed -> the host sees what its successor has drawn; the longest of several
memory_slope_mb_per_hour  of the server with its renderer during the soak, after its first minute; without a soak from the
                          whole run. `memory_course_mb`: medians of five minutes each of the same
fuzz                      malformed inputs (benchmarks/fuzz.py): inputs, crashes, answers of 500; frames a second meanwhile
sessions_refused          second sessions of the soak, one a minute, that the server found too much for this machine
exceptions                faults in the server's log

Fails when there are exceptions, crashes or answers of 500, or when a number could not be measured.
"""

import argparse
import asyncio
import json
import re
import signal
import sys
import time
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from benchmarks import live_numbers as numbers
from benchmarks.live_audience import viewers
from benchmarks.live_peer import Arrivals, Host
from benchmarks.live_server import Sample, WatchedServer
from benchmarks.machine import REPOSITORY, commit, machine
from benchmarks.speech import RECORDED, speech

VIEWERS = 10
LOSS = 0.05
LEAST_LOSS_S = 15.0  # losses spoil one window of sound in two, and a quick part has only one
AV_WINDOW_S = 10.0
RECOVERY_S = 60.0  # longer than this is no recovery
LOOK_S = 0.05  # between questions to the server
DRAWN_BEFORE = 3  # chunks that the dead renderer had drawn may still be told
COURSE_S = 300.0
WARM_UP_S = 60.0  # memory still grows while networks and codecs are used for the first time


@dataclass(frozen=True)
class Plan:
    """How long each part is measured."""

    part_s: float
    kills: int
    fuzz_inputs: int
    fuzz_uploads: float  # relative share of files; each costs the machine a process


FULL = Plan(part_s=60, kills=3, fuzz_inputs=10_000, fuzz_uploads=1.0)
QUICK = Plan(part_s=6, kills=1, fuzz_inputs=150, fuzz_uploads=0.0)


class Run:
    """One server and its host; collects what is measured of them."""

    def __init__(self, server: WatchedServer, host: Host, http: aiohttp.ClientSession):
        self.server, self.host, self.http = server, host, http
        self.samples: list[Sample] = []
        self.soak_begins = 0  # which sample is the soak's first
        self.refused_sessions = 0
        self.offsets: list[tuple[float, float]] = []  # (monotonic second, median of a window)
        self.lips: list[tuple[float, float]] = []

    async def watch(self, seconds: float, anew: bool = True) -> Arrivals:
        """What comes to the host in `seconds`; unless `anew`, also what has come since the last time."""
        came, _ = await self.watch_for(seconds, anew)
        return came

    async def watch_for(self, seconds: float, anew: bool = True) -> tuple[Arrivals, float]:
        """The same, and how many seconds it was."""
        if anew:
            self.host.forget()
        started_s = time.monotonic()
        while (left_s := started_s + seconds - time.monotonic()) > 0:
            self.samples.append(self.server.sample())
            await asyncio.sleep(min(1.0, left_s))
        self.samples.append(self.server.sample())
        came, passed_s = self.host.forget(), time.monotonic() - started_s
        # in a thread: a host that stands still meanwhile loses packets, and sends its sound in a burst
        offsets, lips = await asyncio.to_thread(lambda: (numbers.av_offsets_ms(came), numbers.lips_lag_ms(came)))
        self.offsets += numbers.window_medians(offsets, AV_WINDOW_S)
        if lips:
            self.lips.append(lips)
        return came, passed_s

    async def metrics(self) -> dict[str, float]:
        """What the server says of the host's session, by name and, where there is one, quantile."""
        async with self.http.get(f"{self.server.url}/metrics") as response:
            text = await response.text()
        pattern = rf'^flap_(\w+)\{{session="{self.host.session_id}"(?:,quantile="0.(\d+)")?\}} (\S+)$'
        return {
            f"{name}_p{quantile}" if quantile else name: float(value)
            for name, quantile, value in re.findall(pattern, text, re.MULTILINE)
        }

    async def latency(self) -> dict[str, dict[str, float | None]]:
        """The server's own measures of the last ten seconds."""
        told = await self.metrics()
        return {
            f"server_{name}": {quantile: told.get(f"{name}_{quantile}") for quantile in ("p50", "p95")}
            for name in ("mic_to_frame_ms", "av_offset_ms")
        }

    async def mic_to_glass(self, seconds: float) -> tuple[list[float], float]:
        """Delays in milliseconds, and the share of a core that the server's media process took meanwhile."""
        first = self.server.sample()
        came = await self.watch(seconds)
        share = media_share(first, self.samples[-1])
        return await asyncio.to_thread(numbers.mic_to_glass_ms, came, self.host.microphone), share

    async def with_loss(self, seconds: float) -> dict[str, float | None]:
        self.host.loss = LOSS
        try:
            delays_ms, _ = await self.mic_to_glass(seconds)
        finally:
            self.host.loss = 0.0
        later = numbers.percentiles(delays_ms[len(delays_ms) // 2 :])
        return numbers.percentiles(delays_ms) | {"later_half_p50": later["p50"], "pictures": len(delays_ms)}

    async def with_viewers(self, seconds: float, alone_share: float) -> dict[str, Any]:
        async with viewers(self.server.url, self.host.session_id, VIEWERS) as others:
            await self.watch(min(3.0, seconds / 3))
            await others.report()
            before, first, started_s = await self.metrics(), self.server.sample(), time.monotonic()
            came, passed_s = await self.watch_for(seconds)
            share = media_share(first, self.samples[-1])
            told, seen = await self.metrics(), await others.report()
        own_s = [arrival_s for _, arrival_s, is_new in came.pictures if is_new]
        freezes_ms = {
            "host": round(numbers.longest_gap_ms([started_s, *own_s, started_s + passed_s]), 1),
            "viewers": round(seen["longest_freeze_ms"], 1),
        }
        return {
            "frames_per_second": round(len(own_s) / passed_s, 2),
            "viewers": round(seen["frames_per_second"], 2),
            "longest_freeze_ms": max(freezes_ms.values()),
            "freezes_ms": freezes_ms,
            **{
                name: round(told[f"{name}_total"] - before[f"{name}_total"])
                for name in ("repeated_frames", "skipped_frames")
            },
            "viewer_core_share": round((share - alone_share) / VIEWERS, 4),
            "clients_core_share": round(others.core_share(passed_s), 3),
        }

    async def recovery(self) -> float:
        """Kills the render process; seconds until the host sees what its successor has drawn."""
        before, killed_s, old = await self.metrics(), time.monotonic(), self.server.renderer()
        old.kill()
        drawn_s: float | None = None
        self.host.forget()
        while time.monotonic() < killed_s + RECOVERY_S:
            await asyncio.sleep(LOOK_S)
            if drawn_s is None and self.server.renderer_id() not in (None, old.pid):
                told = await self.metrics()
                # the standby picture, which fades in meanwhile, is new too
                if told["drawn_chunks_total"] > before["drawn_chunks_total"] + DRAWN_BEFORE and not told["standby"]:
                    drawn_s = time.monotonic()
            for _, arrival_s, is_new in self.host.arrivals.pictures:
                if drawn_s and is_new and arrival_s > drawn_s:
                    return arrival_s - killed_s
        raise TimeoutError(f"no new pictures for {RECOVERY_S:g} s after the render process was killed")

    async def fuzz(self, inputs: int, uploads: float) -> dict[str, Any]:
        """Malformed inputs from a process of their own, while the host watches."""
        arguments = ["-m", "benchmarks.fuzz", self.server.url, f"--inputs={inputs}", f"--uploads={uploads}"]
        fuzzer = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE
        )
        self.host.forget()
        started_s, waiting, new_s = time.monotonic(), asyncio.create_task(fuzzer.communicate()), []
        while not waiting.done():
            came = await self.watch(1.0, anew=False)
            new_s += [arrival_s for _, arrival_s, is_new in came.pictures if is_new]
        result: dict[str, Any] = json.loads((await waiting)[0].splitlines()[-1])
        ended_s = time.monotonic()
        return result | {
            "frames_per_second": round(len(new_s) / (ended_s - started_s), 2),
            "longest_freeze_ms": round(numbers.longest_gap_ms([started_s, *new_s, ended_s]), 1),
        }

    async def soak(self, minutes: float) -> None:
        """Every minute the same: alone, viewers join, packets are lost, viewers leave, another session comes and goes."""
        if minutes:
            self.soak_begins = len(self.samples)
        for minute in range(round(minutes)):
            print(f"minute {minute + 1} of {minutes:g}", file=sys.stderr, flush=True)
            await self.watch(10)
            async with viewers(self.server.url, self.host.session_id, 2 + minute % 4):
                await self.watch(12)
                self.host.loss = LOSS
                await self.watch(12)
                self.host.loss = 0.0
            await self.watch(8)
            await self.another_session(6)
            await self.watch(10)

    async def another_session(self, seconds: float) -> None:
        """One comes for so long, unless the server says that the machine cannot sustain it."""
        guest = Host(self.http, self.server.url, self.host.microphone.sound)
        try:
            await guest.join()
        except ConnectionError as error:
            if error.args[1:] != ("overloaded",):
                raise
            print(error.args[0], file=sys.stderr, flush=True)
            self.refused_sessions += 1
        await self.watch(seconds)
        if guest.session_id and not guest.arrivals.pictures:
            raise RuntimeError(f"a second session showed nothing for {seconds:g} s")
        await guest.leave()
        if guest.session_id:
            async with self.http.delete(f"{self.server.url}/api/sessions/{guest.session_id}"):
                pass

    def memory_slope(self) -> float | None:
        """Megabytes an hour after the warm-up; None when less than a minute is left."""
        later = self._warm()
        if not later or later[-1].second - later[0].second < WARM_UP_S:
            return None
        return numbers.slope_per_hour([sample.second for sample in later], [sample.memory_mb for sample in later])

    def memory_course(self) -> list[float]:
        later = self._warm()
        return numbers.course([sample.second for sample in later], [sample.memory_mb for sample in later], COURSE_S)

    def _warm(self) -> list[Sample]:
        """Samples of the soak, or of the whole run, after their first minute: malformed uploads cost memory once."""
        whole = self.samples[self.soak_begins :]
        return [sample for sample in whole if sample.second > whole[0].second + WARM_UP_S]

    def av_offset(self) -> dict[str, float | None]:
        moments, offsets = zip(*self.offsets, strict=True) if self.offsets else ((), ())
        if not offsets:
            return {"min": None, "median": None, "max": None, "slope_per_hour": None}
        minimum, median, maximum = (round(float(of(offsets)), 1) for of in (np.min, np.median, np.max))
        slope = numbers.slope_per_hour(moments, offsets)
        return {"min": minimum, "median": median, "max": maximum, "slope_per_hour": slope}


def media_share(first: Sample, last: Sample) -> float:
    """Share of a core that the media process took between two samples."""
    return (last.media_cpu_s - first.media_cpu_s) / (last.second - first.second)


async def measure(plan: Plan, soak_minutes: float, options: tuple[str, ...], folder: Path) -> dict[str, Any]:
    """Every part, one after the other."""
    sound, source = speech(folder, 120)
    async with WatchedServer(*options) as server, aiohttp.ClientSession() as http:
        host = Host(http, server.url, sound)
        try:
            await host.join()
            run = Run(server, host, http)
            await run.watch(4)
            delays_ms, alone_share = await run.mic_to_glass(plan.part_s)
            result: dict[str, Any] = {"sound": source, "mic_to_glass_ms": numbers.percentiles(delays_ms)}
            result |= await run.latency()
            result["mic_to_glass_loss5_ms"] = await run.with_loss(max(plan.part_s, LEAST_LOSS_S))
            result |= await run.with_viewers(plan.part_s, alone_share)
            result["renderer_recovery_s"] = round(max([await run.recovery() for _ in range(plan.kills)]), 2)
            result["fuzz"] = await run.fuzz(plan.fuzz_inputs, plan.fuzz_uploads)
            await run.soak(soak_minutes)
        finally:
            await host.leave()
        lag_ms, correlation = (round(float(m), 2) for m in np.median(run.lips, 0)) if run.lips else (None, None)
        result |= {
            "av_offset_ms": run.av_offset(), "lips": {"lag_ms": lag_ms, "correlation": correlation},
            "memory_slope_mb_per_hour": run.memory_slope(), "memory_course_mb": run.memory_course(),
            "memory_mb": round(run.samples[-1].memory_mb),
            "measured_s": round(run.samples[-1].second - run.samples[0].second), "soak_minutes": soak_minutes,
            "sessions_refused": run.refused_sessions, "exceptions": len(server.faults()),
        }  # fmt: skip
        for fault in server.faults()[:5]:
            print(fault, file=sys.stderr)
    return result


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="less exact, done within a minute")
    parser.add_argument("--seconds", type=float, help="how long delay, loss and viewers are measured each")
    parser.add_argument(
        "--soak-minutes", type=float, default=0, help="how long it goes on with changing load (default: 0)"
    )
    parser.add_argument("--speech", type=Path, default=RECORDED, help="folder of sound files to speak")
    options, server_options = parser.parse_known_args(arguments)
    plan = QUICK if options.quick else FULL
    plan = replace(plan, part_s=options.seconds or plan.part_s)
    if options.speech != RECORDED and not options.speech.is_dir():
        parser.error(f"there is no folder {options.speech}")
    result = asyncio.run(until_told(measure(plan, options.soak_minutes, tuple(server_options), options.speech)))
    result |= {"machine": machine(), "commit": commit()}
    for name, value in result.items():
        print(f"{name:<26} {value}")
    if options.json:
        print(json.dumps(result))
    if wrong := failures(result, plan):
        sys.exit("\n".join(wrong))


async def until_told(work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """What `work` returns; SIGTERM ends it as Ctrl-C does, with the processes that it has begun."""
    task = asyncio.create_task(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


def failures(result: dict[str, Any], plan: Plan) -> list[str]:
    """What no run may have, whatever the machine, in words."""
    fuzz, delays_ms = result["fuzz"], result["mic_to_glass_ms"]
    wrong = {
        "exceptions in the server's log": result["exceptions"],
        "malformed inputs that ended a connection or the server": fuzz["crashes"],
        "answers of 500 to malformed inputs": fuzz["http_500"],
        "the delay could not be measured": plan.part_s >= LEAST_LOSS_S and None in delays_ms.values(),
        "no new pictures": not result["frames_per_second"],
    }
    return [f"{what}: {count:d}" for what, count in wrong.items() if count]


if __name__ == "__main__":
    main()
