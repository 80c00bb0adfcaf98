"""Where a session may be published to, and how a lost connection is made again."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import SplitResult, urlsplit

from realtime.errors import BadRequest, Forbidden
from realtime.outputs.outputs import OutputError, Report

ANYWHERE = "*"
RETRIES_S = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # the last goes on for ever
MOST_URL = 2000  # characters
PROVEN_S = 30.0  # servers that refuse a wrong key take the connection first


class ConnectionLost(OutputError):
    """Worth another try."""


def check_destination(url: str, schemes: tuple[str, ...], hosts: Iterable[str]) -> SplitResult:
    """The parts of `url`. Raises BadRequest for what is no address of `schemes`, Forbidden for a host that is not in `hosts`.

    The server connects to where operators say, so whoever starts it names the hosts (`publish_to`).
    """
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  raises ValueError
    except ValueError as error:
        raise BadRequest(f"url cannot be read: {error}") from error
    if parts.scheme not in schemes or not parts.hostname or len(url) > MOST_URL or not url.isprintable():
        raise BadRequest(f"url must be like {schemes[-1]}://HOST/..., at most {MOST_URL} characters")
    if not any(_covers(allowed.lower(), parts.hostname.lower()) for allowed in hosts):
        raise Forbidden(
            f"this server does not publish to {parts.hostname}: start it with --publish-to {parts.hostname}"
        )
    return parts


def _covers(allowed: str, host: str) -> bool:
    """`*.example.com` is every name below example.com: platforms hand out another one for each show."""
    return allowed in (ANYWHERE, host) or (allowed.startswith("*.") and host.endswith(allowed[1:]))


def masked(parts: SplitResult) -> str:
    """An address without what is behind its host: that is where stream keys are."""
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}/..."


async def keep_connected(
    once: Callable[[], Awaitable[None]],
    report: Report,
    retries_s: tuple[float, ...] = RETRIES_S,
    proven_s: float = PROVEN_S,
) -> None:
    """Runs `once` until it returns, and again when it loses its connection, after longer and longer waits.

    After a connection that held for `proven_s` the waits begin anew. Raises what is not worth another try.
    """
    failures, clock = 0, asyncio.get_running_loop().time
    while True:
        begun_s = clock()
        try:
            return await once()
        except ConnectionLost as error:
            failures = 0 if report.state == "live" and clock() - begun_s > proven_s else failures
            report.state, report.detail = "reconnecting", str(error)
        await asyncio.sleep(retries_s[min(failures, len(retries_s) - 1)])
        failures += 1
