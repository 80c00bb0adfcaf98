"""Every operator hears everything, in order; one who does not listen loses the oldest."""

import json

import pytest

from realtime.errors import Unavailable
from realtime.events import Ack, Ended
from realtime.operators import MAX_OPERATORS, QUEUE_MESSAGES, Operators


def test_everybody_hears_the_same_until_the_end() -> None:
    operators = Operators()
    queues = [operators.join(Ended("first")) for _ in range(2)]
    operators.tell(Ack("a", 4, 160.0))
    operators.end()
    for queue in queues:
        texts = [queue.get_nowait() for _ in range(queue.qsize())]
        assert [text and json.loads(text)["type"] for text in texts] == ["ended", "ack", None]


def test_a_full_queue_loses_its_oldest() -> None:
    operators = Operators()
    queue = operators.join(Ended("first"))
    for i in range(QUEUE_MESSAGES + 5):
        operators.tell(Ack(str(i), i, 0.0))
    assert queue.qsize() == QUEUE_MESSAGES
    assert json.loads(queue.get_nowait() or "")["id"] == "5"


def test_operators_have_a_limit_and_leave() -> None:
    operators = Operators()
    queues = [operators.join(Ended("x")) for _ in range(MAX_OPERATORS)]
    with pytest.raises(Unavailable, match="operators already"):
        operators.join(Ended("x"))
    operators.leave(queues[0])
    operators.join(Ended("x"))
    assert len(operators) == MAX_OPERATORS
