"""What a peer connection of the tests takes: decoded pictures, and how many pieces of sound."""

import asyncio

import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection
from numpy.typing import NDArray


class Taken:
    """Collects from `connect()` on, over several connections."""

    def __init__(self) -> None:
        self.pictures: list[NDArray[np.uint8]] = []
        self.sounds = 0
        self._tasks: list[asyncio.Task[None]] = []

    def connect(self) -> RTCPeerConnection:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        connection.on("track", lambda track: self._tasks.append(asyncio.create_task(self._take(track))))
        return connection

    async def _take(self, track: MediaStreamTrack) -> None:
        while True:
            frame = await track.recv()
            if track.kind == "video":
                self.pictures.append(frame.to_ndarray(format="rgb24"))
            else:
                self.sounds += 1

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
