"""How much each address may ask for: a bucket of tokens that fills as time goes."""

import ipaddress
import re
from collections import OrderedDict
from collections.abc import Iterable

MAX_ADDRESSES = 10_000  # the one that was quiet for longest is forgotten
MAPPED_BITS = 96  # of an IPv6 address, before the IPv4 one that it stands for
WITH_PORT = re.compile(r"([0-9.]+):[0-9]+|\[([^]]+)\](?::[0-9]+)?")  # as some proxies write addresses
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class RateLimiter:
    """A minute's worth may come at once; after that as much as the rate allows."""

    def __init__(self, per_minute: float):
        self._per_second, self._most = per_minute / 60, per_minute
        self._buckets: OrderedDict[tuple[str, str], tuple[float, float]] = (
            OrderedDict()
        )  # address and `of` -> tokens left, at which second

    def take(self, address: str, cost: float, now_s: float, of: str = "") -> float:
        """0 when it may, else in how many seconds it may be tried again; then nothing is taken.

        An address has a bucket for each `of`.
        """
        key = (network_of(address), of)
        left, then_s = self._buckets.pop(key, (self._most, now_s))
        left = min(self._most, left + (now_s - then_s) * self._per_second)
        cost = min(cost, self._most)
        wait_s = max(0.0, (cost - left) / self._per_second)
        self._buckets[key] = left if wait_s else left - cost, now_s
        while len(self._buckets) > MAX_ADDRESSES:
            self._buckets.popitem(last=False)
        return wait_s


class Pace:
    """Lets dear requests in one after the other, whoever sends them, so that a crowd or a flood leaves time for pictures.

    Bound: whoever would wait for more than `longest_s` is not let in.
    """

    def __init__(self, apart_s: float = 0.05, longest_s: float = 4.0):
        self._apart_s, self._longest_s, self._next_s = apart_s, longest_s, 0.0

    def wait_s(self, now_s: float) -> float | None:
        """Until this one's turn; None when too many wait."""
        turn_s = max(self._next_s, now_s)
        if turn_s - now_s > self._longest_s:
            return None
        self._next_s = turn_s + self._apart_s
        return turn_s - now_s


def network_of(address: str) -> str:
    """What counts as one sender: an IPv4 address, or the /64 that one household of IPv6 has."""
    parsed = _address(address)
    if parsed is None:
        return address
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


def read_network(text: str) -> Network:
    """An address or a network as `10.0.0.0/8`. Raises ValueError for what is neither."""
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(
            f"{text!r} is neither an address nor a network ({error}): write as 192.0.2.1, 10.0.0.0/8 or fd00::/8"
        ) from error
    mapped = network.network_address.ipv4_mapped if network.version == 6 else None
    if mapped and network.prefixlen >= MAPPED_BITS:
        return ipaddress.IPv4Network((mapped, network.prefixlen - MAPPED_BITS))
    return network


def client_address(peer: str, forwarded_for: str | None, proxies: Iterable[Network]) -> str:
    """Who sent a request: what a trusted proxy says (the last address that is no proxy's), else who has connected."""
    hops = [hop.strip() for hop in (forwarded_for or "").split(",") if hop.strip()]
    sender = peer
    while hops and _lies_in(sender, proxies):
        sender = hops.pop()
    return sender


def _lies_in(address: str, networks: Iterable[Network]) -> bool:
    parsed = _address(address)
    return parsed is not None and any(parsed in network for network in networks)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address without its zone and its port, an IPv4 one where it stands for one; None for what is none."""
    with_port = WITH_PORT.fullmatch(text)
    try:
        parsed = ipaddress.ip_address((with_port[1] or with_port[2] if with_port else text).partition("%")[0])
    except ValueError:
        return None
    return (parsed.ipv4_mapped or parsed) if parsed.version == 6 else parsed
