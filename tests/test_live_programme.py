"""Mute, standby, another presenter and overlays reach viewers who stay connected, over real WebRTC with drawn faces."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from realtime.media.playout import Playout
from tests.live_client import LiveClient, living, serving
from tests.test_live import next_message
from tests.test_sound_file import wav


async def becomes(client: LiveClient, speaks: bool) -> None:
    """Waits for a second in which sound and lips speak, or rest; what else runs on a machine may take some."""
    for _ in range(12):
        watched = await client.watch(1.0)
        loud = max((level for _, level in watched.levels), default=0.0) > 1000
        moves = np.ptp(watched.openings) > 10
        if (loud, moves) == (speaks, speaks):
            return
    raise AssertionError(f"never {'spoke' if speaks else 'rested'}")


def test_mute_and_standby_silence_the_avatar_and_give_it_back(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as http, living(http) as client:
            async with http.ws_connect(f"/api/sessions/{client.session_id}/control") as socket:
                await becomes(client, speaks=True)
                for command in ("mute", "standby"):
                    for on in (True, False):
                        await socket.send_json({"type": command, "id": f"{command} {on}", "on": on})
                        while (await next_message(socket, "done"))["id"] != f"{command} {on}":
                            pass
                        await becomes(client, speaks=not on)

    asyncio.run(run())


def test_sound_never_steps_when_it_is_muted_or_a_file_takes_over_and_gives_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[np.ndarray] = []
    put = Playout.put_sound
    monkeypatch.setattr(
        Playout, "put_sound", lambda self, frame, chunk: heard.append(chunk.samples) or put(self, frame, chunk)
    )

    async def run() -> None:
        async with serving(tmp_path) as http, living(http) as client:
            async with http.ws_connect(f"/api/sessions/{client.session_id}/control") as socket:
                await becomes(client, speaks=True)
                for number in range(40):
                    await socket.send_json({"type": "mute", "id": str(number), "on": number % 2 == 0})
                    await asyncio.sleep(0.07)
                for _ in range(6):
                    await http.post(f"/api/sessions/{client.session_id}/audio", data=wav(0.3))
                    await asyncio.sleep(0.45)
                assert (await http.delete(f"/api/sessions/{client.session_id}/audio")).status == 204

    asyncio.run(run())
    sound = np.concatenate(heard).astype(int)
    assert np.abs(sound).max() > 5000 and np.abs(np.diff(sound)).max() < 2000


def test_another_presenter_takes_over_while_viewers_stay_and_the_pose_stays(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as http, living(http, loud=False, presenter="ada") as client:
            async with http.ws_connect(f"/api/sessions/{client.session_id}/control") as socket:
                await socket.send_json({"type": "pose.set", "id": "p", "yaw_deg": 10})
                await next_message(socket, "ack")
                await asyncio.sleep(0.8)
                before = (await client.watch(0.5)).columns[-1]
                await socket.send_json({"type": "presenter.set", "id": "x", "presenter": "nobody"})
                assert (await next_message(socket, "error"))["code"] == "not_found"
                await socket.send_json({"type": "presenter.set", "id": "b", "presenter": "bob"})
                await next_message(socket, "ack")
                assert (await next_message(socket, "state"))["presenter"] == "bob"
                await asyncio.sleep(0.8)
                after = await client.watch(1)
                assert after.frames_per_second > 5, "viewers stay"
                assert abs(after.columns[-1] - before) < 4
                shown = await (await http.get(f"/api/sessions/{client.session_id}")).json()
                assert shown["presenter"] == "bob"

    asyncio.run(run())


def test_a_cue_sheet_is_imported_run_by_hand_and_by_its_clock_and_exported(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as http:
            session = await (await http.post("/api/sessions")).json()
            cues = [
                {"id": "a", "name": "", "at_ms": 0.0, "commands": [{"type": "overlay.set", "text": "Hello"}]},
                {"id": "b", "name": "", "at_ms": 400.0, "commands": [{"type": "pose.set", "yaw_deg": 12}]},
            ]
            address = f"/api/sessions/{session['id']}/cues"
            bad = await http.put(address, json={"cues": [{"id": "a", "commands": [{"type": "dance"}]}]})
            assert bad.status == 400 and "cue 'a'" in (await bad.json())["error"]["message"]
            async with http.ws_connect(session["control_url"]) as socket:
                assert (await next_message(socket, "cues"))["cues"] == []
                assert (await http.put(address, json={"name": "Show", "cues": cues})).status == 200
                assert (await next_message(socket, "cues"))["next"] == "a"
                await socket.send_json({"type": "cue.go", "id": "go"})
                assert [(await next_message(socket, "ack"))["id"] for _ in range(2)] == ["go", "a.1"]
                assert (await next_message(socket, "state"))["overlay"] == "Hello"
                await socket.send_json({"type": "cue.run", "id": "run", "on": True})
                assert [(await next_message(socket, "ack"))["id"] for _ in range(2)] == ["run", "b.1"]
                for query, following in (("", None), ("?anew=yes", "a")):
                    await socket.send_json({"type": "cue.go", "id": "last", "cue": "b"})
                    while (await next_message(socket, "cues"))["last"] != "b":
                        pass
                    await http.put(address + query, json={"name": "Show", "cues": cues})
                    again = await next_message(socket, "cues")
                    assert (again["next"], again["running"]) == (following, False)
            assert await (await http.get(address)).json() == {"name": "Show", "cues": cues}

    asyncio.run(run())
