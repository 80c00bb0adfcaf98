"""Everybody who can be animated: the bundle's presenters, then those whom users added while the server runs."""

import logging
from collections.abc import Iterator, Mapping

from engines.bundle import Presenter
from flap.presenter_folder import PresenterFolder, PresenterFolderError

logger = logging.getLogger(__name__)


class Cast(Mapping[str, Presenter]):
    """Looks into the folder every time, so that whoever is added or removed by any program is at once here or gone."""

    def __init__(self, bundled: Mapping[str, Presenter], folder: PresenterFolder):
        self.bundled, self.folder = bundled, folder
        self._read: dict[str, Presenter | None] = {}  # an id never means two faces; None: damaged

    def __getitem__(self, presenter_id: str) -> Presenter:
        if presenter_id in self.bundled:
            return self.bundled[presenter_id]
        if not self.folder.has(presenter_id):
            self._read.pop(presenter_id, None)
            raise KeyError(presenter_id)
        if presenter_id not in self._read:
            self._read[presenter_id] = self._load(presenter_id)
        presenter = self._read[presenter_id]
        if presenter is None:
            raise KeyError(presenter_id)
        return presenter

    def __iter__(self) -> Iterator[str]:
        return iter([*self.bundled, *self._added()])

    def __len__(self) -> int:
        return len(self.bundled) + len(self._added())

    def _added(self) -> list[str]:
        ids = self.folder.ids()
        # what is gone is forgotten: it may have been read while it was being removed, and be added again
        self._read = {name: self._read[name] if name in self._read else self._load(name) for name in ids}
        return [presenter_id for presenter_id in ids if self._read[presenter_id] is not None]

    def _load(self, presenter_id: str) -> Presenter | None:
        try:
            added = self.folder.get(presenter_id)
        except PresenterFolderError as error:
            logger.warning("presenter %s is not offered: %s", presenter_id, error)
            return None
        return Presenter(added.id, added.name, added.portrait_path, added.coefficients)
