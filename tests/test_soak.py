"""Five minutes of the live server with real clients: losses, viewers and sessions that come and go, a killed renderer, malformed
input. `make soak` is the hour of it, with its targets for delay, rate and memory; here is what holds on any machine.
"""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from benchmarks.machine import REPOSITORY

pytestmark = pytest.mark.timeout(900)


def test_five_minutes_of_changing_load_leave_sound_with_pictures_and_nothing_unforeseen() -> None:
    command = [sys.executable, "-m", "benchmarks.live", "--json", "--quick", "--soak-minutes=4"]
    run = subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        out, log = run.communicate(timeout=840)
    finally:
        with suppress(ProcessLookupError):  # the server and the viewers too
            os.killpg(run.pid, signal.SIGKILL)
    assert run.returncode == 0, log[-10_000:]
    measured = json.loads(out.splitlines()[-1])
    assert measured["exceptions"] == 0, log[-10_000:]
    assert (measured["fuzz"]["crashes"], measured["fuzz"]["http_500"]) == (0, 0)
    assert -40 < measured["av_offset_ms"]["min"] <= measured["av_offset_ms"]["max"] < 60
    assert abs(measured["lips"]["lag_ms"]) < 150 and measured["frames_per_second"] > 5
    assert measured["renderer_recovery_s"] < 10 and measured["memory_mb"] < 600
