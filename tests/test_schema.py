"""The schema file, the tables of the documents and the parser are one and the same protocol."""

import json
from pathlib import Path

import jsonschema
import pytest

from realtime.protocol import schema

EXAMPLES = json.loads((Path(__file__).parent / "messages.json").read_text())
SCHEMA = json.loads((schema.DOCUMENTS / "protocol.schema.json").read_text())
BEYOND_A_SCHEMA = ("not JSON", "finite", "needs one of", "exactly one of")  # JSON itself, and how fields go together


def allows(side: str, message: object) -> bool:
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{side}", **SCHEMA}).is_valid(message)


def test_the_written_files_are_what_the_classes_say() -> None:
    stale = [path.name for path, text in schema.files().items() if path.read_text() != text]
    assert not stale, "run python -m realtime.protocol.schema"


@pytest.mark.parametrize("side", ["client", "server", "speech_client", "speech_server"])
def test_the_schema_allows_every_example(side: str) -> None:
    assert [example for example in EXAMPLES[side] if not allows(side, example)] == []


def test_the_schema_refuses_what_the_server_refuses() -> None:
    refused = [e for e in EXAMPLES["refused"] if not any(words in e["says"] for words in BEYOND_A_SCHEMA)]
    assert len(refused) > 20
    assert [example for example in refused if allows("client", json.loads(example["text"]))] == []
