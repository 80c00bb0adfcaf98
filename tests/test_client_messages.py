"""The page speaks the same messages as the server: both read tests/messages.json."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from realtime.protocol import messages
from tests.browser_probe import ROOT, chromium_page, needs_chromium

pytestmark = needs_chromium
EXAMPLES = json.loads((ROOT / "tests" / "messages.json").read_text())


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    source = (ROOT / "client_web" / "messages.js").read_text()
    with chromium_page(None) as blank:
        blank.add_script_tag(content=re.sub(r"^export ", "", source, flags=re.MULTILINE))
        yield blank


def test_both_sides_know_the_same_types(page: Any) -> None:
    assert set(page.evaluate("CLIENT_TYPES")) == set(messages.CLIENT_TYPES)
    assert set(page.evaluate("SERVER_TYPES")) == set(messages.SERVER_TYPES)


def test_what_the_page_encodes_the_server_parses(page: Any) -> None:
    for example in EXAMPLES["client"]:
        fields = {name: value for name, value in example.items() if name not in ("type", "id")}
        text = page.evaluate("([type, fields]) => encode(command(type, fields))", [example["type"], fields])
        parsed = json.loads(messages.encode(messages.parse_client(text)))
        assert {**parsed, "id": example["id"]} == example


def test_what_the_server_encodes_the_page_parses(page: Any) -> None:
    for example in EXAMPLES["server"]:
        text = messages.encode(messages.parse_server(json.dumps(example)))
        assert page.evaluate("(text) => parse(text)", text) == example


def test_the_page_refuses_types_that_it_does_not_know(page: Any) -> None:
    with pytest.raises(Exception, match="unknown message"):
        page.evaluate('parse(\'{"type": "dance"}\')')
