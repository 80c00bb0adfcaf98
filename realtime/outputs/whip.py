"""The avatar to another server by WHIP (RFC 9725): an SFU with more viewers than one machine feeds, or a platform."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import SplitResult, urljoin, urlsplit

import aiohttp

from realtime.errors import BadRequest, FlapError
from realtime.media.hub import Hubs
from realtime.media.ice import IceSettings, announced
from realtime.media.offer import MAX_SDP_BYTES
from realtime.media.peer import CONNECT_S, OfferingPeer
from realtime.outputs.destination import ConnectionLost, check_destination, keep_connected, masked
from realtime.outputs.outputs import OutputError, Report

SCHEMES = ("https", "http")
NO_HELP = IceSettings()
REDIRECTS = (307, 308)
MOST_REDIRECTS = 3
PASSING = (408, 425, 429)  # refusals that may not last, beside 5xx
LOOK_EVERY_S = 0.5
LEAVING_S = 3.0  # for the goodbye


class WhipOutput:
    """Publishes until it is stopped, and connects again whenever the connection is lost."""

    kind = "whip"

    def __init__(self, url: str, token: str | None, hosts: Iterable[str], ice: IceSettings = NO_HELP):
        """`token` is sent as a bearer. Raises BadRequest or Forbidden, see `check_destination`."""
        self._hosts, self._ice = tuple(hosts), ice
        self.label = masked(_check(url, self._hosts))
        if token is not None and not (token.isascii() and token.isprintable()):
            raise BadRequest("token must be printable ASCII")
        self._url, self._headers = url, {"Authorization": f"Bearer {token}"} if token else {}

    async def run(self, hubs: Hubs, report: Report) -> None:
        await keep_connected(lambda: self._publish(hubs, report), report)

    async def _publish(self, hubs: Hubs, report: Report) -> None:
        """Until it is cancelled. Raises ConnectionLost, and OutputError for a refusal that will last."""
        peer, sent_before = OfferingPeer(self._ice.servers(), hubs), report.frames
        resource: str | None = None
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CONNECT_S)) as http:
            try:
                answer, resource = await self._ask(http, announced(await peer.offer(), self._ice.announce))
                await peer.accept(answer)
                over = asyncio.create_task(peer.ended(), name="whip")
                patience_s = asyncio.get_running_loop().time() + CONNECT_S
                while not (await asyncio.wait([over], timeout=LOOK_EVERY_S))[0]:
                    if peer.is_connected:
                        report.live()
                        report.frames = sent_before + peer.frames
                    elif report.state != "live" and asyncio.get_running_loop().time() > patience_s:
                        raise ConnectionLost(f"no connection within {CONNECT_S:g} s")
                raise ConnectionLost("the connection was lost")
            except BadRequest as error:
                raise OutputError(str(error)) from error
            except (aiohttp.ClientError, TimeoutError) as error:  # their words may have the address
                raise ConnectionLost(f"no answer: {type(error).__name__}") from error
            finally:
                await peer.close()
                if resource:
                    await self._leave(http, resource)

    async def _ask(self, http: aiohttp.ClientSession, offer: str) -> tuple[str, str | None]:
        """The answer, and the address that ends the connection."""
        url, headers = self._url, {"Content-Type": "application/sdp", **self._headers}
        for _ in range(1 + MOST_REDIRECTS):
            async with http.post(url, data=offer, headers=headers, allow_redirects=False) as response:
                location = response.headers.get("Location")
                if response.status in REDIRECTS and location:
                    url = self._elsewhere(url, location)
                    continue
                if response.status != 201:
                    kind = ConnectionLost if response.status in PASSING or response.status >= 500 else OutputError
                    raise kind(f"the server answered {response.status} {response.reason or ''}".strip())
                resource = self._resource(url, location)
                try:
                    return await _text(response), resource
                except BaseException:  # it is made, whatever becomes of its answer
                    if resource:
                        await self._leave(http, resource)
                    raise
        raise OutputError(f"the server redirects more than {MOST_REDIRECTS} times")

    def _elsewhere(self, url: str, location: str) -> str:
        """An address that the server names, which would get the token. Raises OutputError for one that is not allowed."""
        try:
            found = urljoin(url, location)
            parts = _check(found, self._hosts)
        except (FlapError, ValueError) as error:
            raise OutputError(f"the server sends us elsewhere: {error}") from error
        if urlsplit(url).scheme == "https" != parts.scheme:
            raise OutputError("the server sends us from HTTPS to HTTP, where the token would be seen")
        return found

    def _resource(self, url: str, location: str | None) -> str | None:
        """What ends the connection; None where the server names nothing that we may speak to."""
        with suppress(OutputError):
            return self._elsewhere(url, location) if location else None
        return None

    async def _leave(self, http: aiohttp.ClientSession, resource: str) -> None:
        patience = aiohttp.ClientTimeout(total=LEAVING_S)
        with suppress(aiohttp.ClientError, TimeoutError):
            async with http.delete(resource, headers=self._headers, allow_redirects=False, timeout=patience):
                pass


def _check(url: str, hosts: Iterable[str]) -> SplitResult:
    """Raises BadRequest or Forbidden."""
    parts = check_destination(url, SCHEMES, hosts)
    if parts.username is not None or parts.password is not None:
        raise BadRequest("url must not hold a login: send a token")
    return parts


async def _text(response: aiohttp.ClientResponse) -> str:
    """The body. Raises OutputError for one that is no SDP by its length."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MAX_SDP_BYTES:
            raise OutputError(f"the answer is longer than {MAX_SDP_BYTES} bytes")
    return body.decode(errors="replace")
