"""Asks STUN and TURN servers whether they are there, as a browser will."""

import socket
import time
from dataclasses import dataclass
from urllib.parse import parse_qs

from aioice import stun

TIMEOUT_S = 2.0
SCHEMES = {"stun": 3478, "turn": 3478, "stuns": 5349, "turns": 5349}  # and their default ports


@dataclass(frozen=True)
class IceAddress:
    """What an ICE URL names (RFC 7064, RFC 7065)."""

    scheme: str
    host: str
    port: int
    is_tcp: bool

    @staticmethod
    def parse(url: str) -> "IceAddress":
        """Raises ValueError for what is no ICE URL."""
        scheme, _, rest = url.partition(":")
        if scheme not in SCHEMES or not rest or rest.startswith("//"):
            raise ValueError(f"{url!r} is no ICE server: write stun:HOST:PORT or turn:HOST:PORT?transport=udp")
        place, _, query = rest.partition("?")
        host, colon, port = place.rpartition(":") if not place.endswith("]") else (place, "", "")
        if not colon:
            host, port = place, str(SCHEMES[scheme])
        if not port.isdigit():
            raise ValueError(f"{url!r}: {port!r} is no port")
        is_tcp = scheme.endswith("s") or parse_qs(query).get("transport") == ["tcp"]
        return IceAddress(scheme, host.strip("[]"), int(port), is_tcp)


def answer_ms(address: IceAddress) -> float:
    """Milliseconds until the server answers a binding request, or a connection to it stands where it speaks TCP.

    Raises OSError, TimeoutError among them, when it does not.
    """
    started_s = time.perf_counter()
    if address.is_tcp:
        socket.create_connection((address.host, address.port), TIMEOUT_S).close()
        return (time.perf_counter() - started_s) * 1000
    family, kind, _, _, place = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)[0]
    request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    with socket.socket(family, kind) as probe:
        probe.settimeout(TIMEOUT_S)
        probe.connect(place)
        probe.send(bytes(request))
        try:
            answer = stun.parse_message(probe.recv(2048))
        except ValueError as error:
            raise OSError(f"it does not speak STUN ({error})") from error
    if answer.transaction_id != request.transaction_id:
        raise OSError("it answered another request")
    return (time.perf_counter() - started_s) * 1000
