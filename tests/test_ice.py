"""STUN and TURN settings, logins that a TURN server checks by itself, and a small range of UDP ports."""

import asyncio
import base64
import hashlib
import hmac

import pytest

from realtime.media.ice import IceServer, IceSettings, announced, check_url, confine_udp, read_ports

TURN = "turn:turn.example.org:3478?transport=udp"


def test_stun_needs_no_login_and_turn_gets_the_one_that_is_set() -> None:
    servers = IceSettings(("stun:stun.example.org", TURN), "flap", "pass").servers()
    assert servers == [IceServer("stun:stun.example.org"), IceServer(TURN, "flap", "pass")]
    assert servers[0].json() == {"urls": "stun:stun.example.org"}
    assert servers[0].link() == '<stun:stun.example.org>; rel="ice-server"'


def test_a_secret_makes_logins_that_last_a_day_and_that_coturn_can_check() -> None:
    (server,) = IceSettings((TURN,), secret="north").servers(now_s=1000.9)
    assert server.username == "87400:flap"
    expected = hmac.digest(b"north", b"87400:flap", hashlib.sha1)
    assert base64.b64decode(server.credential or "") == expected
    assert "north" not in repr(IceSettings((TURN,), secret="north"))


@pytest.mark.parametrize("url", ["turn:a.example.org", "turns:a:5349?transport=tcp", "stun:192.0.2.1:3478", TURN])
def test_urls_that_browsers_take_are_taken(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "turn.example.org",
        "http://a",
        "stun:a b",
        "turn:a?transport=sctp",
        'turn:a">; x="',
        "stun:a:3478?transport=udp",
        "stun://a",
    ],
)
def test_other_urls_are_refused_with_advice(url: str) -> None:
    with pytest.raises(ValueError, match="write stun:HOST:PORT"):
        check_url(url)


def test_ports_are_a_range() -> None:
    assert read_ports("50000-50002") == range(50_000, 50_003)
    for wrong in ("50000", "2-1", "80-90", "60000-70000", "a-b"):
        with pytest.raises(ValueError, match="FIRST-LAST"):
            read_ports(wrong)


def test_sockets_get_the_ports_of_the_range_and_no_others() -> None:
    """A port that is taken is passed over, one that was given back is used again, and what asks for its own port gets it."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        open_ports = [await loop.create_datagram_endpoint(asyncio.DatagramProtocol, ("127.0.0.1", 0)) for _ in range(3)]
        first = min(transport.get_extra_info("sockname")[1] for transport, _ in open_ports)
        for transport, _ in open_ports:
            transport.close()
        await asyncio.sleep(0)
        ports = range(first, first + 3)
        confine_udp(loop, ports)

        async def take() -> asyncio.DatagramTransport:
            return (await loop.create_datagram_endpoint(asyncio.DatagramProtocol, ("127.0.0.1", 0)))[0]

        taken = []
        with pytest.raises(OSError, match="no UDP port"):
            for _ in range(4):
                taken.append(await take())
        assert taken
        assert {transport.get_extra_info("sockname")[1] for transport in taken} <= set(ports)
        taken[0].close()
        await asyncio.sleep(0)
        again = await take()
        assert again.get_extra_info("sockname")[1] in ports
        for transport in (*taken, again):
            transport.close()

    asyncio.run(run())


def test_a_private_address_is_announced_with_the_public_one_beside_it() -> None:
    sdp = "".join(
        f"a=candidate:{line}\r\n"
        for line in (
            "1 1 udp 2130706431 10.0.0.5 50000 typ host",
            "2 1 udp 2130706431 8.8.8.8 50001 typ host",
            "3 1 udp 2130706431 fd00::5 50002 typ host",
            "4 1 udp 1694498815 203.0.113.1 50003 typ srflx raddr 10.0.0.5 rport 50000",
        )
    )
    assert announced(sdp, None) == sdp
    added = [line for line in announced(sdp, "203.0.113.9").splitlines() if line not in sdp]
    assert added == [
        "a=candidate:announced 1 udp 1694498815 203.0.113.9 50000 typ srflx raddr 10.0.0.5 rport 50000",
    ]
    assert announced(sdp, "203.0.113.9").endswith("\r\n")
    assert "2001:db8::9 50002 typ srflx raddr fd00::5" in announced(sdp, "2001:db8::9")


def test_a_password_with_quotes_stays_one_value_of_the_link() -> None:
    link = IceServer(TURN, "flap", 'a"b\\c').link()
    assert r'credential="a\"b\\c"' in link
