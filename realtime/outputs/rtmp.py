"""The avatar to a platform by RTMP: the H.264 that viewers get and AAC, in FLV, copied and not encoded again."""

import asyncio
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Iterable
from contextlib import suppress

import av

from realtime.confined import start_without_secrets
from realtime.media.hub import Hubs
from realtime.outputs.destination import ConnectionLost, check_destination, keep_connected, masked
from realtime.outputs.outputs import Report
from realtime.outputs.rtmp_sender import CONNECTED, framed, order
from realtime.outputs.tap import Tap

SCHEMES = ("rtmps", "rtmp")
KEY_FRAME_EVERY_S = 2.0  # what platforms ask for
STALLED_S = 15.0  # without a packet taken the connection counts as lost
LEAVING_S = 3.0  # that the sender has to say goodbye


class RtmpOutput:
    """Publishes until it is stopped, and connects again whenever the connection is lost."""

    kind = "rtmp"

    def __init__(self, url: str, hosts: Iterable[str], stalled_s: float = STALLED_S):
        """Raises BadRequest or Forbidden, see `check_destination`."""
        self.label = masked(check_destination(url, SCHEMES, hosts))
        self._url, self._stalled_s = url, stalled_s

    async def run(self, hubs: Hubs, report: Report) -> None:
        await keep_connected(lambda: self._publish(hubs, report), report)

    async def _publish(self, hubs: Hubs, report: Report) -> None:
        """Until the session ends. Raises ConnectionLost.

        What the network does not take in time the hubs drop: they go on with a key frame.
        """
        try:
            sender = await start_without_secrets(["-m", "realtime.outputs.rtmp_sender"], stderr=DEVNULL)
        except OSError as error:  # no memory or descriptor is left just now
            raise ConnectionLost(f"its process cannot be started: {error}") from error
        tap = Tap(hubs, "H264", "AAC")
        listening = asyncio.create_task(self._listen(sender, report), name="rtmp sender")
        try:
            await self._feed(sender, order(self._url, hubs.picture_size))
            key_frame_s = float("-inf")
            async for is_picture, packet in tap.packets():
                key_frame_s = _ask_for_key_frames(tap, is_picture, packet, key_frame_s)
                await self._feed(sender, framed(is_picture, packet))
                report.frames += is_picture and report.state == "live"
                if listening.done():
                    raise ConnectionLost(listening.result())
        except (BrokenPipeError, ConnectionResetError):
            raise ConnectionLost(await listening) from None
        finally:
            tap.close()
            await _end(sender)
            listening.cancel()

    async def _listen(self, sender: Process, report: Report) -> str:
        """Until the sender ends: its last words."""
        assert sender.stdout
        connecting = asyncio.get_running_loop().call_later(self._stalled_s, sender.kill)
        last = b""
        while line := await sender.stdout.readline():
            connecting.cancel()
            if line == CONNECTED:
                report.live()
            last = line
        connecting.cancel()
        return last.decode(errors="replace").strip() if last not in (b"", CONNECTED) else "no answer"

    async def _feed(self, sender: Process, data: bytes) -> None:
        assert sender.stdin
        sender.stdin.write(data)
        try:
            async with asyncio.timeout(self._stalled_s):  # Python 3.11's wait_for may swallow that we are cancelled
                await sender.stdin.drain()
        except TimeoutError:
            raise ConnectionLost(f"nothing was taken for {self._stalled_s:g} s") from None


def _ask_for_key_frames(tap: Tap, is_picture: bool, packet: av.Packet, last_s: float) -> float:
    """When the last key frame was shown, this packet included."""
    second = float(packet.pts * packet.time_base)
    if is_picture and packet.is_keyframe:
        return second
    if is_picture and second >= last_s + KEY_FRAME_EVERY_S:
        tap.request_key_frame()
    return last_s


async def _end(sender: Process) -> None:
    assert sender.stdin
    sender.stdin.close()
    try:
        async with asyncio.timeout(LEAVING_S):
            await sender.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            sender.kill()
        await sender.wait()
