"""The camera and its microphone get what viewers see and hear; the devices are fakes, for there is no driver in tests."""

import asyncio
import builtins
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest

from realtime.errors import BadRequest, Unprocessable
from realtime.media.encoder import sound_encoder
from realtime.media.hub import Hubs
from realtime.outputs.camera import CameraOutput, VirtualCamera, VirtualMicrophone
from realtime.outputs.outputs import Report
from tests.shows import TONE, Show


class FakeDevice:
    def __init__(self, *settings: Any):
        self.settings, self.sent, self.closed, self.fails = settings, [], False, False

    def send(self, data: np.ndarray) -> None:
        if self.fails:
            raise RuntimeError("the device was unplugged")
        self.sent.append(data)

    def close(self) -> None:
        self.closed = True


def output(sound_device: str | None = "cable", size: int = 512) -> tuple[CameraOutput, list[FakeDevice]]:
    devices: list[FakeDevice] = []

    def opened(*settings: Any) -> FakeDevice:
        devices.append(FakeDevice(*settings))
        return devices[-1]

    return CameraOutput(size, "/dev/video9", sound_device, opened, opened), devices


@pytest.mark.parametrize(("picture_size", "size"), [(256, 512), (512, 512), (512, 256)])
def test_the_camera_gets_pictures_in_its_size_and_the_microphone_the_voice(picture_size: int, size: int) -> None:
    async def run() -> None:
        (camera_output, (camera, microphone)), report = output(size=size), Report()
        async with Show(picture_size) as show:
            running = asyncio.create_task(camera_output.run(show.hubs, report))
            await asyncio.sleep(1)
            running.cancel()
            await asyncio.wait([running])
        assert (camera.settings, microphone.settings) == ((size, "/dev/video9"), ("cable",))
        assert 15 <= len(camera.sent) == report.frames
        assert camera.sent[0].shape == (size, size, 3) and camera.sent[0].dtype == np.uint8
        assert np.array_equal(microphone.sent[0], TONE) and len(microphone.sent) >= 35
        assert camera.closed and microphone.closed and not show.hubs.watched

    asyncio.run(run())


def test_sound_does_not_fall_behind_with_a_device_whose_clock_is_slower() -> None:
    class Slow(FakeDevice):
        def send(self, data: np.ndarray) -> None:
            time.sleep(0.03)
            super().send(data)

    async def run() -> None:
        hubs, microphone, encoder = Hubs.create(), Slow(), sound_encoder("PCM")
        camera_output = CameraOutput(512, None, "cable", FakeDevice, lambda *_: microphone)
        running = asyncio.create_task(camera_output.run(hubs, Report()))
        behind = []
        for block in range(75):
            await asyncio.sleep(0.02)
            hubs.sound["PCM"].publish(encoder.encode(np.full(960, block, np.int16), block))
            if microphone.sent:
                behind.append(block - int(microphone.sent[-1][-1]))
        running.cancel()
        await asyncio.wait([running])
        assert max(behind) <= 8
        assert np.abs(np.diff(np.concatenate(microphone.sent))).max() <= 1, "nothing is cut out hard"

    asyncio.run(run())


def test_a_device_that_is_taken_away_ends_the_output_with_its_reason() -> None:
    async def run() -> None:
        camera_output, (camera,) = output(sound_device=None)
        camera.fails = True
        async with Show() as show:
            with pytest.raises(RuntimeError, match="unplugged"):
                await asyncio.wait_for(camera_output.run(show.hubs, Report()), 5)
        assert camera.closed

    asyncio.run(run())


SHOWN_ON_A_CAMERA_THAT_HANGS = """
import asyncio, threading, time
from realtime.outputs.camera import CameraOutput
from realtime.outputs.outputs import Report
from tests.shows import Show

class Hangs:
    sending = threading.Event()
    def send(self, data):
        self.sending.set()
        time.sleep(60)
    def close(self):
        pass

async def main():
    output = CameraOutput(512, None, "cable", lambda *_: Hangs(), lambda *_: Hangs())
    async with Show() as show:
        running = asyncio.create_task(output.run(show.hubs, Report()))
        while not Hangs.sending.is_set():
            await asyncio.sleep(0.01)
        print("hangs", flush=True)
        running.cancel()
        await asyncio.wait([running])
    print("closed", flush=True)

asyncio.run(main())
"""


def test_a_device_that_hangs_holds_up_neither_its_session_nor_the_end_of_the_process() -> None:
    program = [sys.executable, "-c", SHOWN_ON_A_CAMERA_THAT_HANGS]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout and process.stdout.readline() == "hangs\n"
            assert process.communicate(timeout=20)[0] == "closed\n" and process.returncode == 0
        finally:
            process.kill()


def test_without_the_package_or_the_driver_the_order_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(Unprocessable, match="pip install pyvirtualcam"):
        VirtualCamera(512, None)

    class Package:
        @staticmethod
        def Camera(*_: Any, **__: Any) -> None:
            raise RuntimeError("v4l2loopback is not loaded")

    monkeypatch.setitem(sys.modules, "pyvirtualcam", Package)
    with pytest.raises(Unprocessable, match="v4l2loopback is not loaded"):
        CameraOutput()


def test_the_package_is_asked_for_a_camera_of_our_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    class Package:
        def Camera(self, *size: int, **more: Any) -> FakeDevice:
            self.asked = (size, more)
            return FakeDevice()

    package = Package()
    monkeypatch.setitem(sys.modules, "pyvirtualcam", package)
    VirtualCamera(720, None).send(np.zeros((720, 720, 3), np.uint8))
    assert package.asked == ((720, 720, 25), {"device": None})


def test_a_size_that_no_camera_has_is_refused() -> None:
    with pytest.raises(BadRequest, match="128 and 1080"):
        CameraOutput(4000)


def test_a_camera_whose_microphone_is_refused_is_closed() -> None:
    cameras: list[FakeDevice] = []

    def camera(*settings: Any) -> FakeDevice:
        cameras.append(FakeDevice(*settings))
        return cameras[0]

    def no_microphone(name: str) -> FakeDevice:
        raise Unprocessable(f"no sound output {name!r} here")

    with pytest.raises(Unprocessable):
        CameraOutput(512, None, "cable", camera, no_microphone)
    assert cameras[0].closed


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (ImportError("No module named 'sounddevice'"), "pip install sounddevice"),
        (OSError("PortAudio library not found"), "apt-get install libportaudio2"),
    ],
)
def test_what_sound_to_a_device_lacks_is_named(trouble: Exception, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, *rest: Any) -> Any:
        if name == "sounddevice":
            raise trouble
        return imported(name, *rest)

    imported = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(Unprocessable, match=said):
        VirtualMicrophone("cable")
