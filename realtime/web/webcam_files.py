"""What the page needs to find faces in a webcam's picture: MediaPipe's Face Landmarker for browsers, and its model.

    python -m realtime.web.webcam_files [--archive tasks-vision-0.10.35.tgz]

fetches both once, checks their SHA-256 and keeps them; the server hands them out at `/webcam`. MediaPipe is Apache-2.0. Its version 1.1.0
reports how it is used to Google, which this one does not.
"""

import argparse
import hashlib
import io
import os
import sys
import tarfile
import urllib.request
from pathlib import Path

from flap.face_landmarks import MODEL_FILE, FaceLandmarkerError, find_model

VERSION = "0.10.35"
ARCHIVE_URL = f"https://registry.npmjs.org/@mediapipe/tasks-vision/-/tasks-vision-{VERSION}.tgz"
ARCHIVE_SHA256 = "84597a25e13d123b5f4cbe768bb72e97a2c28c7a465f0ace287d8cbe5246bff0"
ARCHIVE_TIMEOUT_S = 60
MEMBERS = {  # file that is handed out -> its place in the archive
    "vision_bundle.mjs": "package/vision_bundle.mjs",
    "vision_wasm_internal.js": "package/wasm/vision_wasm_internal.js",
    "vision_wasm_internal.wasm": "package/wasm/vision_wasm_internal.wasm",
}
KINDS = {
    ".mjs": "text/javascript",
    ".js": "text/javascript",
    ".wasm": "application/wasm",
    ".task": "application/octet-stream",
}
FILES = (*MEMBERS, MODEL_FILE)


class WebcamFilesError(Exception):
    """The files cannot be had; the message says what to do."""


def folder() -> Path:
    """Where they are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flap-live" / "webcam"


def find(name: str) -> Path | None:
    """One of `FILES`, None when it is none of them or all are not installed."""
    path = folder() / name
    return path if name in FILES and path.is_file() else None


def install(archive: Path | None = None) -> Path:
    """Fetches what is missing, from `archive` instead of the network where one is given; the folder.

    Raises WebcamFilesError for an archive with another checksum, or when it or the model cannot be fetched.
    """
    data = _read(archive)
    if hashlib.sha256(data).hexdigest() != ARCHIVE_SHA256:
        raise WebcamFilesError(
            f"the archive is not tasks-vision {VERSION}: its checksum differs from the one that is known"
        )
    try:
        model = find_model()
    except FaceLandmarkerError as error:
        raise WebcamFilesError(str(error)) from error
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        contents = {name: _member(opened, place) for name, place in MEMBERS.items()}
    contents[MODEL_FILE] = model.read_bytes()
    folder().mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        unfinished = folder() / f"{name}.partial"
        unfinished.write_bytes(content)
        unfinished.replace(folder() / name)
    return folder()


def _read(archive: Path | None) -> bytes:
    help_text = f"download {ARCHIVE_URL} by hand and name the file with --archive"
    try:
        if archive is not None:
            return archive.read_bytes()
        with urllib.request.urlopen(ARCHIVE_URL, timeout=ARCHIVE_TIMEOUT_S) as answer:
            data: bytes = answer.read()
            return data
    except OSError as error:
        raise WebcamFilesError(f"the archive cannot be read ({error}): {help_text}") from error


def _member(opened: tarfile.TarFile, place: str) -> bytes:
    file = opened.extractfile(place)
    if file is None:
        raise WebcamFilesError(f"the archive has no {place}")
    return file.read()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archive", type=Path, help="the archive, where the network cannot be reached")
    options = parser.parse_args(arguments)
    try:
        print(f"webcams can be used: {', '.join(FILES)} are in {install(options.archive)}")
    except WebcamFilesError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
