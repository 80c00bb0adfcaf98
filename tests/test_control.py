"""What the server cannot do it says, and never acknowledges."""

import json
from pathlib import Path

import pytest

from realtime.commands import OBEYED
from realtime.control import not_supported
from realtime.messages import Ping, SpeechStop, parse_client

EXAMPLES = json.loads((Path(__file__).parent / "messages.json").read_text())["client"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e["id"])
def test_every_message_is_either_done_or_named_as_not_supported(example: dict) -> None:
    message = parse_client(json.dumps(example))
    missing = not_supported(message)
    assert isinstance(message, OBEYED | SpeechStop | Ping) or missing == message.type


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"type": "pose.set", "zoom": 1.2}, "zoom"),
        ({"type": "expression.set", "name": "sad", "keep": {"lips": 0}}, "keep"),
        ({"type": "gesture.play", "name": "nod", "when": "queue"}, "queue"),
    ],
)
def test_a_field_that_would_be_left_out_is_refused(fields: dict, named: str) -> None:
    assert named in (not_supported(parse_client(json.dumps({"id": "x", **fields}))) or "")
