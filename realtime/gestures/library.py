"""Gestures of the user's own: a folder of JSON files, read again when one of them changes."""

import asyncio
import json
import logging
import os
import re
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from realtime.errors import BadCommand, Conflict, FlapError, NotFound
from realtime.gestures.builtin import GESTURES
from realtime.gestures.curve import GestureCurve
from realtime.gestures.file import gesture_json, read_gesture
from realtime.protocol.typed_json import load

LOOK_PERIOD_S = 1.0
MAX_FILES = 200
MAX_FILE_BYTES = 2**20
NAME = re.compile(r"[\w][\w .-]{0,39}")
Stamp = tuple[int, int]  # modification time in ns, size
logger = logging.getLogger(__name__)


class GestureLibrary:
    """Owns the folder. A file that cannot be used is named in `problems`; the gesture that it was before stays."""

    def __init__(self, folder: Path | None):
        self._folder = folder
        self._stamps: dict[Path, Stamp] = {}
        self.gestures: Mapping[str, GestureCurve] = {}
        self._problems: dict[str, str] = {}  # file -> what is wrong with it
        self._looking = threading.Lock()  # each save looks too, in a thread of its own

    @property
    def problems(self) -> tuple[str, ...]:
        return tuple(f"{file}: {what}" for file, what in sorted(self._problems.items()))

    def curve(self, name: str) -> GestureCurve | None:
        """The gesture of a name, None for a built-in one. Raises NotFound."""
        if name in GESTURES:
            return None
        if name not in self.gestures:
            raise NotFound(f"no gesture {name!r}: choose one of {', '.join((*GESTURES, *self.gestures))}")
        return self.gestures[name]

    async def watch(self, on_change: Callable[[], None]) -> None:
        """Looks at the folder again and again until it is cancelled."""
        told = self.gestures
        while True:
            await asyncio.sleep(LOOK_PERIOD_S)
            try:
                await asyncio.to_thread(self.look)
            except OSError as error:
                logger.warning("the folder of gestures cannot be read: %s", error)
            if self.gestures is not told:
                told = self.gestures
                on_change()

    def look(self) -> None:
        """Reads what has changed; `gestures` is another mapping then."""
        with self._looking:
            self._look()

    def _look(self) -> None:
        found = self._files()
        if found == self._stamps:
            return
        gestures = {name: curve for name, curve in self.gestures.items() if any(path.stem == name for path in found)}
        problems: dict[str, str] = {}
        for path, stamp in found.items():
            if self._stamps.get(path) == stamp:
                if path.name in self._problems:
                    problems[path.name] = self._problems[path.name]
                continue
            try:
                gestures[check_name(path.stem)] = _read(path)
            except (FlapError, OSError, UnicodeDecodeError) as error:
                problems[path.name] = str(error)
                logger.warning("gesture file %s cannot be used: %s", path.name, error)
        self._stamps, self.gestures, self._problems = found, gestures, problems

    def _files(self) -> dict[Path, Stamp]:
        if self._folder is None or not self._folder.is_dir():
            return {}
        found = {}
        for path in sorted(self._folder.glob("*.json"))[:MAX_FILES]:
            try:
                status = path.stat()
            except OSError:
                continue  # it has gone just now
            found[path] = (status.st_mtime_ns, status.st_size)
        return found

    def save(self, name: str, curve: GestureCurve) -> None:
        """Keeps a gesture; one of the same name is replaced.

        Raises BadCommand for the name, Conflict for a built-in one and when there are enough, NotFound without a folder.
        """
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() and len(list(path.parent.glob("*.json"))) >= MAX_FILES:
            raise Conflict(f"{MAX_FILES} gestures are kept already: delete one first")
        file = tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".part", delete=False)  # noqa: SIM115
        try:
            with file:
                json.dump(gesture_json(curve), file, indent=1)
            os.replace(file.name, path)
        except OSError:
            os.unlink(file.name)
            raise
        self.look()

    def delete(self, name: str) -> None:
        """Raises NotFound."""
        try:
            self._path(name).unlink()
        except FileNotFoundError as error:
            raise NotFound(f"no gesture {name!r} in the library") from error
        self.look()

    def _path(self, name: str) -> Path:
        if self._folder is None:
            raise NotFound("this server keeps no gestures: start it with --gestures-folder")
        return self._folder / f"{check_name(name)}.json"


def check_name(name: str) -> str:
    """Raises BadCommand for a name that makes no file, Conflict for one of the built-in gestures."""
    if not NAME.fullmatch(name):
        raise BadCommand(
            "a gesture's name is 1 to 40 letters, digits, spaces, dots and dashes, and begins with a letter or digit"
        )
    if name in GESTURES:
        raise Conflict(f"{name} is a built-in gesture: choose another name")
    return name


def _read(path: Path) -> GestureCurve:
    if path.stat().st_size > MAX_FILE_BYTES:
        raise BadCommand(f"more than {MAX_FILE_BYTES} bytes")
    return read_gesture(load(path.read_text()))
