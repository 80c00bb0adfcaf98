"""Every message of the control channel survives the wire, and nothing else passes the door."""

import json
from pathlib import Path

import pytest

from realtime.errors import BadCommand
from realtime.protocol import messages

EXAMPLES = json.loads((Path(__file__).parent / "messages.json").read_text())


@pytest.mark.parametrize("example", EXAMPLES["client"], ids=lambda e: e["id"])
def test_client_messages_round_trip(example: dict) -> None:
    assert json.loads(messages.encode(messages.parse_client(json.dumps(example)))) == example


@pytest.mark.parametrize("example", EXAMPLES["server"], ids=lambda e: e["type"])
def test_server_messages_round_trip(example: dict) -> None:
    assert json.loads(messages.encode(messages.parse_server(json.dumps(example)))) == example


def test_every_kind_of_message_has_an_example() -> None:
    assert {e["type"] for e in EXAMPLES["client"]} == set(messages.CLIENT_TYPES)
    assert {e["type"] for e in EXAMPLES["server"]} == set(messages.SERVER_TYPES)


@pytest.mark.parametrize("example", EXAMPLES["refused"], ids=lambda e: e["says"])
def test_bad_messages_are_refused_with_a_sentence(example: dict) -> None:
    with pytest.raises(BadCommand, match=example["says"]) as refused:
        messages.parse_client(example["text"])
    if '"id": "x"' in example["text"] and "not JSON" not in example["says"]:
        assert refused.value.command_id == "x"


def test_half_a_character_is_refused_wherever_it_stands_and_a_whole_one_is_not() -> None:
    """OpenCV would die of it in the middle of the show, and no log can hold it."""
    for text in (
        r'{"type": "overlay.set", "id": "x", "text": "hello \ud83d"}', r'{"type": "mute", "id": "\uDC00", "on": true}',
        r'{"type": "expression.set", "id": "x", "shapes": {"jaw\ud800": 1}}',
    ):  # fmt: skip
        with pytest.raises(BadCommand, match="half a character"):
            messages.parse_client(text)
    whole = messages.parse_client(r'{"type": "overlay.set", "id": "x", "text": "hello \ud83d\ude00"}')
    assert whole.text == "hello \U0001f600"


def test_coefficients_that_no_face_has_are_refused() -> None:
    face = [0.0] * 120
    face[3:15] = [1e39, 0, 0, 0, 1e39, 0] * 2  # too large for float32
    with pytest.raises(BadCommand, match="within"):
        messages.parse_client(json.dumps({"type": "expression.set", "id": "x", "coefficients": face}))
