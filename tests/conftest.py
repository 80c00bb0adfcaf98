"""What the browser tests of a file share: a server with drawn faces and one session, and a browser.

Neither outlives the file: a browser's event loop stays in the thread that opened it, where other tests run their own.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.operator_page import chromium, fake_show


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server's address."""
    with fake_show(tmp_path_factory.mktemp("show")) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened
