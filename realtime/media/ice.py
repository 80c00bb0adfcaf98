"""How clients and this server find a way to each other: STUN and TURN servers with their credentials, and the UDP ports used."""

import asyncio
import base64
import errno
import hashlib
import hmac
import ipaddress
import re
import time
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

CREDENTIAL_S = 24 * 3600  # how long a TURN credential that is made of `secret` is good for
HOST = r"[^\s:?;,<>\"/]+(:\d{1,5})?"
URL = re.compile(rf"stuns?:{HOST}|turns?:{HOST}(\?transport=(udp|tcp))?")
PORTS = re.compile(r"(\d{1,5})-(\d{1,5})")
LEAST_PORT = 1024
QUOTED, ESCAPED = re.compile(r'["\\]'), r"\\\g<0>"  # within the quotes of a header (RFC 9110, 5.6.4)
HOST_CANDIDATE = re.compile(r"(?m)^a=candidate:\S+ (\d+) udp \d+ (\S+) (\d+) typ host[^\r\n]*(\r?\n)")
REFLEXIVE_PRIORITY = 1_694_498_815  # of an address that a NAT puts in the place of the host's (RFC 8445, 5.1.2)


@dataclass(frozen=True)
class IceServer:
    """One STUN or TURN server as `RTCIceServer` of the browsers' API has it."""

    urls: str
    username: str | None = None
    credential: str | None = field(default=None, repr=False)

    def json(self) -> dict[str, str]:
        return {"urls": self.urls} | self._login()

    def link(self) -> str:
        """A value of the `Link` header (RFC 9725, 4.6)."""
        login = self._login()
        login |= {"credential-type": "password"} if login else {}
        return "; ".join(
            [
                f"<{self.urls}>",
                'rel="ice-server"',
                *(f'{name}="{QUOTED.sub(ESCAPED, value)}"' for name, value in login.items()),
            ]
        )

    def _login(self) -> dict[str, str]:
        if self.username is None or self.credential is None:
            return {}
        return {"username": self.username, "credential": self.credential}


@dataclass(frozen=True)
class IceSettings:
    """`secret` is what the TURN server signs logins with (coturn's static-auth-secret); without it `username` and `password`
    are given out as they are. `announce` is the address by which others reach this machine, where it has another itself."""

    urls: tuple[str, ...] = ()
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    secret: str | None = field(default=None, repr=False)
    announce: str | None = None

    def servers(self, now_s: float | None = None) -> list[IceServer]:
        """Every server, those of TURN with a login that is good at the Unix second `now_s` (now, if None)."""
        username, password = self._login(time.time() if now_s is None else now_s)
        return [IceServer(url) if url.startswith("stun") else IceServer(url, username, password) for url in self.urls]

    def _login(self, now_s: float) -> tuple[str | None, str | None]:
        """coturn's scheme (draft-uberti-behave-turn-rest): the name is when it expires, the password signs the name."""
        if self.secret is None:
            return self.username, self.password
        username = f"{int(now_s) + CREDENTIAL_S}:flap"
        signature = hmac.new(self.secret.encode(), username.encode(), hashlib.sha1).digest()
        return username, base64.b64encode(signature).decode()


def announced(sdp: str, address: str | None) -> str:
    """SDP whose private addresses are also there as `address`, with the same ports: a NAT passes those on as they are."""
    if address is None:
        return sdp
    public = ipaddress.ip_address(address)

    def also(line: re.Match[str]) -> str:
        component, host, port, end = line.groups()
        own = ipaddress.ip_address(host)
        if own.version != public.version or not own.is_private:
            return line[0]
        known = f"{public} {port} typ srflx raddr {host} rport {port}"
        return f"{line[0]}a=candidate:announced 1 udp {REFLEXIVE_PRIORITY} {known}{end}".replace(
            "announced 1", f"announced {component}"
        )

    return HOST_CANDIDATE.sub(also, sdp)


def check_url(url: str) -> None:
    """Raises ValueError with a sentence."""
    if not URL.fullmatch(url):
        raise ValueError(
            f"{url!r} is no STUN or TURN URL: write stun:HOST:PORT, turn:HOST:PORT?transport=udp or turns:HOST:PORT"
        )


def read_ports(text: str) -> range:
    """`"50000-50099"` as a range. Raises ValueError with a sentence."""
    match = PORTS.fullmatch(text.strip())
    first, last = (int(match[1]), int(match[2])) if match else (0, 0)
    if not LEAST_PORT <= first <= last <= 65_535:
        raise ValueError(
            f"{text!r} is no range of ports: write FIRST-LAST within {LEAST_PORT} and 65535, as 50000-50099"
        )
    return range(first, last + 1)


def confine_udp(loop: asyncio.AbstractEventLoop, ports: range) -> None:
    """From now on UDP sockets of `loop` that ask for any port get one of `ports`, in turn; OSError when none is free.

    aioice has no setting for it, and asks the loop for all its sockets.
    """
    create, turn = loop.create_datagram_endpoint, cycle(ports)

    async def create_within(factory: Any, local_addr: Any = None, **rest: Any) -> Any:
        if not local_addr or local_addr[1] != 0:
            return await create(factory, local_addr=local_addr, **rest)
        for port in islice(turn, len(ports)):
            try:
                return await create(factory, local_addr=(local_addr[0], port), **rest)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
        raise OSError(errno.EADDRINUSE, f"no UDP port from {ports[0]} to {ports[-1]} is free")

    loop.create_datagram_endpoint = create_within  # type: ignore[method-assign, assignment]


def link_headers(servers: list[IceServer]) -> dict[str, str]:
    """The `Link` header for a 201 of WHIP or WHEP; none without servers."""
    return {"Link": ", ".join(server.link() for server in servers)} if servers else {}
