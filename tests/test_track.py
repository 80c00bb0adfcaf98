"""A clip becomes coefficients at 25 frames a second, and frames without a face are marked."""

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from flap import coefficients as co
from flap import track
from flap.face_coefficients import ANYBODY, coefficients_of, rest_of
from flap.face_landmarks import LandmarkedFace
from tests.photographs import photograph, photograph_file

GREY = np.full((64, 64, 3), 128, np.uint8)


def face(yaw_deg: float = 0.0, **shapes: float) -> LandmarkedFace:
    """What the tracker reads of somebody at rest, turned by `yaw_deg`, with these shapes."""
    turned = co.euler_matrix(co.rotation_from_degrees(yaw_deg=yaw_deg)) @ ANYBODY.rotation
    return LandmarkedFace(np.zeros((478, 3)), turned, {**ANYBODY.blendshapes, **shapes})


class Landmarker:
    def __init__(self, faces: list[LandmarkedFace | None]):
        self.faces = iter(faces)

    def find(self, _: np.ndarray, field_of_view_deg: float = 63) -> list[LandmarkedFace]:
        seen = next(self.faces)
        return [seen] if seen else []


def test_what_the_tracker_reads_at_rest_is_rest() -> None:
    assert np.allclose(coefficients_of(face()), co.neutral(), atol=1e-5)


def test_angles_and_shapes_come_through() -> None:
    found = coefficients_of(face(20, jawOpen=0.5, eyeBlinkLeft=1.0))
    assert np.degrees(found[co.YAW]) == pytest.approx(20, abs=0.01)
    assert found[co.JAW.start] == pytest.approx(0.5 * co.JAW_OPEN_RAD)
    assert found[co.EYELIDS].tolist() == pytest.approx([1, 0])


def test_somebody_s_own_rest_counts_as_rest() -> None:
    smiling = face(8, mouthSmileLeft=0.4)
    assert np.allclose(coefficients_of(smiling, rest_of(smiling)), co.neutral(), atol=1e-5)


def test_lost_faces_are_marked_and_bridged() -> None:
    tracked = track.track([GREY] * 5, Landmarker([None, face(0), None, face(20), None]))  # type: ignore[arg-type]
    assert tracked.found.tolist() == [False, True, False, True, False]
    assert np.degrees(tracked.coefficients[:, co.YAW]) == pytest.approx([0, 0, 10, 20, 20], abs=0.01)


def test_a_clip_without_any_face_is_refused() -> None:
    with pytest.raises(track.TrackError, match="no face"):
        track.track([GREY], Landmarker([None]))  # type: ignore[arg-type]


def test_smoothing_takes_noise_and_leaves_blinks_and_still_faces() -> None:
    rng = np.random.default_rng(0)
    faces = co.neutral(50)
    faces[:, co.YAW] += rng.normal(0, 0.05, 50).astype(np.float32)
    faces[20:23, co.EYELIDS] = 1
    smoothed = track.smooth(faces, 80)
    assert smoothed[:, co.YAW].std() < 0.7 * faces[:, co.YAW].std()
    assert np.array_equal(smoothed[:, co.EYELIDS], faces[:, co.EYELIDS])
    assert np.allclose(track.smooth(co.neutral(10), 80), co.neutral(10), atol=1e-6)
    assert track.smooth(faces, 0) is faces


def clip(path: Path, pictures: list[np.ndarray], rate: int) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))
    return path


def test_a_clip_of_another_rate_is_read_at_25_frames_a_second(tmp_path: Path) -> None:
    levels = [np.full((64, 64, 3), 8 * i, np.uint8) for i in range(30)]
    read = [int(picture.mean()) // 8 for picture in track.read_video(clip(tmp_path / "clip.mp4", levels, 50))]
    assert len(read) == 15
    assert np.abs(np.array(read) - 2 * np.arange(15)).max() <= 1


def test_the_command_reads_videos_and_pictures(tmp_path: Path) -> None:
    picture = photograph()
    pictures = [np.zeros_like(picture), picture, picture]
    track.main([str(clip(tmp_path / "clip.mp4", pictures, 25)), str(tmp_path / "out.npz")])
    with np.load(tmp_path / "out.npz") as out:
        assert out["coefficients"].shape == (3, 120) and out["found"].tolist() == [False, True, True]
        assert out["frame_rate_hz"] == 25
    rest = ["--rest", str(photograph_file())]
    track.main([str(photograph_file()), str(tmp_path / "still.npz"), *rest])
    with np.load(tmp_path / "still.npz") as out:
        assert np.allclose(out["coefficients"], co.neutral(1), atol=1e-3)


def test_a_file_that_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"nothing")
    with pytest.raises(SystemExit, match="cannot track"):
        track.main([str(tmp_path / "clip.mp4"), str(tmp_path / "out.npz")])


@pytest.mark.parametrize(
    ("output", "message"), [("out.dat", "does not end in .npz"), ("missing/out.npz", "missing is no folder")]
)
def test_an_output_that_cannot_be_written_is_refused_before_anything_is_tracked(
    output: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(track, "FaceLandmarker", lambda: pytest.fail("the tracker was opened"))
    with pytest.raises(SystemExit, match=f"cannot track: .*{message}"):
        track.main(["clip.mp4", str(tmp_path / output)])


def test_an_output_that_cannot_be_written_in_the_end_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out.npz").mkdir()
    monkeypatch.setattr(track, "FaceLandmarker", lambda: nullcontext(Landmarker([face()])))
    monkeypatch.setattr(track, "read_video", lambda _: [GREY])
    with pytest.raises(SystemExit, match="cannot track: .*out.npz"):
        track.main(["clip.mp4", str(tmp_path / "out.npz")])


@pytest.mark.parametrize(("rotation", "corner"), [(0, (0, 0)), (-90, (0, -1)), (180, (-1, -1)), (90, (-1, 0))])
def test_a_phone_s_clip_is_turned_upright(
    rotation: int, corner: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyAV gives the angle counterclockwise: by -90 degrees the top left corner becomes the top right one."""
    stored = np.zeros((30, 40, 3), np.uint8)
    stored[0, 0] = 255
    frame = SimpleNamespace(time=0.0, rotation=rotation, to_ndarray=lambda format: stored)
    container = SimpleNamespace(streams=SimpleNamespace(video=["stream"]), decode=lambda video: [frame])
    monkeypatch.setattr(av, "open", lambda _: nullcontext(container))
    (upright,) = track.read_video(Path("clip.mp4"))
    assert upright.shape == ((40, 30, 3) if rotation in (90, -90) else (30, 40, 3))
    assert upright[corner].tolist() == [255] * 3 and int(upright.sum()) == 3 * 255
