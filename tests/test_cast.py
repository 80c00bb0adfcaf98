"""The cast follows the folder while the server runs."""

from pathlib import Path

import pytest

from flap.presenter_folder import PresenterFolder
from realtime.cast import Cast
from tests.fakes import fake_presenters
from tests.test_presenter_folder import add


def test_who_is_added_is_offered_at_once_and_gone_when_removed(tmp_path: Path) -> None:
    folder = PresenterFolder(tmp_path / "added")
    cast = Cast(fake_presenters(tmp_path), folder)
    assert list(cast) == ["ada", "bob"]
    added = add(folder)
    assert list(cast) == ["ada", "bob", added.id] and len(cast) == 3
    assert cast[added.id].portrait_path == added.portrait_path and cast["bob"].name == "Bob"
    folder.remove(added.id)
    assert list(cast) == ["ada", "bob"]
    with pytest.raises(KeyError):
        cast[added.id]


def test_a_damaged_presenter_is_left_out_and_the_others_stay(tmp_path: Path) -> None:
    folder = PresenterFolder(tmp_path / "added")
    damaged, sound = add(folder), add(folder, photograph=b"two")
    damaged.portrait_path.unlink()
    assert list(Cast({}, folder)) == [sound.id]


def test_one_who_was_damaged_and_is_added_again_is_offered(tmp_path: Path) -> None:
    folder = PresenterFolder(tmp_path / "added")
    cast = Cast({}, folder)
    damaged = add(folder)
    damaged.portrait_path.unlink()
    assert list(cast) == []
    folder.remove(damaged.id)
    assert list(cast) == []
    assert list(cast) == [] and add(folder).id == damaged.id
    assert list(cast) == [damaged.id]


def test_everybody_is_read_with_one_look_into_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = PresenterFolder(tmp_path / "added")
    added = [add(folder, photograph=bytes([number])).id for number in range(5)]
    cast, looks, ids = Cast({}, folder), [], folder.ids
    monkeypatch.setattr(folder, "ids", lambda: looks.append(1) or ids())
    assert [presenter.id for presenter in cast.values()] == added and len(looks) == 1
