"""Looks at this machine before a show: `python run_server.py doctor`, with the settings that the server will get."""

import os
import platform
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
import numpy as np

from engines.bundle import Bundle, BundleError
from engines.engine import EngineError
from flap.config import CHUNK_FRAMES, CHUNK_MS, IMAGE_SIZE, MEDIA_CHUNK_SAMPLES
from realtime.config import ConfigError, ServerConfig
from realtime.media.bitrate import RATES
from realtime.media.encoder import WEBRTC_CODECS, VideoCodec, VideoEncoder, picture_encoder
from realtime.media.ice_probe import IceAddress, answer_ms
from realtime.pipeline import AvatarPipeline
from realtime.render.opening import open_checked, pipeline_of
from realtime.render.trial import chunk_times_ms, leaves_room
from realtime.web.access import is_local
from realtime.web.serving import read_certificate

TRIAL_S = 5.0
TRIED_STEPS = (1, 2)
LEAST_MEMORY_GB = 2.0
MEMORY_INFO = Path("/proc/meminfo")
SPARE = 0.8  # the share of the machine that avatars may take; browsers, OBS and the system need the rest


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `advice` says what to do unless it is `ok`."""

    name: str
    state: Literal["ok", "warning", "failed"]
    found: str
    advice: str = ""

    def __str__(self) -> str:
        mark = {"ok": "ok     ", "warning": "WARNING", "failed": "FAILED "}[self.state]
        return f"{mark} {self.name}: {self.found}" + (f"\n        {self.advice}" if self.advice else "")


def examine(config: ServerConfig) -> Iterator[Finding]:
    """Everything that can be known before the first session, one finding at a time; the last ones take seconds."""
    yield _processor()
    yield _memory()
    yield from (_encoder(codec) for codec in WEBRTC_CODECS)
    yield _port(config)
    if config.tls_certificate:
        yield _certificate(config)
    yield _reach(config)
    yield from (_ice_server(url) for url in config.ice_servers)
    yield from _bundle(config)


def _processor() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    flags = _flags()
    known = [
        name
        for name in ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_tile", "asimd")
        if name in flags
    ]
    found = f"{cores} cores, Python {platform.python_version()}, {platform.machine()} {' '.join(known)}".strip()
    if cores < 2:
        return Finding("processor", "warning", found, "two cores are the least for 25 frames a second")
    return Finding("processor", "ok", found)


def _flags() -> set[str]:
    """Instruction sets that Linux names; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return {flag for line in lines if line.startswith(("flags", "Features")) for flag in line.split(":")[1].split()}


def _memory() -> Finding:
    try:
        free_gb = _available_gb()
    except (ValueError, OSError, AttributeError):
        return Finding("memory", "ok", "this system does not say")
    if free_gb < LEAST_MEMORY_GB:
        return Finding("memory", "warning", f"{free_gb:.1f} GB free", f"have {LEAST_MEMORY_GB:g} GB free before a show")
    return Finding("memory", "ok", f"{free_gb:.1f} GB free")


def _available_gb() -> float:
    """What programs can have: on Linux with the files' cache, which gives way."""
    with suppress(OSError, StopIteration, IndexError):
        lines = MEMORY_INFO.read_text().splitlines()
        return int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]) * 1024 / 1e9
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9


def _encoder(codec: VideoCodec) -> Finding:
    try:
        picture_encoder(codec, IMAGE_SIZE).encode(np.zeros((IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8), 0, True)
    except (av.FFmpegError, ValueError) as error:
        return Finding(
            f"{codec} encoder", "failed", str(error), "install PyAV's own build: pip install --force-reinstall av"
        )
    return Finding(f"{codec} encoder", "ok", "works")


def _port(config: ServerConfig) -> Finding:
    try:
        family = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)[0][0]
        with socket.create_server((config.host, config.port), family=family):
            return Finding("port", "ok", f"{config.host}:{config.port} is free")
    except OSError as error:
        advice = "is a server running already? Choose another with --port, or 0 for any free one"
        return Finding("port", "failed", f"{config.host}:{config.port}: {error.strerror}", advice)


def _certificate(config: ServerConfig) -> Finding:
    try:
        read_certificate(config)
    except OSError as error:
        return Finding("certificate", "failed", str(error), "give a PEM file with the chain, and its private key")
    return Finding("certificate", "ok", "it and its key fit together")


def _reach(config: ServerConfig) -> Finding:
    if is_local(config.host):
        return Finding("reach", "ok", "this machine only")
    turn = [url for url in config.ice_servers if url.startswith(("turn:", "turns:"))]
    advice = []
    if config.tls_certificate is None:
        advice.append(
            "browsers give the microphone to HTTPS only: set tls_certificate and tls_key, or put a TLS proxy in front"
        )
    if not turn:
        advice.append("viewers behind NAT need a TURN server: --ice-servers turn:... (docs/network.md)")
    return Finding("reach", "warning" if advice else "ok", f"the network at {config.host}", ". ".join(advice))


def _ice_server(url: str) -> Finding:
    try:
        return Finding("ICE server", "ok", f"{url} answers in {answer_ms(IceAddress.parse(url)):.0f} ms")
    except OSError as error:
        advice = "browsers that need it will see no picture: start it, open its port or correct --ice-servers"
        return Finding("ICE server", "warning", f"{url} does not answer: {error}", advice)


def _bundle(config: ServerConfig) -> Iterator[Finding]:
    try:
        bundle = open_checked(config)
        size = _picture_size(bundle, config)
        pipelines = {
            steps: pipeline_of(bundle, steps, config.background_picture, size)
            for steps in sorted({*TRIED_STEPS, config.steps})
        }
        at_once = pipelines[config.steps].portrait.at_once
        verdict = _verdict(_time_chunks(pipelines, next(iter(bundle.presenters)), size), config, at_once, size)
    except (BundleError, EngineError, ConfigError) as error:
        yield Finding("bundle", "failed", str(error), "the message above says what to do")
        return
    providers = {engine.provider for engine in bundle.engines.values()}
    yield Finding(
        "bundle",
        "ok",
        f"{bundle.manifest.name}, {len(bundle.presenters)} presenters, on {', '.join(sorted(providers))}",
    )
    yield verdict


def _picture_size(bundle: Bundle, config: ServerConfig) -> int:
    """What the server would choose. Raises EngineError."""
    for size in config.picture_sizes[:-1]:
        pipeline = pipeline_of(bundle, config.steps, config.background_picture, size)
        times_ms = chunk_times_ms(pipeline, next(iter(bundle.presenters)), config.steps)
        if leaves_room(float(np.median(times_ms)), pipeline.portrait.at_once):
            return size
    return config.picture_sizes[-1]


def _time_chunks(pipelines: Mapping[int, AvatarPipeline], presenter_id: str, size: int) -> dict[int, list[float]]:
    """Milliseconds a chunk, sound to encoded picture, of as many as are drawn at the same time, by number of steps; they take
    turns for TRIAL_S."""
    states = {
        steps: [pipeline.init_state(presenter_id) for _ in range(pipeline.portrait.at_once)]
        for steps, pipeline in pipelines.items()
    }
    encoder = VideoEncoder("H264", size, RATES[size][0])
    sound = (np.random.default_rng(0).standard_normal(MEDIA_CHUNK_SAMPLES) * 3000).astype(np.int16)
    times_ms: dict[int, list[float]] = {steps: [] for steps in pipelines}
    until_s, pictures = time.perf_counter() + TRIAL_S, 0
    while time.perf_counter() < until_s or len(times_ms[min(times_ms)]) < 8:
        for steps, pipeline in pipelines.items():
            started_s = time.perf_counter()
            begun = [pipeline.step(sound, [], state) for state in states[steps]]
            states[steps] = [state for _, state in begun]
            for step, _ in begun:
                for picture in step.frames if step.frames is not None else []:
                    encoder.encode(picture, pictures, key_frame=False)
                    pictures += 1
            times_ms[steps].append((time.perf_counter() - started_s) * 1000 / len(begun))
    return {steps: times[3:] for steps, times in times_ms.items()}  # the first ones warm up


def _verdict(times_ms: Mapping[int, list[float]], config: ServerConfig, at_once: int, size: int) -> Finding:
    median_ms = {steps: float(np.median(times)) for steps, times in times_ms.items()}
    sessions = {steps: int(SPARE * CHUNK_MS / median) for steps, median in median_ms.items()}
    chunk_ms, p95_ms = median_ms[config.steps], float(np.percentile(times_ms[config.steps], 95))
    found = (
        f"{1000 * CHUNK_FRAMES / chunk_ms:.0f} frames a second at {size} x {size}, {_counted(config.steps, 'step')}: "
        f"a frame takes {chunk_ms:.0f} ms (p95 {p95_ms:.0f}) of {CHUNK_MS:.0f}; sustains "
        + ", ".join(f"{_counted(n, 'session')} with {_counted(steps, 'step')}" for steps, n in sorted(sessions.items()))
    )
    if chunk_ms > CHUNK_MS:
        advice = "this machine does not keep up: pictures will be left out, sound will not"
        return Finding("speed", "failed", found, advice + _smaller(size))
    if sessions[config.steps] < 1:
        fewer = "" if config.steps == min(sessions) else f", or --steps {min(sessions)}"
        advice = f"less than {1 - SPARE:.0%} to spare: run nothing else beside it{fewer}{_smaller(size)}"
        return Finding("speed", "warning", found, advice)
    if (p95_ms := p95_ms * at_once) > config.render_budget_ms:
        return Finding("speed", "warning", found, f"pictures will come late: try --render-budget-ms {p95_ms * 1.2:.0f}")
    most = sessions[config.steps]
    advice = f"--max-sessions {most} keeps all at full rate{_smaller(size)}" if most < config.max_sessions else ""
    return Finding("speed", "ok", found, advice)


def _smaller(size: int) -> str:
    return f"; --picture-size {IMAGE_SIZE} takes less time" if size > IMAGE_SIZE else ""


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
