"""Added presenters come and go whole, with who added them and why they may."""

import json
from pathlib import Path

import numpy as np
import pytest

from flap import coefficients as co
from flap import presenter_folder
from flap.presenter_folder import AddedPresenter, Origin, PresenterFolder, PresenterFolderError

PICTURE = np.random.default_rng(0).integers(0, 255, (256, 256, 3), dtype=np.uint8)
FACE = co.from_arkit({"mouthSmileLeft": 0.4})


def add(folder: PresenterFolder, name: str = "Ada L.", photograph: bytes = b"photograph") -> AddedPresenter:
    return folder.add(name, photograph, PICTURE, FACE, ("a remark",), Origin("me", "it is me"))


def code_of(act) -> str:  # type: ignore[no-untyped-def]
    with pytest.raises(PresenterFolderError) as refused:
        act()
    return refused.value.code


def test_what_is_added_is_read_again(tmp_path: Path) -> None:
    folder = PresenterFolder(tmp_path / "made" / "here")
    added = add(folder)
    again = PresenterFolder(folder.path).get(added.id)
    assert folder.ids() == [added.id]
    assert again.name == "Ada L." and again.origin == Origin("me", "it is me") and again.remarks == ("a remark",)
    assert np.allclose(again.coefficients, FACE, atol=1e-4)
    assert len(again.photograph_sha256) == 64 and again.added_at.endswith("+00:00")


def test_the_same_photograph_is_not_added_twice(tmp_path: Path) -> None:
    folder = PresenterFolder(tmp_path)
    add(folder)
    assert code_of(lambda: add(folder, "Another name")) == "known"
    assert add(folder, "Ada L.", b"another photograph").id in folder.ids()


def test_a_removed_presenter_is_gone_from_the_disk(tmp_path: Path) -> None:
    folder = PresenterFolder(tmp_path)
    folder.remove(add(folder).id)
    assert not folder.ids() and not list(tmp_path.iterdir())


def test_a_changed_portrait_or_note_is_noticed(tmp_path: Path) -> None:
    folder = PresenterFolder(tmp_path)
    first, second = add(folder), add(folder, photograph=b"two")
    first.portrait_path.write_bytes(b"other")
    note = second.portrait_path.with_name("presenter.json")
    note.write_text(json.dumps(json.loads(note.read_text()) | {"coefficients": [0.0]}))
    assert code_of(lambda: folder.get(first.id)) == code_of(lambda: folder.get(second.id)) == "damaged"


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 61, "\x00"])
def test_a_name_must_be_a_name(name: str, tmp_path: Path) -> None:
    assert code_of(lambda: add(PresenterFolder(tmp_path), name)) == "bad_name"


def test_a_name_in_any_script_gives_an_id_that_is_a_plain_file_name(tmp_path: Path) -> None:
    folder = PresenterFolder(tmp_path)
    assert add(folder, "../李 Zoë/..").id.startswith("zoe-")
    assert add(folder, "李雷", b"2").id.startswith("presenter-")


def test_nobody_is_added_without_a_reason() -> None:
    assert code_of(lambda: Origin("me", " ")) == code_of(lambda: Origin("", "it is me")) == "bad_origin"


def test_a_folder_that_cannot_be_written_is_no_fault_of_the_photograph(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("where the folder ought to be")
    with pytest.raises(PresenterFolderError) as refusal:
        add(PresenterFolder(tmp_path / "file"))
    assert refusal.value.code == "unavailable"


def test_a_full_folder_takes_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presenter_folder, "MAX_PRESENTERS", 1)
    add(PresenterFolder(tmp_path))
    assert code_of(lambda: add(PresenterFolder(tmp_path), photograph=b"2")) == "full"


@pytest.mark.parametrize("strange", ["..", "../etc", "ada", ".ada-0123456789ab"])
def test_an_id_cannot_leave_the_folder(strange: str, tmp_path: Path) -> None:
    (tmp_path / "keep").mkdir()
    folder = PresenterFolder(tmp_path / "keep")
    assert code_of(lambda: folder.remove(strange)) == code_of(lambda: folder.get(strange)) == "not_found"


def test_what_may_not_be_read_is_nobody_and_an_odd_note_is_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = PresenterFolder(tmp_path)
    odd, closed = add(folder), add(folder, photograph=b"2")
    note = odd.portrait_path.with_name("presenter.json")
    note.write_text(json.dumps(json.loads(note.read_text()) | {"origin": {"added_by": None, "consent": "it is me"}}))
    assert code_of(lambda: folder.get(odd.id)) == "damaged"
    is_file = Path.is_file

    def refused(path: Path) -> bool:
        if closed.id in str(path):
            raise PermissionError(13, "closed", str(path))
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", refused)
    assert folder.ids() == [odd.id] and code_of(lambda: folder.get(closed.id)) == "not_found"


def test_a_folder_that_may_not_be_read_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path) -> None:
        raise PermissionError(13, "closed", str(path))

    monkeypatch.setattr(Path, "iterdir", refused)
    assert PresenterFolder(tmp_path).ids() == []
