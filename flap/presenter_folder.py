"""The presenters that users added, each a folder with `portrait.png` and `presenter.json`.

Nothing is held in memory: several programs may read and change the folder at the same time. A presenter appears and
vanishes by one rename. The photograph itself is not kept, only the aligned portrait.
"""

import hashlib
import json
import os
import re
import secrets
import shutil
import unicodedata
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from flap import coefficients as co

FORMAT_VERSION = 1
MAX_PRESENTERS = 200
MAX_NAME_CHARACTERS = 60
MAX_NOTE_CHARACTERS = 300
CHECKSUM_CHARACTERS = 12
ID = re.compile(rf"[a-z0-9-]{{1,40}}-[0-9a-f]{{{CHECKSUM_CHARACTERS}}}")


class PresenterFolderError(Exception):
    """A presenter cannot be kept, read or removed; `code` names why, the message says what to do."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Origin:
    """Who added a presenter, and why they may use this face. Raises PresenterFolderError when one is missing."""

    added_by: str
    consent: str

    def __post_init__(self) -> None:
        for name, value in (("added_by", self.added_by), ("consent", self.consent)):
            if not value.strip() or len(value) > MAX_NOTE_CHARACTERS or not value.isprintable():
                raise PresenterFolderError(
                    "bad_origin", f"{name} must be 1 to {MAX_NOTE_CHARACTERS} printable characters"
                )


@dataclass(frozen=True)
class AddedPresenter:
    """Somebody whom a user added."""

    id: str
    name: str
    portrait_path: Path
    coefficients: co.Array  # [120]
    remarks: tuple[str, ...]
    origin: Origin
    added_at: str  # ISO 8601, UTC
    photograph_sha256: str


def default_folder() -> Path:
    """Where presenters are kept unless told otherwise, by the XDG base directory rule."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "flap-live" / "presenters"


class PresenterFolder:
    """Adds, reads and removes presenters under one folder, which is made when the first is added."""

    def __init__(self, path: Path):
        self.path = path

    def ids(self) -> list[str]:
        """Oldest first; those that may be read."""
        made = []
        with suppress(OSError):  # there is no folder, or it is closed to us
            for path in self.path.iterdir():
                with suppress(OSError):  # another program removes it just now
                    if self.has(path.name):
                        made.append((path.stat().st_mtime_ns, path.name))
        return [name for _, name in sorted(made)]

    def has(self, presenter_id: str) -> bool:
        """Whether it stands in the folder and may be read."""
        with suppress(OSError):
            return bool(ID.fullmatch(presenter_id)) and (self.path / presenter_id / "presenter.json").is_file()
        return False

    def get(self, presenter_id: str) -> AddedPresenter:
        """Raises PresenterFolderError `not_found` or `damaged`."""
        file = self.path / presenter_id / "presenter.json"
        if not self.has(presenter_id):
            raise PresenterFolderError("not_found", f"no presenter {presenter_id!r} was added")
        try:
            raw = json.loads(file.read_text())
            portrait, face = file.with_name("portrait.png"), co.check(raw["coefficients"])
            if _sha256(portrait.read_bytes()) != raw["portrait_sha256"] or face.shape != (co.SIZE,):
                raise ValueError("the portrait was changed")
            return AddedPresenter(
                presenter_id, raw["name"], portrait, face, tuple(raw["remarks"]), Origin(**raw["origin"]),
                raw["added_at"], raw["photograph_sha256"],
            )  # fmt: skip
        except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise PresenterFolderError(
                "damaged", f"{file.parent} is damaged ({error}): remove it, add it again"
            ) from error

    def check_room(self, name: str, photograph: bytes) -> None:
        """Raises PresenterFolderError `bad_name`, `known` (this very file was added) or `full`."""
        presenter_id = _id(name, photograph)
        ids = self.ids()
        known = [other for other in ids if other[-CHECKSUM_CHARACTERS:] == presenter_id[-CHECKSUM_CHARACTERS:]]
        if known:
            raise PresenterFolderError("known", f"this picture was added already, as {known[0]}")
        if len(ids) >= MAX_PRESENTERS:
            raise PresenterFolderError("full", f"{MAX_PRESENTERS} presenters were added already: remove one first")

    def add(
        self, name: str, photograph: bytes, portrait: NDArray[np.uint8], face: co.Array, remarks: tuple[str, ...],
        origin: Origin,
    ) -> AddedPresenter:  # fmt: skip
        """Keeps an aligned portrait `[512, 512, 3]`. Raises PresenterFolderError as `check_room` does, and `unavailable`."""
        self.check_room(name, photograph)
        presenter_id = _id(name, photograph)
        png = cv2.imencode(".png", cv2.cvtColor(portrait, cv2.COLOR_RGB2BGR))[1].tobytes()
        about = {
            "format_version": FORMAT_VERSION, "name": check_name(name), "coefficients": [round(float(x), 5) for x in face],
            "remarks": list(remarks), "origin": asdict(origin), "added_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "photograph_sha256": _sha256(photograph), "portrait_sha256": _sha256(png),
        }  # fmt: skip
        unfinished = self.path / f".{presenter_id}.{secrets.token_hex(4)}"
        try:
            unfinished.mkdir(parents=True)
            (unfinished / "portrait.png").write_bytes(png)
            (unfinished / "presenter.json").write_text(json.dumps(about, indent=1) + "\n")
            unfinished.rename(self.path / presenter_id)
        except OSError as error:
            raise PresenterFolderError("unavailable", f"the presenter cannot be kept: {error}") from error
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return self.get(presenter_id)

    def remove(self, presenter_id: str) -> None:
        """Deletes portrait and note. Raises PresenterFolderError `not_found`."""
        folder = self.path / presenter_id
        if not ID.fullmatch(presenter_id) or not folder.is_dir():
            raise PresenterFolderError("not_found", f"no presenter {presenter_id!r} was added")
        gone = self.path / f".{presenter_id}.{secrets.token_hex(4)}"
        folder.rename(gone)
        shutil.rmtree(gone)


def check_name(name: str) -> str:
    """The name without blanks around it. Raises PresenterFolderError `bad_name`."""
    name = name.strip()
    if not name or len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
        raise PresenterFolderError("bad_name", f"a name is 1 to {MAX_NAME_CHARACTERS} printable characters")
    return name


def _id(name: str, photograph: bytes) -> str:
    """A readable part and the photograph's checksum, so that an id never means two faces."""
    plain = unicodedata.normalize("NFKD", check_name(name)).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-") or "presenter"
    return f"{slug}-{_sha256(photograph)[:CHECKSUM_CHARACTERS]}"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
