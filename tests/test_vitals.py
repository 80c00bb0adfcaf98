"""How a session is, as operators are told and as it is over real WebRTC."""

import asyncio
import os
import re
from pathlib import Path

import pytest

from realtime.telemetry.metrics import SessionMetrics
from realtime.telemetry.vitals import Vitals, resident_bytes, stats
from tests.live_client import living, serving
from tests.test_live import next_message


def test_operators_are_told_the_rung_of_the_ladder_and_what_is_sent_over_the_network() -> None:
    metrics = SessionMetrics(rung=2)
    vitals = Vitals(sent_bytes={"H264": 10, "opus": 5, "RGB": 1000})
    assert vitals.network_bytes == 15
    told = stats(metrics, vitals, 1.0, 2**20)
    assert (told.quality_level, told.memory_mb) == (2, 1.0)
    assert stats(metrics, vitals, 1.0, None).memory_mb is None


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system does not say it")
def test_memory_is_that_of_all_processes_that_are_there() -> None:
    own = resident_bytes([os.getpid()])
    assert own and 10 * 2**20 < own < 10 * 2**30
    assert resident_bytes([os.getpid(), None, 2**22 + 1]) == pytest.approx(own, rel=0.2)
    assert resident_bytes([]) is None


def test_a_session_that_speaks_and_obeys_tells_what_it_takes(tmp_path: Path) -> None:
    """Until everything has been measured: delays of sound and commands, the offset, what is sent."""

    async def run() -> None:
        async with serving(tmp_path) as http, living(http) as client, asyncio.timeout(60):
            await client.watch(0.2)
            async with http.ws_connect(f"/api/sessions/{client.session_id}/control") as socket:
                told: dict = {}
                while not (
                    told.get("kilobits_per_second")
                    and told["command_to_frame_ms"]["p50"]
                    and told["mic_to_frame_ms"]["p99"]
                ):
                    await socket.send_json({"type": "pose.set", "id": "p", "yaw_deg": 10})
                    told = await next_message(socket, "stats")
            assert 100 < told["mic_to_frame_ms"]["p50"] < 2000
            assert 20 < told["command_to_frame_ms"]["p50"] < 2000
            assert told["quality_level"] == 0 or told["target_frames_per_second"] < 25
            text = await (await http.get("/metrics")).text()
            sent = re.search(r'flap_sent_bytes_total\{session="[^"]+",codec="opus"\} (\d+)', text)
            assert sent and int(sent[1]) > 0
            count = re.search(r'flap_command_to_frame_seconds_count\{session="[^"]+"\} (\d+)', text)
            assert count and int(count[1]) >= 1
            assert re.search(r'flap_queue_depth\{session="[^"]+",queue="sound_blocks"\} [1-9]', text)

    asyncio.run(run())
