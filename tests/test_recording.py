"""A recorded session is made again to the last bit, and a file that is none, too long or cut off does no harm."""

import asyncio
import gzip
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flap import coefficients as co
from flap.config import MEDIA_CHUNK_SAMPLES
from flap.speech import LOOKAHEAD_FRAMES
from realtime import recording
from realtime.config import ServerConfig
from realtime.control.commands import Command
from realtime.gestures.curve import GestureCurve
from realtime.protocol.directives import DriveFrame, GesturePlay, PoseSet
from realtime.recording import Header, RecordedChunk, Recorder, RecordingError, bundle_identity, read_recording
from realtime.render.link import launch_process
from realtime.replay import main as replay_main
from realtime.replay import replay
from tests.fakes import FakePortraitStage, FineFakePortraitStage, fake_pipeline
from tests.live_client import living, serving

HEADER = Header("s", 7, "2026-01-01T00:00:00+00:00", "toy 0", "cpu", 1, 1)
SOUND = np.random.default_rng(0).integers(-9000, 9000, MEDIA_CHUNK_SAMPLES).astype(np.int16)
COMMANDS = (
    Command(PoseSet("p", yaw_deg=10.0), "o1"),
    Command(GesturePlay("g", "mine"), "o2", GestureCurve(1.0, {"pitch_deg": ((0.4, 8.0),)}, linear=True)),
    Command(DriveFrame("d", "webcam", {"jawOpen": 0.5}), "o1", offset=1),
)


def chunk(number: int, **changes: object) -> RecordedChunk:
    return replace(RecordedChunk(number, "ada", SOUND, (), False, 1, None), **changes)  # type: ignore[arg-type]


def write(path: Path, *chunks: RecordedChunk, max_bytes: int = 10**7) -> Path:
    recorder = Recorder(path, HEADER, max_bytes)
    for made in chunks:
        recorder.put(made)
    recorder.close()
    recorder.join()
    return path


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    silent = chunk(1, sound=np.zeros_like(SOUND), pictures_crc=5, steps=2, opened=True)
    header, chunks = read_recording(write(tmp_path / "a.flap.gz", chunk(0, commands=COMMANDS), silent))
    first, second = chunks
    assert header == HEADER
    assert first.commands == COMMANDS and np.array_equal(first.sound, SOUND) and not first.drawn
    assert second.opened and second.drawn and second.steps == 2 and not second.sound.any()


def test_a_recording_ends_at_its_limit_and_can_be_read_up_to_there(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    noise = [chunk(i, sound=rng.integers(-9000, 9000, MEDIA_CHUNK_SAMPLES).astype(np.int16)) for i in range(200)]
    path = write(tmp_path / "a.flap.gz", *noise, max_bytes=200_000)
    assert path.stat().st_size < 400_000
    assert 5 < len(list(read_recording(path)[1])) < 100


def test_a_disk_that_hangs_ends_the_recording_and_never_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "WAITING_LINES", 0)
    monkeypatch.setattr(Recorder, "_next", lambda self: None)
    recorder = Recorder(tmp_path / "a.flap.gz", HEADER, 10**6)
    recorder._lines.maxsize = 1
    for i in range(3):
        recorder.put(chunk(i))
    assert not recorder.recording
    recorder.close()
    recorder.join()


AT_THE_END = """
import sys, time
from pathlib import Path
from realtime import recording
from tests.test_recording import HEADER, Recorder, chunk

next_by = Recorder._next

def next_line(self):
    time.sleep({disk_s})
    return next_by(self)

Recorder._next, recording.ENDING_S = next_line, {ending_s}
recorder = Recorder(Path(sys.argv[1]), HEADER, 10**6)
for number in range(20):
    recorder.put(chunk(number))
if {closes}:
    recorder.close()
"""


def end_while_writing(path: Path, **settings: float | bool) -> None:
    program = [sys.executable, "-c", AT_THE_END.format(**settings), str(path)]
    subprocess.run(program, timeout=20, check=True)


@pytest.mark.parametrize("closes", [True, False])
def test_what_waits_is_written_before_the_process_ends(tmp_path: Path, closes: bool) -> None:
    """Also where a failure has ended it before the session."""
    end_while_writing(tmp_path / "a.flap.gz", disk_s=0.02, ending_s=10, closes=closes)
    assert [made.chunk for made in read_recording(tmp_path / "a.flap.gz")[1]] == list(range(20))


def test_a_disk_that_hangs_does_not_hold_up_the_end_of_the_process(tmp_path: Path) -> None:
    end_while_writing(tmp_path / "a.flap.gz", disk_s=60, ending_s=0.2, closes=True)


def test_what_a_crash_cut_off_is_the_end_only(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flap.gz", *(chunk(i) for i in range(recording.FLUSH_LINES * 2)))
    path.write_bytes(path.read_bytes()[:-2000])
    assert recording.FLUSH_LINES <= len(list(read_recording(path)[1])) < recording.FLUSH_LINES * 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"hello", "cannot be read: Not a gzipped file"),
        (gzip.compress(b'{"session": "s"}\n'), "is no recording of a session: the header needs seed"),
        (gzip.compress(json.dumps(HEADER.__dict__ | {"format": 9}).encode() + b"\n"), "has format 9"),
        (gzip.compress(b"{" * 2**21), "a line of more than"),
    ],
)
def test_what_is_no_recording_is_refused_with_a_sentence(tmp_path: Path, text: bytes, says: str) -> None:
    path = tmp_path / "a.flap.gz"
    path.write_bytes(text)
    with pytest.raises(RecordingError, match=says):
        list(read_recording(path)[1])


@pytest.mark.parametrize(
    "damage", [{"sound": "AAAA"}, {"sound": 5}, {"commands": [{"message": {"type": "ping"}}]}, {"x": 1}]
)
def test_a_damaged_line_is_refused(tmp_path: Path, damage: dict) -> None:
    line = {"chunk": 0, "presenter": "ada", "sound": None, "faces_crc": 1, **damage}
    path = tmp_path / "a.flap.gz"
    path.write_bytes(gzip.compress("".join(json.dumps(x) + "\n" for x in (HEADER.__dict__, line)).encode()))
    with pytest.raises(RecordingError, match="is damaged"):
        list(read_recording(path)[1])


@pytest.mark.parametrize("portrait", [FakePortraitStage(), FineFakePortraitStage()], ids=["256", "512"])
def test_a_live_session_is_made_again_to_the_last_bit(tmp_path: Path, portrait: FakePortraitStage) -> None:
    """Commands, another presenter, and a chunk that was not drawn included; one changed bit is found."""

    async def run() -> None:
        config = ServerConfig(port=0, recordings_folder=tmp_path / "recordings")
        async with serving(tmp_path, config, portrait, launch_process) as http:
            async with living(http) as client, http.ws_connect(f"/api/sessions/{client.session_id}/control") as desk:
                await client.watch(0.5)
                await desk.send_json({"type": "pose.set", "id": "a", "yaw_deg": 20})
                await desk.send_json({"type": "gesture.play", "id": "b", "name": "laugh"})
                await client.watch(0.5)
                await desk.send_json({"type": "presenter.set", "id": "c", "presenter": "bob"})
                await client.watch(0.5)
            await http.delete(f"/api/sessions/{client.session_id}")

    asyncio.run(run())
    (path,) = (tmp_path / "recordings").iterdir()
    header, chunks = read_recording(path)
    recorded = list(chunks)
    assert header.picture_size == portrait.picture_size
    done = replay(fake_pipeline(portrait), header, recorded)
    assert done.identical, done
    assert done.drawn > 10 and done.commands == 2
    assert {made.presenter for made in recorded} == {"ada", "bob"}
    loud = next(i for i, made in enumerate(recorded) if np.abs(made.sound).max() > 5000 and i > 3)
    recorded[loud] = replace(recorded[loud], sound=recorded[loud].sound // 2)
    changed = replay(fake_pipeline(portrait), header, recorded)
    assert (
        changed.different_faces is not None and 0 <= changed.different_faces - recorded[loud].chunk <= LOOKAHEAD_FRAMES
    )


def test_a_recording_of_pictures_of_an_impossible_size_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.flap.gz"
    header = replace(HEADER, picture_size=0, bundle=bundle_identity(ServerConfig().bundle))
    path.write_bytes(gzip.compress((json.dumps(header.__dict__) + "\n").encode()))
    with pytest.raises(SystemExit, match="cannot replay: picture_size must be one of"):
        replay_main([str(path)])


def test_an_avatar_that_was_made_anew_is_made_anew_in_the_replay() -> None:
    """The control of before stays, the rest begins again."""
    pipeline = fake_pipeline()
    state = pipeline.init_state("ada", HEADER.seed)
    chunks = []
    for number in range(8):
        if number == 5:
            state = replace(pipeline.init_state("ada", HEADER.seed), control=state.control, chunk=number)
        commands = (Command(PoseSet("p", yaw_deg=20.0)),) if number == 1 else ()
        step, state = pipeline.step(SOUND, commands, state, steps=0)
        chunks.append(
            chunk(number, commands=commands, opened=number in (0, 5), faces_crc=recording.checksum(step.faces))
        )
    assert replay(pipeline, HEADER, chunks).identical
    assert np.rad2deg(step.faces[-1, co.YAW]) == pytest.approx(20, abs=0.1)
    assert replay(pipeline, HEADER, [replace(c, opened=False) for c in chunks]).different_faces == 5
