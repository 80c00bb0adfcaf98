"""A drawn avatar that is encoded and published as playout does it, so that what takes it away can be tested alone."""

import asyncio
import time

import numpy as np

from flap import coefficients as co
from flap.config import IMAGE_SIZE
from realtime.media.encoder import picture_encoder, sound_encoder
from realtime.media.hub import Hubs
from realtime.render.detail import enlarged
from tests.fakes import SKIN, draw

TONE = (np.sin(2 * np.pi * 440 * np.arange(960) / 48_000) * 8000).astype(np.int16)


class Show:
    """Publishes to `hubs` in real time while it runs: `async with Show() as show`."""

    def __init__(self, picture_size: int = IMAGE_SIZE) -> None:
        self.hubs = Hubs.create(picture_size)
        self._encoders = {codec: picture_encoder(codec, picture_size) for codec in self.hubs.video}
        self._sound_encoders = {codec: sound_encoder(codec) for codec in self.hubs.sound}
        self.block = 500  # a show that has been running for a while

    async def __aenter__(self) -> "Show":
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()

    def picture(self) -> np.ndarray:
        drawn = draw(co.from_arkit({"jawOpen": 0.1 * (self.block % 10)}), SKIN["ada"])
        return enlarged(drawn, self.hubs.picture_size)

    def tick(self) -> None:
        """Twenty milliseconds."""
        for codec, hub in self.hubs.sound.items():
            if hub.viewers:
                hub.publish(self._sound_encoders[codec].encode(TONE, self.block))
        if self.block % 2 == 0:
            for kind, pictures in self.hubs.video.items():
                if pictures.viewers:
                    key = pictures.take_key_frame_request(time.monotonic())
                    pictures.publish(self._encoders[kind].encode(self.picture(), self.block // 2, key))
        self.block += 1

    async def _run(self) -> None:
        due_s = time.monotonic()
        while True:
            self.tick()
            due_s += 0.02
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
