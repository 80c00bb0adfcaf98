"""The avatar as a camera and a microphone of this machine, for video calls and programs that read cameras."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import numpy as np
from aiortc.mediastreams import MediaStreamError
from numpy.typing import NDArray

from flap.config import FRAME_RATE_HZ, MEDIA_RATE_HZ
from realtime.errors import BadRequest, FlapError, Unprocessable
from realtime.media.clock import BLOCK_SAMPLES
from realtime.media.compositor import resized
from realtime.media.hub import Hub, Hubs, HubTrack
from realtime.outputs.device_thread import DeviceThread
from realtime.outputs.outputs import Report
from realtime.sound.concealment import FADE_SAMPLES, Sound, cross_fade

DEFAULT_SIZE, LEAST_SIZE, MOST_SIZE = 512, 128, 1080
CLOSING_S = 2.0
MOST_WAITING_BLOCKS = 2  # of sound, 40 ms: pictures do not wait for a sound output that falls behind


class Device(Protocol):
    """Takes pictures `[size, size, 3]` (RGB) or sound `[960]` and may block until it can."""

    def send(self, data: NDArray[Any]) -> None: ...
    def close(self) -> None: ...


class VirtualCamera:
    """A pyvirtualcam camera: v4l2loopback on Linux, OBS's virtual camera on Windows and macOS."""

    def __init__(self, size: int, device: str | None):
        try:
            import pyvirtualcam
        except ImportError as error:
            raise Unprocessable("a virtual camera needs pyvirtualcam: pip install pyvirtualcam") from error
        try:
            self._camera = pyvirtualcam.Camera(size, size, FRAME_RATE_HZ, device=device)
        except (RuntimeError, ValueError) as error:
            raise Unprocessable(f"no virtual camera here: {error}") from error

    def send(self, data: NDArray[Any]) -> None:
        self._camera.send(data)

    def close(self) -> None:
        self._camera.close()


class VirtualMicrophone:
    """A sound output of this machine by name, whose other end programs see as a microphone (VB-Cable, BlackHole, a null sink)."""

    def __init__(self, device: str):
        try:
            import sounddevice
        except ImportError as error:
            raise Unprocessable("sound to a device needs sounddevice: pip install sounddevice") from error
        except OSError as error:
            raise Unprocessable(
                f"sounddevice finds no PortAudio ({error}): apt-get install libportaudio2, or what your system calls it"
            ) from error
        try:
            self._stream = sounddevice.RawOutputStream(MEDIA_RATE_HZ, BLOCK_SAMPLES, device, 1, "int16")
            self._stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            raise Unprocessable(f"no sound output {device!r} here: {error}") from error

    def send(self, data: NDArray[Any]) -> None:
        self._stream.write(data.tobytes())

    def close(self) -> None:
        self._stream.close()


OpenCamera = Callable[[int, str | None], Device]
OpenMicrophone = Callable[[str], Device]


class CameraOutput:
    """A virtual camera, and with `sound_device` the voice that belongs to it."""

    kind = "virtual_camera"

    def __init__(
        self, size: int = DEFAULT_SIZE, device: str | None = None, sound_device: str | None = None,
        open_camera: OpenCamera = VirtualCamera, open_microphone: OpenMicrophone = VirtualMicrophone,
    ):  # fmt: skip
        if not LEAST_SIZE <= size <= MOST_SIZE:
            raise BadRequest(f"size must lie within {LEAST_SIZE} and {MOST_SIZE}")
        self._size = size
        self._camera = open_camera(size, device)
        try:
            self._microphone = open_microphone(sound_device) if sound_device else None
        except FlapError:
            self._camera.close()
            raise
        self.label = device or "virtual camera"

    def close(self) -> None:
        """Lets go of devices that nothing was sent to."""
        self._camera.close()
        if self._microphone:
            self._microphone.close()

    async def run(self, hubs: Hubs, report: Report) -> None:
        """Raises what a device raises when it is taken away."""
        report.state = "live"
        try:
            async with asyncio.TaskGroup() as carrying:
                carrying.create_task(self._show_all(hubs.video["RGB"], hubs.picture_size, report))
                if self._microphone:
                    carrying.create_task(_say_all(hubs.sound["PCM"], self._microphone))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed

    async def _show_all(self, hub: Hub, size: int, report: Report) -> None:
        async with _taken(hub, self._camera) as (track, send):
            while True:
                picture = np.frombuffer(bytes(await track.recv()), np.uint8).reshape(size, size, 3)
                await send(resized(picture, self._size))
                report.frames += 1


async def _say_all(hub: Hub, microphone: Device) -> None:
    async with _taken(hub, microphone) as (track, send):
        while True:
            sound = await _block(track)
            while track.queue.qsize() > MOST_WAITING_BLOCKS:  # the device's clock is slower, or it has stood still
                sound = cross_fade(sound[:FADE_SAMPLES], await _block(track))
            await send(np.rint(sound).astype(np.int16))


async def _block(track: HubTrack) -> Sound:
    return np.frombuffer(bytes(await track.recv()), np.int16).astype(np.float32)


Send = Callable[[NDArray[Any]], Awaitable[None]]


@asynccontextmanager
async def _taken(hub: Hub, device: Device) -> AsyncIterator[tuple[HubTrack, Send]]:
    """A hub's packets for a device that works in a thread of its own; both are closed at the end."""
    track, thread = hub.subscribe(), DeviceThread()
    try:
        yield track, lambda data: thread.do(device.send, data)
    except MediaStreamError:
        pass  # the session has ended
    finally:
        track.stop()
        closing = thread.do(device.close)  # after what is being sent
        thread.close()
        await asyncio.wait([closing], timeout=CLOSING_S)  # one that hangs is left to its thread
