"""A session on file: everything its avatar was made of, so that it can be made again to the last bit (`realtime/replay.py`).

Gzipped lines of JSON: a header, then a line a chunk with its sound, commands, presenter, whether it was drawn, and checksums of the
coefficients and pictures that it gave. What a crash cuts off is the end only.
"""

import atexit
import base64
import binascii
import gzip
import json
import logging
import queue
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from engines.bundle import MANIFEST, sha256_of
from flap.config import IMAGE_SIZE, MEDIA_CHUNK_SAMPLES
from realtime.control.commands import Command
from realtime.errors import BadCommand
from realtime.gestures.file import gesture_json, read_gesture
from realtime.protocol.messages import DIRECTIVES, encode, parse_command
from realtime.protocol.typed_json import build, load

FORMAT = 2  # with a chunk of another length it is another one
SUFFIX = ".flap.gz"
WAITING_LINES = 512  # about 20 s of a disk that hangs; then the recording ends, the session goes on
FLUSH_LINES = 64
ENDING_S = 5.0  # for what waits when the process ends, of all sessions together
MAX_LINE_BYTES = 2**20
END = {"end": True}
logger = logging.getLogger(__name__)


class RecordingError(Exception):
    """A file is no recording, or one that this version cannot read; the message is a sentence."""


@dataclass(frozen=True)
class Header:
    """What every chunk of a session has in common."""

    session: str
    seed: int
    began: str  # ISO 8601
    bundle: str  # name, and checksum of its manifest
    engine: str
    threads: int
    steps: int
    variant: str | None = None
    background: str | None = None  # as the settings name it
    picture_size: int = IMAGE_SIZE
    format: int = FORMAT


@dataclass(frozen=True)
class RecordedChunk:
    """What a chunk was made of, and checksums (CRC-32) of what it gave; None for pictures that were not drawn."""

    chunk: int
    presenter: str
    sound: NDArray[np.int16]  # [1920] at 48 kHz
    commands: tuple[Command, ...]
    opened: bool  # the avatar was made anew before it, as its operators had left it
    faces_crc: int
    pictures_crc: int | None
    steps: int | None = None  # of diffusion, None for as many as the header says

    @property
    def drawn(self) -> bool:
        return self.pictures_crc is not None


@dataclass(frozen=True)
class _Line:
    chunk: int
    presenter: str
    sound: Any
    faces_crc: int
    pictures_crc: int | None = None
    steps: int | None = None
    opened: bool = False
    commands: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class _CommandLine:
    message: dict[str, Any]
    operator: str = ""
    offset: int = 0
    curve: dict[str, Any] | None = None


def bundle_identity(folder: Path) -> str:
    """A bundle's name and what it consists of."""
    return f"{folder.resolve().name} {sha256_of(folder / MANIFEST)[:16]}"


def checksum(array: NDArray[Any]) -> int:
    return zlib.crc32(array.tobytes())


class Recorder:
    """Writes one session's recording in a thread of its own; ends by itself when the file has `max_bytes` or the disk is in trouble.

    The end of the process waits for what has been put, but not for ever.
    """

    def __init__(self, path: Path, header: Header, max_bytes: int):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._max_bytes = path, max_bytes
        self._lines: queue.Queue[dict[str, Any]] = queue.Queue(WAITING_LINES)
        self._ended = False
        name = f"record {header.session}"
        self._thread = threading.Thread(target=self._write, args=(asdict(header),), name=name, daemon=True)
        self._thread.start()
        _recorders.add(self)

    @property
    def recording(self) -> bool:
        return not self._ended

    def put(self, made: RecordedChunk, wait: bool = False) -> None:
        """A chunk that has been made; the disk is waited for only where nothing else has to go on."""
        if self._ended:
            return
        try:
            self._lines.put(_plain(made), block=wait)
        except queue.Full:
            self._end("the disk is too slow")

    def close(self) -> None:
        """Lets what waits be written; the thread ends by itself."""
        self._ended = True
        try:
            self._lines.put_nowait(END)
        except queue.Full:
            pass  # the thread looks at `_ended` too

    def join(self, limit_s: float | None = None) -> None:
        """Waits until everything is written, or for so long."""
        self._thread.join(limit_s)

    def _end(self, why: str) -> None:
        self._ended = True
        logger.warning("the recording %s ends: %s", self._path.name, why)

    def _write(self, header: dict[str, Any]) -> None:
        try:
            with self._path.open("xb") as file, gzip.GzipFile("", "wb", 1, file) as out:
                out.write(json.dumps(header).encode() + b"\n")
                count = 0
                while (line := self._next()) is not None:
                    out.write(json.dumps(line).encode() + b"\n")
                    count += 1
                    if count % FLUSH_LINES == 0:
                        out.flush()
                    if file.tell() > self._max_bytes:
                        self._end(f"it has reached {self._max_bytes // 10**6} MB")
                        return
        except OSError as error:
            self._end(str(error))

    def _next(self) -> dict[str, Any] | None:
        """The next line, None after the last one."""
        while True:
            try:
                line = self._lines.get(timeout=1.0)
                return None if line is END else line
            except queue.Empty:
                if self._ended:
                    return None


_recorders: WeakSet[Recorder] = WeakSet()


@atexit.register
def _end_all() -> None:
    recorders, ends_s = list(_recorders), time.monotonic() + ENDING_S
    for recorder in recorders:
        recorder.close()
    for recorder in recorders:
        recorder.join(max(0.0, ends_s - time.monotonic()))


def _plain(made: RecordedChunk) -> dict[str, Any]:
    line: dict[str, Any] = {
        "chunk": made.chunk, "presenter": made.presenter, "faces_crc": made.faces_crc, "pictures_crc": made.pictures_crc,
        "sound": base64.b64encode(made.sound.astype("<i2").tobytes()).decode() if made.sound.any() else None,
    }  # fmt: skip
    if made.opened:
        line["opened"] = True
    if made.drawn:
        line["steps"] = made.steps
    if made.commands:
        line["commands"] = [_plain_command(command) for command in made.commands]
    return line


def _plain_command(command: Command) -> dict[str, Any]:
    plain: dict[str, Any] = {"message": json.loads(encode(command.directive)), "operator": command.operator}
    if command.offset:
        plain["offset"] = command.offset
    if command.curve:
        plain["curve"] = gesture_json(command.curve)
    return plain


def read_recording(path: Path) -> tuple[Header, Iterator[RecordedChunk]]:
    """The header, and chunk after chunk as they are read. Both raise RecordingError."""
    lines = _lines(path)
    first = next(lines, None)
    try:
        header = build(first, Header, "the header")
    except BadCommand as error:
        raise RecordingError(f"{path} is no recording of a session: {error}") from error
    if header.format != FORMAT:
        raise RecordingError(f"{path} has format {header.format}; this version reads {FORMAT}")
    return header, (_chunk(line, path) for line in lines)


def _lines(path: Path) -> Iterator[Any]:
    """JSON of each line; what is cut off at the end is left out."""
    try:
        with gzip.open(path, "rb") as file:
            while line := file.readline(MAX_LINE_BYTES):
                if line.endswith(b"\n"):
                    yield load(line.decode())
                elif len(line) == MAX_LINE_BYTES:
                    raise RecordingError(f"{path} has a line of more than {MAX_LINE_BYTES} bytes")
    except EOFError:
        return  # the session ended without a goodbye
    except (OSError, zlib.error, UnicodeDecodeError, BadCommand) as error:
        raise RecordingError(f"{path} cannot be read: {error}") from error


def _chunk(raw: Any, path: Path) -> RecordedChunk:
    try:
        line = build(raw, _Line, "a chunk")
        commands = tuple(_command(build(command, _CommandLine, "a command")) for command in line.commands)
        return RecordedChunk(
            line.chunk,
            line.presenter,
            _sound(line.sound),
            commands,
            line.opened,
            line.faces_crc,
            line.pictures_crc,
            line.steps,
        )
    except BadCommand as error:
        raise RecordingError(f"{path} is damaged: {error}") from error


def _sound(text: Any) -> NDArray[np.int16]:
    if text is None:
        return np.zeros(MEDIA_CHUNK_SAMPLES, np.int16)
    try:
        sound = np.frombuffer(base64.b64decode(text, validate=True), "<i2").astype(np.int16)
    except (TypeError, ValueError, binascii.Error) as error:
        raise BadCommand(f"sound: {error}") from error
    if len(sound) != MEDIA_CHUNK_SAMPLES:
        raise BadCommand(f"sound must have {MEDIA_CHUNK_SAMPLES} samples")
    return sound


def _command(line: _CommandLine) -> Command:
    directive = parse_command(line.message)
    if not isinstance(directive, DIRECTIVES):
        raise BadCommand(f"{directive.type} does not act on a face")
    curve = read_gesture(line.curve) if line.curve is not None else None
    return replace(Command(directive, line.operator, curve), offset=line.offset)
