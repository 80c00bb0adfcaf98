"""The live server with real clients: python -m benchmarks.live --json

Starts `run_server.py` with the shipped bundle. A host speaks recorded speech into it and sees the avatar, viewers come and go
in a process of their own, all by WebRTC on this machine; the clients take part of the same processor (`clients_core_share`).
The clients decode as soon as a picture is complete. A browser adds its own buffer and screen, 35 to 60 ms.

mic_to_glass_ms           a sample is spoken -> the picture of its 40 ms is decoded at the host; pictures shown twice left out
server_mic_to_frame_ms    what the server says itself at the end of that part: sound arrives -> its picture is encoded
mic_to_glass_loss5_ms     the same while 5 % of all packets of the host are lost, both ways; `later_half_p50` shows growth
av_offset_ms              how much later the sound comes than the picture of the same moment, by the streams' own clocks;
                          medians of ten seconds each
lips                      how much later than its sound the mouth moves in the pictures (with the correlation), as a check
                          that the pictures are dated right: medians of stretches of 6 to 60 s, as a short one has chance peaks
frames_per_second         new pictures at the host, beside 10 viewers; `viewers` is the slowest viewer's rate
longest_freeze_ms         the longest that the host waited for a new picture, or any viewer for a frame
viewer_core_share         share of a core that one further viewer takes of the server
renderer_recovery_s       the render process is killed -> the host sees new pictures again; the longest of several
memory_slope_mb_per_hour  of the server with its renderer during the soak, after its first minute; without a soak from the
                          whole run. `memory_course_mb`: medians of five minutes each of the same
fuzz                      malformed inputs (benchmarks/fuzz.py): inputs, crashes, answers of 500; frames a second meanwhile
sessions_refused          second sessions of the soak, one a minute, that the server found too much for this machine
exceptions                faults in the server's log
"""

import argparse
import asyncio
import json
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import psutil

from benchmarks import live_numbers as numbers
from benchmarks.live_peer import Arrivals, Host
from benchmarks.live_server import Sample, WatchedServer
from benchmarks.machine import REPOSITORY, commit, machine
from benchmarks.speech import RECORDED, speech

VIEWERS = 10
LOSS = 0.05
LEAST_LOSS_S = 15.0  # losses spoil one window of sound in two, and a quick part has only one
AV_WINDOW_S = 10.0
RECOVERY_S = 60.0  # longer than this is no recovery
OPENING_S = 0.3  # until then what comes was drawn before; opening the networks alone takes longer
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

    async def watch(self, seconds: float) -> Arrivals:
        """What comes to the host in `seconds`."""
        self.host.forget()
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            self.samples.append(self.server.sample())
            await asyncio.sleep(min(1.0, left_s))
        self.samples.append(self.server.sample())
        came = self.host.forget()
        self.offsets += numbers.window_medians(numbers.av_offsets_ms(came), AV_WINDOW_S)
        if lips := numbers.lips_lag_ms(came):
            self.lips.append(lips)
        return came

    async def mic_to_frame(self) -> dict[str, float]:
        """The server's own measure of the last ten seconds."""
        async with self.http.get(f"{self.server.url}/metrics") as response:
            text = await response.text()
        pattern = 'flap_mic_to_frame_ms\\{session="%s",quantile="0.%s"\\} (\\S+)'
        found = {name: re.search(pattern % (self.host.session_id, name[1:]), text) for name in ("p50", "p95")}
        return {name: float(match[1]) for name, match in found.items() if match}

    async def mic_to_glass(self, seconds: float) -> tuple[list[float], float]:
        """Delays in milliseconds, and the share of a core that the server's media process took meanwhile."""
        first = self.server.sample()
        came = await self.watch(seconds)
        return numbers.mic_to_glass_ms(came, self.host.microphone), media_share(first, self.server.sample())

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
            first, started_s = self.server.sample(), time.monotonic()
            came = await self.watch(seconds)
            passed_s, seen = time.monotonic() - started_s, await others.report()
            share = media_share(first, self.server.sample())
        own_s = [arrival_s for _, arrival_s, is_new in came.pictures if is_new]
        return {
            "frames_per_second": round(len(own_s) / passed_s, 2),
            "viewers": round(seen["frames_per_second"], 2),
            "longest_freeze_ms": round(max(numbers.longest_gap_ms(own_s), seen["longest_freeze_ms"]), 1),
            "viewer_core_share": round((share - alone_share) / VIEWERS, 4),
            "clients_core_share": round(others.core_share(passed_s), 3),
        }

    async def recovery(self) -> float:
        """Kills the render process; seconds until the host sees what its successor has drawn."""
        killed_s, old = time.monotonic(), self.server.renderer()
        old.kill()
        begun_s: float | None = None
        self.host.forget()
        while time.monotonic() < killed_s + RECOVERY_S:
            await asyncio.sleep(0.02)
            if begun_s is None and self.server.renderer_id() not in (None, old.pid):
                begun_s = time.monotonic()
            for _, arrival_s, is_new in self.host.arrivals.pictures:
                if begun_s and is_new and arrival_s > begun_s + OPENING_S:
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
            came = await self.watch(1.0)
            new_s += [arrival_s for _, arrival_s, is_new in came.pictures if is_new]
        result: dict[str, Any] = json.loads((await waiting)[0].splitlines()[-1])
        rate = len(new_s) / (time.monotonic() - started_s)
        return result | {
            "frames_per_second": round(rate, 2),
            "longest_freeze_ms": round(numbers.longest_gap_ms(new_s), 1),
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
            print(error, file=sys.stderr, flush=True)
            self.refused_sessions += 1
        await self.watch(seconds)
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


class Viewers:
    """The process with the viewers."""

    def __init__(self, process: asyncio.subprocess.Process):
        self._process, self._watched = process, psutil.Process(process.pid)
        self._cpu_s = 0.0

    async def report(self) -> dict[str, float]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(b"\n")
        times = self._watched.cpu_times()
        self._last_cpu_s, self._cpu_s = self._cpu_s, times.user + times.system
        return json.loads(await self._process.stdout.readline())  # type: ignore[no-any-return]

    def core_share(self, seconds: float) -> float:
        """What they took between the last two reports."""
        return (self._cpu_s - self._last_cpu_s) / seconds


@asynccontextmanager
async def viewers(url: str, session_id: str, count: int) -> AsyncIterator[Viewers]:
    """`count` viewers that have all seen a frame; they leave at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.live_viewers", url, session_id, str(count), cwd=REPOSITORY,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin and process.stdout
    try:
        async with asyncio.timeout(60):
            if not await process.stdout.readline():
                raise RuntimeError("the viewers could not join")
        yield Viewers(process)
    finally:
        process.stdin.close()
        await process.wait()


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
            result["server_mic_to_frame_ms"] = await run.mic_to_frame()
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
    result = asyncio.run(measure(plan, options.soak_minutes, tuple(server_options), options.speech))
    result |= {"machine": machine(), "commit": commit()}
    for name, value in result.items():
        print(f"{name:<26} {value}")
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
