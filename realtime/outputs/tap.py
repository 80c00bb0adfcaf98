"""Pictures and sound of one avatar for one taker, in the order in which they leave."""

import asyncio
from collections.abc import AsyncIterator

import av
from aiortc.mediastreams import MediaStreamError

from realtime.media.encoder import SoundCodec, VideoCodec
from realtime.media.hub import Hubs


class Tap:
    """A subscription to encoded packets; the hubs' drop rule holds for it too. Ends when it is closed."""

    def __init__(self, hubs: Hubs, video: VideoCodec, sound: SoundCodec | None):
        self._hub = hubs.video[video]
        self._video = self._hub.subscribe()
        self._tracks = [self._video] + ([hubs.sound[sound].subscribe()] if sound else [])

    def request_key_frame(self) -> None:
        self._hub.request_key_frame()

    async def packets(self) -> AsyncIterator[tuple[bool, av.Packet]]:
        """(whether it is a picture, packet)."""
        waiting = {asyncio.ensure_future(track.recv()): track for track in self._tracks}
        try:
            while True:
                done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    track = waiting.pop(task)
                    packet = task.result()
                    waiting[asyncio.ensure_future(track.recv())] = track
                    yield track is self._video, packet
        except MediaStreamError:
            return
        finally:
            for task in waiting:
                task.cancel()
            self.close()

    def close(self) -> None:
        for track in self._tracks:
            track.stop()
