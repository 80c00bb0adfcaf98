"""The webcam's face tracker is installed with its checksum, and handed out when it is there."""

import asyncio
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from realtime.web import webcam_files
from realtime.web.webcam_files import FILES, MEMBERS, WebcamFilesError, find, install
from tests.live_client import serving


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive as the registry has it, and a model; the checksum is the archive's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = tmp_path / "face_landmarker.task"
    model.write_bytes(b"a model")
    monkeypatch.setenv("FLAP_FACE_LANDMARKER", str(model))
    made = tmp_path / "archive.tgz"
    with tarfile.open(made, "w:gz") as file:
        for place in (*MEMBERS.values(), "package/README.md"):
            entry = tarfile.TarInfo(place)
            entry.size = len(place)
            file.addfile(entry, io.BytesIO(place.encode()))
    monkeypatch.setattr(webcam_files, "ARCHIVE_SHA256", hashlib.sha256(made.read_bytes()).hexdigest())
    return made


def test_what_is_installed_is_found_and_nothing_else(archive: Path) -> None:
    assert find("vision_bundle.mjs") is None
    folder = install(archive)
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert find("vision_bundle.mjs").read_bytes() == b"package/vision_bundle.mjs"  # type: ignore[union-attr]
    assert find("face_landmarker.task").read_bytes() == b"a model"  # type: ignore[union-attr]
    assert find("README.md") is None and find("../webcam/vision_bundle.mjs") is None


def test_an_archive_that_was_changed_is_refused_and_nothing_is_kept(archive: Path, tmp_path: Path) -> None:
    archive.write_bytes(archive.read_bytes() + b" ")
    with pytest.raises(WebcamFilesError, match="checksum"):
        install(archive)
    with pytest.raises(WebcamFilesError, match="--archive"):
        install(tmp_path / "nowhere.tgz")
    assert find("vision_bundle.mjs") is None


def test_the_server_hands_the_files_out_or_says_how_to_get_them(archive: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as http:
            refused = await http.get("/webcam/vision_bundle.mjs")
            assert refused.status == 404 and "make install-webcam" in (await refused.json())["error"]["message"]
            install(archive)
            given = await http.get("/webcam/vision_wasm_internal.wasm")
            assert given.status == 200 and given.content_type == "application/wasm"
            assert (await http.get("/webcam/vision_bundle.mjs")).content_type == "text/javascript"
            assert (await http.get("/webcam/..%2Fmanifest.json")).status == 404

    asyncio.run(run())
