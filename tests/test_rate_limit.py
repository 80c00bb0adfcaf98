"""A sender may ask for a minute's worth at once, then waits; senders do not share, and few are remembered."""

import pytest

from realtime.web import rate_limit
from realtime.web.rate_limit import Pace, RateLimiter, client_address, network_of, read_network


def test_a_burst_is_allowed_and_then_waits_for_the_rate() -> None:
    limiter = RateLimiter(60)
    assert [limiter.take("a", 1, 0.0) for _ in range(60)] == [0] * 60
    assert limiter.take("a", 1, 0.0) == pytest.approx(1)
    assert limiter.take("a", 1, 0.5) == pytest.approx(0.5), "what is refused costs nothing"
    assert limiter.take("a", 1, 1.0) == 0
    assert limiter.take("b", 10, 1.0) == 0


def test_dear_requests_come_one_after_the_other_and_not_too_many_wait() -> None:
    pace = Pace(apart_s=0.5, longest_s=1.0)
    assert [pace.wait_s(10.0) for _ in range(4)] == [0.0, 0.5, 1.0, None]
    assert pace.wait_s(11.0) == 0.5, "whoever was not let in takes no turn"
    assert pace.wait_s(20.0) == 0.0


def test_what_costs_more_than_a_minute_is_allowed_once() -> None:
    limiter = RateLimiter(10)
    assert limiter.take("a", 50, 0.0) == 0
    assert limiter.take("a", 1, 0.0) > 0


def test_the_address_that_was_quiet_for_longest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "MAX_ADDRESSES", 2)
    limiter = RateLimiter(60)
    for address in ("a", "b", "a", "c"):
        limiter.take(address, 30, 0.0)
    assert list(limiter._buckets) == [("a", ""), ("c", "")]


def test_a_household_of_ipv6_is_one_sender() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff") != network_of("2001:db8:0:1::1")
    assert network_of("::ffff:192.0.2.1") == "192.0.2.1"


def sender(peer: str, forwarded_for: str | None, *proxies: str) -> str:
    return client_address(peer, forwarded_for, [read_network(proxy) for proxy in proxies])


def test_only_a_trusted_proxy_is_believed() -> None:
    assert sender("192.0.2.9", "203.0.113.1") == "192.0.2.9"
    assert sender("10.0.0.1", "6.6.6.6, 203.0.113.1", "10.0.0.1") == "203.0.113.1"
    assert sender("10.0.0.1", "203.0.113.1, 10.0.0.2", "10.0.0.1", "10.0.0.2") == "203.0.113.1"
    assert sender("10.0.0.1", None, "10.0.0.1") == "10.0.0.1"
    assert sender("10.0.0.1", "unknown, 10.0.0.2", "10.0.0.0/8") == "unknown"


def test_a_proxy_is_known_by_its_network_and_however_its_address_is_written() -> None:
    assert sender("10.9.8.7", "203.0.113.1", "10.0.0.0/8") == "203.0.113.1"
    assert sender("11.9.8.7", "203.0.113.1", "10.0.0.0/8") == "11.9.8.7"
    for peer, proxy in (
        ("::1", "0:0:0:0:0:0:0:1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("10.0.0.1", "::ffff:10.0.0.1"),
        ("10.0.0.1", "::ffff:10.0.0.0/104"),
        ("fe80::1%eth0", "fe80::/10"),
    ):
        assert sender(peer, "203.0.113.1", proxy) == "203.0.113.1", (peer, proxy)


@pytest.mark.parametrize("text", ["proxy.example.org", "10.0.0", "10.0.0.1/8", "10.0.0.0/33", "*", ""])
def test_what_is_neither_an_address_nor_a_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither an address nor a network .*: write as 192.0.2.1"):
        read_network(text)


def test_an_address_with_a_port_is_the_address() -> None:
    """As Azure's gateway and others write it."""
    proxies = (read_network("10.0.0.0/8"),)
    assert network_of("203.0.113.9:5678") == network_of("203.0.113.9")
    assert network_of("[2001:db8::1]:443") == network_of("2001:db8::1") == network_of("[2001:db8::1]")
    assert client_address("10.0.0.1", "203.0.113.9:5678, 10.0.0.2:80", proxies) == "203.0.113.9:5678"


def test_an_address_has_a_bucket_for_each_purpose() -> None:
    limiter = RateLimiter(10)
    assert limiter.take("a", 10, 0.0, "VIEWER") == 0
    assert limiter.take("a", 1, 0.0, "VIEWER") > 0
    assert limiter.take("a", 10, 0.0, "HOST") == 0
