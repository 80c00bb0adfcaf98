"""A clip, a picture or a track drives the avatar, and what is none of them is refused by a process of its own."""

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from flap import coefficients as co
from realtime.drive import face_clip
from realtime.drive.clip_player import ClipPlayer, frame_of
from realtime.drive.face_clip import MAX_FRAMES, faces_of, kind_of, read_faces, read_track
from realtime.errors import BadRequest, FlapError, TooLarge, Unprocessable
from tests.live_client import serving
from tests.test_live import next_message
from tests.test_server import refusal

NOD = co.from_arkit({"mouthSmileLeft": 0.8, "jawOpen": 0.3, "eyeLookOutLeft": 0.4}, co.rotation_from_degrees(-20, 8, 4))


def track_bytes(faces: np.ndarray, **changes: object) -> bytes:
    out = io.BytesIO()
    np.savez(out, **{"coefficients": faces, "found": np.ones(len(faces), bool), "frame_rate_hz": 25, **changes})  # type: ignore[arg-type]
    return out.getvalue()


def test_a_file_is_what_it_begins_like() -> None:
    assert kind_of(track_bytes(co.neutral(2))) == "track"
    assert kind_of(b"\xff\xd8\xff\xe0") == kind_of(b"\x89PNG\r\n\x1a\n") == kind_of(b"RIFF____WEBP") == "picture"
    assert kind_of(b"\0\0\0\x18ftypmp42") == kind_of(b"\x1a\x45\xdf\xa3") == "video"
    for data in (b"", b"RIFF____WAVE", b"#EXTM3U", b"<svg"):
        with pytest.raises(BadRequest, match="send an mp4"):
            kind_of(data)


def bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("coefficients.npy", bytes(face_clip.MAX_UNPACKED_BYTES + 1))
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        (track_bytes(co.neutral(2), frame_rate_hz=30), BadRequest, "25 faces a second, not 30"),
        (track_bytes(np.zeros((2, 5))), BadRequest, "must end in 120"),
        (track_bytes(co.neutral(0).reshape(0, 120)), BadRequest, "25 faces a second"),
        (track_bytes(np.array([{"x": 1}], object)), BadRequest, "no track"),
        (track_bytes(co.neutral(MAX_FRAMES + 1)), TooLarge, "longer than 60 s"),
        (b"PK\x03\x04 and then nothing", BadRequest, "no track"),
        (bomb(), TooLarge, "too large"),
    ],
)
def test_a_track_that_cannot_be_used_is_refused(data: bytes, error: type[FlapError], says: str) -> None:
    with pytest.raises(error, match=says):
        read_track(data)


def test_a_track_comes_through_the_confined_process_and_a_broken_one_is_refused_by_it() -> None:
    faces = np.stack([NOD, co.neutral()])
    assert np.allclose(asyncio.run(read_faces(track_bytes(faces))), faces, atol=1e-6)
    with pytest.raises(BadRequest, match="no track"):
        asyncio.run(read_faces(b"PK\x03\x04"))


PRESENTER = next((Path(__file__).parent.parent / "bundles" / "flap-small").rglob("*.png"))


def video_bytes(path: Path, frames: int) -> bytes:
    picture = av.VideoFrame.from_ndarray(cv2.imread(str(PRESENTER)), format="bgr24")
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, "yuv420p"
        for packet in [*(p for _ in range(frames) for p in stream.encode(picture)), *stream.encode()]:
            out.mux(packet)
    return path.read_bytes()


@pytest.mark.parametrize(("kind", "count"), [("picture", 1), ("video", 6)])
def test_faces_are_found_in_pictures_and_videos_or_the_answer_says_what_is_missing(
    tmp_path: Path, kind: str, count: int
) -> None:
    data = PRESENTER.read_bytes() if kind == "picture" else video_bytes(tmp_path / "clip.mp4", count)
    try:
        faces = faces_of(data)
    except Unprocessable as error:
        assert "MediaPipe" in str(error) or "face model" in str(error)
        pytest.skip(str(error))
    assert faces.shape == (count, co.SIZE)
    assert np.abs(np.rad2deg(faces[:, co.ROTATION])).max() < 15


def test_a_video_that_is_too_long_is_refused_before_all_of_it_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(face_clip, "MAX_FRAMES", 3)
    with pytest.raises(TooLarge, match="the video is longer"):
        list(face_clip._video(video_bytes(tmp_path / "clip.mp4", 8)))


def test_what_was_seen_is_driven_with() -> None:
    frame = frame_of(NOD)
    assert (frame.yaw_deg, frame.pitch_deg, frame.roll_deg) == pytest.approx((-20, 8, 4), abs=1e-3)
    assert frame.shapes["mouthSmileLeft"] == pytest.approx(0.8) and frame.shapes["eyeLookOutLeft"] == pytest.approx(0.4)


def test_a_clip_is_played_once_or_again_and_a_picture_stays() -> None:
    once = ClipPlayer(np.stack([NOD, co.neutral()]))
    assert [once.take().tracked for _ in range(3)] == [True, True, False] and once.over
    again = ClipPlayer(np.stack([NOD, co.neutral()]), loop=True)
    assert [round(again.take().yaw_deg) for _ in range(4)] == [-20, 0, -20, 0] and not again.over
    still = ClipPlayer(NOD[None])
    assert [round(still.take().yaw_deg) for _ in range(3)] == [-20] * 3


def test_a_clip_that_begins_again_or_takes_over_from_another_comes_from_the_face_before_it() -> None:
    way = np.linspace(0, 1, 40)[:, None]
    ends_elsewhere = (
        co.neutral(40) + way * (co.from_arkit({"browInnerUp": 0.8}, co.rotation_from_degrees(-20, 0, 0)))
    ).astype(np.float32)
    played = ClipPlayer(ends_elsewhere, loop=True)
    frames = [played.take() for _ in range(100)]
    brows = [frame.shapes.get("browInnerUp", 0.0) for frame in frames]
    assert max(brows) == pytest.approx(0.8, abs=0.03) and brows[55] == pytest.approx(0.8 * 15 / 39, abs=0.01)
    assert np.abs(np.diff(brows)).max() < 0.2
    assert np.abs(np.diff([frame.yaw_deg for frame in frames])).max() < 5
    other = ClipPlayer(NOD[None], before=played.shown)
    yaws = [frames[-1].yaw_deg, *(other.take().yaw_deg for _ in range(12))]
    assert yaws[-1] == pytest.approx(-20, abs=0.01) and np.abs(np.diff(yaws)).max() < 5


def test_an_uploaded_clip_moves_the_face_until_it_is_over_or_taken_away(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as http:
            session = await (await http.post("/api/sessions", json={})).json()
            clip_url = f"/api/sessions/{session['id']}/clip"
            async with http.ws_connect(session["control_url"]) as desk:
                await desk.send_json(
                    {"type": "drive.mix", "id": "m", "source": "clip", "groups": {"pose": 1, "lips": 1}}
                )
                answer = await http.post(f"{clip_url}?loop=yes", data=track_bytes(np.stack([NOD] * 20)))
                assert answer.status == 202 and await answer.json() == {"frames": 20, "duration_ms": 800}
                while abs((await next_message(desk, "face"))["pose"]["yaw_deg"] + 20) > 0.5:
                    pass
                assert (await http.delete(clip_url)).status == 204
                while abs((await next_message(desk, "face"))["pose"]["yaw_deg"]) > 0.5:
                    pass
                assert (await http.delete(clip_url)).status == 404
                assert (await refusal(await http.post(clip_url, data=b"hello")))[:2] == (400, "bad_request")

    asyncio.run(run())


def test_a_clip_that_comes_slowly_keeps_nobody_elses_waiting(tmp_path: Path) -> None:
    async def trickle() -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0.05)

    async def run() -> None:
        async with serving(tmp_path) as http:
            slow, other = [
                f"/api/sessions/{(await (await http.post('/api/sessions', json={})).json())['id']}/clip"
                for _ in range(2)
            ]
            sending = asyncio.create_task(http.post(slow, data=trickle()))
            await asyncio.sleep(0.3)
            assert (await http.post(other, data=track_bytes(np.stack([NOD] * 5)))).status == 202
            sending.cancel()
            await asyncio.wait([sending])

    asyncio.run(run())


@pytest.mark.parametrize("frames", [6, 12, 18])
def test_a_short_clip_begins_again_without_a_jump(frames: int) -> None:
    opening = co.neutral(frames)
    opening[:, co.EXPRESSION.start] = np.linspace(0, 1, frames)
    played = ClipPlayer(opening, loop=True)
    shown = []
    for _ in range(4 * frames):
        played.take()
        assert played.shown is not None
        shown.append(played.shown[co.EXPRESSION.start])
    assert np.abs(np.diff(shown)).max() < 0.5
