"""Sessions are published where the server's owner allows it, and lost connections are made again."""

import asyncio

import pytest

from realtime.errors import BadRequest, Forbidden
from realtime.outputs.destination import ConnectionLost, check_destination, keep_connected, masked
from realtime.outputs.outputs import OutputError, Report

SCHEMES = ("rtmps", "rtmp")


def test_a_host_must_have_been_named_and_a_star_names_all() -> None:
    for hosts in (("live.example.com",), ("other.org", "LIVE.example.com"), ("*",)):
        assert check_destination("rtmp://Live.example.com/app/key", SCHEMES, hosts).hostname == "live.example.com"
    for hosts in ((), ("example.com",), ("live.example.com.evil.org",)):
        with pytest.raises(Forbidden, match="start it with --publish-to live.example.com"):
            check_destination("rtmp://live.example.com/app/key", SCHEMES, hosts)


def test_every_name_below_a_domain_may_be_allowed_and_nothing_beside_it() -> None:
    for host in ("eu1.live.example.com", "example.com.live.example.com"):
        assert check_destination(f"rtmp://{host}/app/key", SCHEMES, ("*.Live.example.com",)).hostname == host
    for host in ("live.example.com", "evillive.example.com", "live.example.com.evil.org"):
        with pytest.raises(Forbidden, match="does not publish to"):
            check_destination(f"rtmp://{host}/app/key", SCHEMES, ("*.live.example.com",))


@pytest.mark.parametrize(
    "url",
    ["", "live.example.com/app", "file:///etc/passwd", "http://live.example.com/app", "rtmp:///app", "rtmp://a:99999/x",
     "rtmp://[::1/app", "rtmp://host/app\nkey", "rtmp://host/" + "k" * 2000],
)  # fmt: skip
def test_what_is_no_address_of_the_kind_is_refused(url: str) -> None:
    with pytest.raises(BadRequest, match=r"^url "):
        check_destination(url, SCHEMES, ("*",))


def test_an_address_is_shown_without_its_key() -> None:
    parts = check_destination("rtmp://user:pass@live.example.com:1936/app/sk_us_123?token=abc", SCHEMES, ("*",))
    assert masked(parts) == "rtmp://live.example.com:1936/..."


@pytest.mark.parametrize(("proven_s", "long"), [(0.0, [False, True, False, True]), (30.0, [False, True, True, True])])
def test_a_lost_connection_is_made_again_after_longer_and_longer_waits(proven_s: float, long: list[bool]) -> None:
    """They begin anew after a connection that has held, not after one that was only taken."""
    report, moments = Report(), list[float]()

    async def once() -> None:
        moments.append(asyncio.get_running_loop().time())
        if len(moments) == 3:
            report.live()
        if len(moments) == 5:
            return
        raise ConnectionLost(f"attempt {len(moments)}")

    asyncio.run(keep_connected(once, report, (0.02, 0.15, 0.3), proven_s))
    waits = [b - a for a, b in zip(moments, moments[1:], strict=False)]
    assert [wait > 0.1 for wait in waits] == long, waits
    assert (report.state, report.detail) == ("reconnecting", "attempt 4")


def test_what_will_not_change_is_not_tried_again() -> None:
    async def once() -> None:
        raise OutputError("the server answered 401 Unauthorized")

    with pytest.raises(OutputError, match="401"):
        asyncio.run(keep_connected(once, Report()))
