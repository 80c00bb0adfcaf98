"""A renderer that becomes slower makes a session's delay longer while it is watched, without a gap, over real WebRTC."""

import asyncio
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flap import coefficients as co
from realtime.config import ServerConfig
from realtime.server import SERVER
from tests.fakes import FakePortraitStage
from tests.live_client import living, serving
from tests.test_live import next_message

PAUSE_S = [0.0]  # what drawing takes; the renderer is a thread of this process


class SlowsDown(FakePortraitStage):
    def step(self, faces: co.Array, state: str, steps: int | None = None) -> tuple[NDArray[np.uint8], str]:
        time.sleep(PAUSE_S[0])
        return super().step(faces, state, steps)


def test_the_delay_becomes_longer_when_drawing_does_and_sound_and_lips_stay_together(tmp_path: Path) -> None:
    async def run() -> None:
        PAUSE_S[0] = 0.0
        config = ServerConfig(port=0, render_budget_ms=300)
        async with serving(tmp_path, config, portrait=SlowsDown()) as http, living(http) as client, asyncio.timeout(90):
            (session,) = http.app[SERVER].sessions.values()  # type: ignore[index]
            await client.see_at_least(20)
            before_ms = session.delay_ms
            PAUSE_S[0] = 0.06
            client.watched.forget()
            while session.delay_ms < before_ms + 30:
                await asyncio.sleep(0.1)
            sliding = list(client.watched.levels)
            heard = len(sliding) / (sliding[-1][0] - sliding[0][0])
            assert 45 < heard < 55, "blocks of 20 ms a second: none is left out to make up for the delay"
            watched = await client.see_at_least(20)
            lag_ms, correlation = (await client.watch(4)).mouth_lag_ms()
            assert correlation > 0.4 and abs(lag_ms) <= 80
            assert watched.frames_per_second < 30
            async with http.ws_connect(f"/api/sessions/{client.session_id}/control") as socket:
                assert (await next_message(socket, "stats"))["delay_ms"] >= before_ms + 30

    asyncio.run(run())
