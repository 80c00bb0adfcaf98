"""What operators did, and what a tracker saw, becomes a gesture that does it again."""

from pathlib import Path

import numpy as np
import pytest

from flap import coefficients as co
from realtime.control.commands import Command
from realtime.errors import BadCommand
from realtime.gestures import from_video as gesture_import
from realtime.gestures.curve import GestureCurve
from realtime.gestures.library import GestureLibrary
from realtime.gestures.motion import SIZE, gesture_of, of_coefficients
from realtime.protocol import messages as m
from tests.directed import by_frame, direct, still


def perform(commands: dict[int, list[Command]], steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Faces `[2 * steps, 120]` of a head at rest, and what was added to them."""
    directed = direct(still(steps, co.neutral()), by_frame(commands))
    return directed.faces, directed.added


def replayed(curve: GestureCurve, steps: int) -> np.ndarray:
    return perform({0: [Command(m.GesturePlay("g", "mine"), curve=curve)]}, steps)[0]


def test_a_recorded_performance_is_performed_again() -> None:
    script = {
        2: [Command(m.PoseSet("a", yaw_deg=18, zoom=1.2, hold_ms=300)), Command(m.ExpressionSet("b", name="happy", hold_ms=300))],
        5: [Command(m.GazeSet("c", yaw_deg=10, hold_ms=300)), Command(m.GesturePlay("d", "wink"))],
    }  # fmt: skip
    faces, motion = perform(script, 25)
    curve = gesture_of(motion)
    assert {"yaw_deg", "zoom", "mouthSmileLeft", "eyeBlinkLeft", "eyeLookOutLeft"} <= set(curve.channels)
    assert "jawOpen" not in curve.channels and sum(map(len, curve.channels.values())) < 16 * len(curve.channels), (
        "half of the frames are enough"
    )
    again = replayed(curve, 25)
    for index in (co.YAW, co.EXPRESSION_INDEX["mouthSmileLeft"], co.EYELIDS.start):
        assert again[:, index].max() == pytest.approx(faces[:, index].max(), abs=0.03)
    assert np.allclose(again[-1], co.neutral(), atol=1e-5), "it ends at rest"


def test_nothing_of_speech_and_idle_life_is_recorded_where_something_is_held() -> None:
    """Neither a saccade, nor the head's own sway, nor a blink that a webcam's lids lie over."""
    script = {
        0: [Command(m.GazeSet("a", yaw_deg=10)), Command(m.PoseSet("b", yaw_deg=15)),
            Command(m.ExpressionSet("c", name="smile", keep={"jaw": 0}))],
    }  # fmt: skip
    lively = [
        co.from_arkit(
            {"jawOpen": 0.1 * (i % 7), "eyeLookOutLeft": 0.3 * (i % 2)}, co.rotation_from_degrees(i % 5, 2, 0)
        )
        for i in range(60)
    ]
    motions = [direct(faces, by_frame(script)).added for faces in (np.stack(lively), co.neutral(60))]
    assert np.array_equal(*motions) and np.abs(motions[0]).max() > 0.1


def test_a_gesture_begins_and_ends_at_rest_even_where_the_performance_did_not() -> None:
    motion = np.zeros((40, SIZE), np.float32)
    motion[:, 109] = np.deg2rad(10)
    curve = gesture_of(motion)
    values = [curve.at(i / 25).get("yaw_deg", 0.0) for i in range(42)]
    assert values[0] == 0 and max(values) == pytest.approx(10, abs=0.1) and values[-1] == 0
    assert np.abs(np.diff(values)).max() <= 2.1


def test_stillness_and_a_twitch_are_no_gestures() -> None:
    with pytest.raises(BadCommand, match="nothing moved"):
        gesture_of(np.zeros((50, SIZE), np.float32))
    with pytest.raises(BadCommand, match="nothing moved"):
        gesture_of(np.full((50, SIZE), 1e-4, np.float32))


def tracked(path: Path, **changes: object) -> Path:
    """A file of flap.track in which the head of somebody who looks aside nods after a second."""
    faces = co.neutral(75)
    faces[:, co.YAW] = 0.2
    faces[25:50, co.PITCH] = np.deg2rad(12) * np.sin(np.linspace(0, 2 * np.pi, 25))
    np.savez(path, **{"coefficients": faces, "found": np.ones(75, bool), "frame_rate_hz": 25, **changes})  # type: ignore[arg-type]
    return path


def test_a_tracked_video_becomes_a_gesture_of_the_library(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tracked(tmp_path / "clip.npz")
    gesture_import.main([str(path), "my nod", "--folder", str(tmp_path / "gestures")])
    assert "my nod: 1." in capsys.readouterr().out
    library = GestureLibrary(tmp_path / "gestures")
    library.look()
    curve = library.gestures["my nod"]
    assert set(curve.channels) == {"pitch_deg"}
    pitch = np.rad2deg(replayed(curve, 30)[:, co.PITCH])
    assert pitch.max() == pytest.approx(12, abs=0.8) and pitch.min() == pytest.approx(-12, abs=0.8)


def test_a_part_of_a_video_can_be_taken_and_what_is_none_is_refused(tmp_path: Path) -> None:
    folder, path = ["--folder", str(tmp_path)], tracked(tmp_path / "clip.npz")
    with pytest.raises(SystemExit, match="nothing moved"):
        gesture_import.main([str(path), "a", "--to-s", "0.9", *folder])
    with pytest.raises(SystemExit, match="nothing between these seconds"):
        gesture_import.main([str(path), "a", "--from-s", "9", *folder])
    with pytest.raises(SystemExit, match="nod is a built-in gesture"):
        gesture_import.main([str(path), "nod", *folder])
    for changes in ({"frame_rate_hz": 30}, {"coefficients": np.zeros(5)}, {"coefficients": np.array([{}], object)}):
        with pytest.raises(SystemExit, match="cannot import"):
            gesture_import.main([str(tracked(tmp_path / "bad.npz", **changes)), "a", *folder])
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(SystemExit, match="is no track of python -m flap.track"):
        gesture_import.main([str(tmp_path / "text.npz"), "a", *folder])


def test_of_a_tracked_face_only_what_it_does_counts() -> None:
    faces = co.neutral(30)
    faces[:, co.YAW] = 0.3
    assert np.abs(of_coefficients(faces)).max() < 1e-6
