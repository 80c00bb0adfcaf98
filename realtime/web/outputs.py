"""The avatar for media players and OBS (`/watch.mjpeg`, `/watch.ts`), and outputs that a session is told to make."""

import logging
from contextlib import closing, suppress
from typing import Any

from aiohttp import web

from flap.config import FRAME_RATE_HZ
from realtime.config import ServerConfig
from realtime.errors import BadRequest, FlapError, NotFound
from realtime.media.encoder import VIDEO_CLOCK_HZ
from realtime.outputs.camera import DEFAULT_SIZE, CameraOutput
from realtime.outputs.device_thread import DeviceThread
from realtime.outputs.muxer import Muxer
from realtime.outputs.outputs import Output
from realtime.outputs.rtmp import RtmpOutput
from realtime.outputs.whip import WhipOutput
from realtime.server import SERVER
from realtime.session import Session
from realtime.web.access import Role
from realtime.web.guard import DEAR, begin_dear, grants_of, needs
from realtime.web.requests import json_object, text_field, write_out
from realtime.web.sessions import session_of, standing

BOUNDARY = "frame"
NEVER_STORE = {"Cache-Control": "no-store"}
logger = logging.getLogger(__name__)


def _watched(request: web.Request) -> Session:
    """The session that the query names, or the newest. Raises NotFound."""
    server, wanted = request.app[SERVER], request.query.get("session")
    grants_of(request).check_session(wanted)
    if wanted:
        return server.session(wanted)
    if not server.sessions:
        raise NotFound("the show has not begun: try again later")
    return list(server.sessions.values())[-1]


async def _begin_to_watch(request: web.Request) -> Session:
    """Media players ask every second for a show that has not begun: that is as cheap as looking at something."""
    session = _watched(request)
    await begin_dear(request, request.app[SERVER].config)
    return session


@needs(Role.VIEWER)
async def watch_mjpeg(request: web.Request) -> web.StreamResponse:
    """Pictures only, each a JPEG with the number of its frame: the least delay in a media player."""
    kind = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
    session = await _begin_to_watch(request)
    with session.outputs.watch("JPEG", None, *standing(request, session)) as tap, suppress(ConnectionResetError):
        response = web.StreamResponse(headers={"Content-Type": kind, **NEVER_STORE})
        await response.prepare(request)
        async for _, packet in tap.packets():
            jpeg = bytes(packet)
            frame = packet.pts // (VIDEO_CLOCK_HZ // FRAME_RATE_HZ)
            head = (
                f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nX-Frame: {frame}\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            )
            await write_out(request, response, head.encode() + jpeg + b"\r\n")
    return response


class _Piece:
    """What a muxer has written since it was last taken."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes) -> int:
        self._data += data
        return len(data)

    def take(self) -> bytes:
        data = bytes(self._data)
        self._data.clear()
        return data


@needs(Role.VIEWER)
async def watch_ts(request: web.Request) -> web.StreamResponse:
    """MPEG-TS of the packets that viewers get, with AAC; `?sound=no` leaves the sound out."""
    sound = request.query.get("sound") != "no"
    session = await _begin_to_watch(request)
    taken = session.outputs.watch("H264", "AAC" if sound else None, *standing(request, session))
    with taken as tap, suppress(ConnectionResetError):
        response = web.StreamResponse(headers={"Content-Type": "video/mp2t", **NEVER_STORE})
        await response.prepare(request)
        piece = _Piece()
        muxer = Muxer(piece, "mpegts", picture_size=session.picture_size, sound=sound)
        async for is_picture, packet in tap.packets():
            muxer.put(is_picture, packet)  # 25 microseconds: it copies
            if data := piece.take():
                await write_out(request, response, data)
    return response


@needs(Role.OPERATOR)
async def list_outputs(request: web.Request) -> web.Response:
    return web.json_response([running.describe() for running in session_of(request).outputs.list()])


@needs(Role.OPERATOR, cost=DEAR)
async def start_output(request: web.Request) -> web.Response:
    session, body = session_of(request), await json_object(request)
    config = request.app[SERVER].config
    with closing(DeviceThread()) as thread:  # opening a device may take a while, or for ever
        output = await thread.do(_read_order, body, config)
        try:
            running = session.outputs.start(output)
        except FlapError:
            if isinstance(output, CameraOutput):
                await thread.do(output.close)
            raise
    logger.info("output to %s", running.output.label)
    return web.json_response(running.describe(), status=201)


def _read_order(body: dict[str, Any], config: ServerConfig) -> Output:
    """Raises BadRequest, Forbidden for a host that is not in `publish_to`, or Unprocessable when this machine has no such device."""
    kind = body.get("kind")
    if kind in ("rtmp", "whip"):
        url = text_field(body, "url")
        if not url:
            raise BadRequest("url must say where to publish to")
        if kind == "rtmp":
            return RtmpOutput(url, config.publish_to)
        return WhipOutput(url, text_field(body, "token"), config.publish_to, config.ice)
    if kind != "virtual_camera":
        raise BadRequest('kind must be "virtual_camera", "rtmp" or "whip"')
    size = body.get("size", DEFAULT_SIZE)
    if not isinstance(size, int) or isinstance(size, bool):
        raise BadRequest("size must be a whole number")
    return CameraOutput(size, text_field(body, "device"), text_field(body, "sound_device"))


@needs(Role.OPERATOR)
async def stop_output(request: web.Request) -> web.Response:
    await session_of(request).outputs.stop(request.match_info["output"])
    return web.Response(status=204)


ROUTES = [
    web.get("/watch.mjpeg", watch_mjpeg, allow_head=False),  # else HEAD would be sent the stream too
    web.get("/watch.ts", watch_ts, allow_head=False),
    web.get("/api/sessions/{session}/outputs", list_outputs),
    web.post("/api/sessions/{session}/outputs", start_output),
    web.delete("/api/sessions/{session}/outputs/{output}", stop_output),
]
