"""Every operator hears everything, in order, and one who does not listen loses the oldest."""

import json

import pytest

from realtime.desk.operators import MAX_OPERATORS, Operators
from realtime.desk.outgoing import QUEUE_MESSAGES
from realtime.errors import Unavailable
from realtime.protocol.events import Ack, Ended


def test_everybody_hears_the_same_until_the_end() -> None:
    operators = Operators()
    present = [operators.join() for _ in range(2)]
    operators.tell(Ack("a", 4, 160.0))
    operators.tell(Ended("idle"))
    operators.end()
    for operator in present:
        texts = [operator.outgoing.get_nowait() for _ in range(operator.outgoing.qsize())]
        assert [text and json.loads(text)["type"] for text in texts] == ["ack", "ended", None]


def test_a_full_queue_loses_its_oldest() -> None:
    operators = Operators()
    operator = operators.join()
    for i in range(QUEUE_MESSAGES + 5):
        operators.tell(Ack(str(i), i, 0.0))
    assert operator.outgoing.qsize() == QUEUE_MESSAGES
    assert json.loads(operator.outgoing.get_nowait() or "")["id"] == "5"


def test_operators_have_names_a_limit_and_leave() -> None:
    operators = Operators()
    present = [operators.join(name) for name in ("Anna", *([""] * (MAX_OPERATORS - 1)))]
    assert [operator.name for operator in present][:2] == ["Anna", "Operator 2"]
    assert len({operator.id for operator in present}) == MAX_OPERATORS
    with pytest.raises(Unavailable, match="operators already"):
        operators.join()
    operators.leave(present[0])
    assert operators.join().id not in {operator.id for operator in present}
    assert len(operators) == MAX_OPERATORS
