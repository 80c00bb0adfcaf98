"""Real OBS receives the avatar and is switched by cues."""

from pathlib import Path

import pytest

from tests.obs_show import can_run, obs_show, show_by_cue

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not can_run(), reason="OBS and Xvfb are not installed: apt-get install obs-studio xvfb"),
]


def test_obs_shows_the_avatar_as_either_stream_and_changes_its_scene_at_a_cue(tmp_path: Path) -> None:
    with obs_show(tmp_path, ["-m", "tests.serve_fake"]) as show:
        show_by_cue(show, "With sound", "avatar with sound")
        show_by_cue(show, "Product", None)
        show_by_cue(show, "Presenter", "avatar")
