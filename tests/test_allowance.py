"""Nobody may send without end."""

from realtime.allowance import Allowance


def test_an_allowance_is_a_burst_and_then_so_many_a_second() -> None:
    allowance = Allowance(per_second=40, burst=10)
    taken = sum(allowance.take(100 + i / 1000) for i in range(1000))
    assert taken == 10 + 39
    assert [allowance.take(200) for _ in range(12)].count(True) == 10
