"""A small WHIP server of the tests: takes what is published to it, as RFC 9725 has it."""

import asyncio

from aiohttp import web
from aiortc import RTCPeerConnection, RTCSessionDescription

from tests.taken import Taken


class WhipIngest:
    """Answers an offer at /whip/key with a connection at /ended/1; `/moved` redirects there, `/away` to another host."""

    def __init__(self, token: str):
        self.token, self.refusals = token, list[int]()  # statuses that come before a good answer
        self.in_pieces = False  # whether the answer comes bit by bit
        self.breaks_off = 0  # so many answers end in the middle
        self.connection: RTCPeerConnection | None = None
        self.taken, self.offers, self.deleted = Taken(), 0, 0
        self.offer = ""  # the last one

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/whip/key", self._publish)
        app.router.add_delete("/ended/1", self._delete)
        app.router.add_post("/moved", self._moved)
        app.router.add_post("/away", self._away)
        app.on_shutdown.append(lambda _: self.close())
        return app

    async def _moved(self, _: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "/whip/key"})

    async def _away(self, _: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "https://evil.example.org/whip"})

    async def _publish(self, request: web.Request) -> web.Response:
        self.offers += 1
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.Response(status=401)
        if self.refusals:
            return web.Response(status=self.refusals.pop(0))
        assert request.content_type == "application/sdp"
        offer = await request.text()
        assert offer.count("a=sendonly") == 2 and "a=recvonly" not in offer
        self.offer = offer
        self.connection = self.taken.connect()
        await self.connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        answer = self.connection.localDescription.sdp
        headers = {"Location": "/ended/1", "Content-Type": "application/sdp"}
        if self.breaks_off:
            self.breaks_off -= 1
            response = web.StreamResponse(status=201, headers={**headers, "Content-Length": str(len(answer))})
            await response.prepare(request)
            await response.write(answer[:100].encode())
            assert request.transport
            request.transport.abort()
            return response
        if not self.in_pieces:
            return web.Response(status=201, text=answer, headers=headers)
        response = web.StreamResponse(status=201, headers=headers)
        await response.prepare(request)
        for first in range(0, len(answer), 400):
            await response.write(answer[first : first + 400].encode())
            await asyncio.sleep(0.02)
        return response

    async def _delete(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer {self.token}"
        self.deleted += 1
        await self.hang_up()
        return web.Response()

    async def hang_up(self) -> None:
        if self.connection:
            await self.connection.close()

    async def close(self) -> None:
        await self.hang_up()
        self.taken.close()
