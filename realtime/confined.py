"""Files of strangers are unpacked in a process of their own, which has bounds and knows no secret.

The limits of memory and processor time are Linux's; elsewhere only the time on the clock is limited.
"""

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from realtime.errors import BadRequest, FlapError, Unavailable

ROOT = Path(__file__).parent.parent
NICENESS = 10
MAX_LOG_BYTES = 2**20
PASSED_ON = (
    "PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TEMP", "SYSTEMROOT", "LD_LIBRARY_PATH", "XDG_CACHE_HOME", "FLAP_FACE_LANDMARKER",
)  # fmt: skip
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # threads would take address space


@dataclass(frozen=True)
class Bounds:
    """`memory_bytes` counts address space, with interpreter and libraries (about a third of a gigabyte)."""

    seconds: float
    memory_bytes: int
    answer_bytes: int


@dataclass(frozen=True)
class Outcome:
    """`status` is the exit status, negative for the signal that ended the process."""

    status: int
    said: bytes
    log: str  # the end of it


async def start_without_secrets(
    arguments: list[str], stderr: int, scratch: str | None = None
) -> asyncio.subprocess.Process:
    """`python ARGUMENTS` with pipes to its input and its output, in an environment that holds none of this process's settings.

    `scratch` is its folder for temporary files.
    """
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ} | ONE_THREAD
    environment |= {"TMPDIR": scratch, "TEMP": scratch, "TMP": scratch} if scratch else {}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    return await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=ROOT, env=environment, stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=stderr,
    )  # fmt: skip


async def run_confined(arguments: list[str], data: bytes, bounds: Bounds) -> Outcome:
    """`python ARGUMENTS` with `data` as its input. Raises Unavailable when it takes too long or says too much, or when there is
    no room for temporary files."""
    try:
        scratch = tempfile.mkdtemp(prefix="flap-")
    except OSError as error:
        raise Unavailable(
            f"no temporary files can be written here ({error.strerror}): give the server a TMPDIR"
        ) from error
    try:  # what it puts aside goes with it, however it ends
        return await _run(arguments, data, bounds, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def refuse(error: FlapError) -> NoReturn:
    """In a confined process: ends it with what `raise_refusal` reads."""
    print(json.dumps({"code": error.code, "message": str(error)}))
    sys.exit(1)


def raise_refusal(said: bytes, kinds: Iterable[type[FlapError]], otherwise: str) -> NoReturn:
    """Raises what a confined process has refused its data with, one of `kinds`; BadRequest(`otherwise`) if it has not told."""
    try:
        answer = json.loads(said)
        refusal = {kind.code: kind for kind in kinds}[answer["code"]](answer["message"])
    except (ValueError, KeyError, TypeError) as error:  # it was ended by its limits, or by the file
        raise BadRequest(otherwise) from error
    raise refusal


async def _run(arguments: list[str], data: bytes, bounds: Bounds, scratch: str) -> Outcome:
    process = await start_without_secrets(arguments, asyncio.subprocess.PIPE, scratch)
    try:
        _bind(process.pid, bounds)  # before it has any of the data
        async with asyncio.timeout(bounds.seconds):
            _, said, log = await asyncio.gather(
                _feed(process, data), _take(process.stdout, bounds.answer_bytes), _take(process.stderr, MAX_LOG_BYTES)
            )
            status = await process.wait()
        return Outcome(status, said, log.decode(errors="replace")[-2000:])
    except (TimeoutError, OverflowError) as error:
        raise Unavailable("looking at the file took too long: send a smaller one") from error
    finally:
        if process.returncode is None:
            process.kill()
        _close_pipes(process)
        await process.wait()


def _close_pipes(process: asyncio.subprocess.Process) -> None:
    """What it has said and nobody has taken would let asyncio wait for ever, and so would a child of its own that has its pipes."""
    transport: asyncio.SubprocessTransport = process._transport  # type: ignore[attr-defined]
    for descriptor in range(3):
        pipe = transport.get_pipe_transport(descriptor)
        if isinstance(pipe, asyncio.WriteTransport):
            if pipe.get_write_buffer_size() or not pipe.is_closing():
                pipe.abort()
        elif pipe:
            pipe.close()


async def _feed(process: asyncio.subprocess.Process, data: bytes) -> None:
    assert process.stdin
    with suppress(BrokenPipeError, ConnectionResetError):  # it has made up its mind before the end
        process.stdin.write(data)
        await process.stdin.drain()
    process.stdin.close()


async def _take(stream: asyncio.StreamReader | None, most_bytes: int) -> bytes:
    """All that comes. Raises OverflowError when that is more than `most_bytes`."""
    assert stream
    taken = bytearray()
    while piece := await stream.read(65_536):
        taken += piece
        if len(taken) > most_bytes:
            raise OverflowError
    return bytes(taken)


def _bind(process_id: int, bounds: Bounds) -> None:
    with suppress(ProcessLookupError):
        os.setpriority(os.PRIO_PROCESS, process_id, NICENESS)
        if sys.platform == "linux":
            import resource

            processor_s = int(bounds.seconds) + 1
            for kind, most in (
                (resource.RLIMIT_AS, bounds.memory_bytes),
                (resource.RLIMIT_CPU, processor_s),
                (resource.RLIMIT_CORE, 0),
            ):
                resource.prlimit(process_id, kind, (most, most))
