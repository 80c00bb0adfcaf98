"""A renderer that stays away leaves viewers a standby picture, and gives them the avatar back."""

import asyncio
import os
import signal
import socket
from pathlib import Path

import numpy as np

from engines.bundle import Presenter
from flap import coefficients as co
from realtime.config import ServerConfig
from realtime.media.compositor import read_still
from realtime.media.standby import StandbyPicture
from realtime.render.link import Process, launch_process
from realtime.server import SERVER
from realtime.session import Session
from tests.live_client import living, serving


async def above_the_text(session: Session) -> np.ndarray:
    """The upper half of what viewers see now."""
    with session.outputs.watch("RGB", None) as tap:
        async for _, packet in tap.packets():
            return np.frombuffer(bytes(packet), np.uint8).reshape(256, 256, 3)[:128]
    raise AssertionError("the session has ended")


def test_a_renderer_that_stays_away_leaves_the_standby_picture_and_no_viewer_reconnects(tmp_path: Path) -> None:
    may_start = asyncio.Event()

    async def launch(link: socket.socket, memory: int) -> Process:
        await may_start.wait()
        return await launch_process(link, memory)

    async def run() -> None:
        may_start.set()
        async with serving(tmp_path, launch=launch) as http, living(http) as client, asyncio.timeout(60):
            server = http.app[SERVER]  # type: ignore[index]
            (session,) = server.sessions.values()
            await client.watch(0.2)
            may_start.clear()
            os.kill(server.renderer.process_id, signal.SIGKILL)
            while not session.metrics.standby:
                await asyncio.sleep(0.02)
            portrait = read_still(tmp_path / "ada.png")
            assert portrait is not None
            while not np.array_equal(await above_the_text(session), portrait[:128]):  # once it has faded in
                pass
            await client.watch(0.5)
            may_start.set()
            while session.metrics.standby:
                await asyncio.sleep(0.02)
            while np.ptp((await client.watch(1)).openings) < 10:  # until the mouth moves again
                pass
            assert client.connection.connectionState == "connected"
            assert server.renderer.restarts == 1

    asyncio.run(run())


def test_the_standby_picture_is_the_presenters_portrait_or_one_of_ones_own(tmp_path: Path) -> None:
    presenter = Presenter("ada", "Ada", tmp_path / "ada.png", co.neutral())
    assert StandbyPicture().asked_for(presenter) == presenter.portrait_path
    assert StandbyPicture(picture=tmp_path / "own.png").asked_for(presenter) == tmp_path / "own.png"
    assert StandbyPicture().asked_for(None) is None, "a presenter that was taken away while it was shown"
    assert ServerConfig(label_language="de").standby.unasked_for(presenter).overlay == "Einen Moment bitte"
    assert ServerConfig(standby_text="").standby.unasked_for(presenter).overlay is None
