"""What is on its way and sent elsewhere neither stops nor jumps."""

import numpy as np

from flap import coefficients as co
from realtime.face import features as ft
from realtime.protocol import messages as m
from tests.directed import degrees, play


def test_a_hand_that_drags_the_head_on_moves_it_evenly() -> None:
    """It sends every 60 ms where the head is to be 120 ms later."""
    script = {
        chunk: [m.PoseSet(f"d{chunk}", yaw_deg=-20 + 4.8 * chunk, ease_ms=120)] for chunk in range(9)
    }  # 60 degrees a second
    faces, _, _ = play(script, 9)
    steps = np.diff(degrees(faces, co.YAW))[6:16]
    assert steps.min() > 0.6 * steps.mean() and steps.max() < 1.4 * steps.mean()


def test_a_look_that_is_sent_elsewhere_on_its_way_does_not_stand_still() -> None:
    script = {
        0: [m.GazeSet("a", yaw_deg=-20, ease_ms=0)],
        3: [m.GazeSet("b", yaw_deg=20, ease_ms=400)],
        6: [m.GazeSet("c", yaw_deg=25, ease_ms=400)],
    }
    faces, _, _ = play(script, 15)
    yaw = np.array([ft.of_face(face)[ft.GAZE][0] for face in faces])
    speed = np.abs(np.diff(np.rad2deg(yaw)))
    assert speed[11:14].min() > 0.5 * speed[10]
