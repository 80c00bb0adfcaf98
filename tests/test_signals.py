"""What ends the server leaves the processes that it has started to it."""

import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROGRAM = """
from realtime.signals import leave_signals_to_server
leave_signals_to_server()
print("ready", flush=True)
print(input())
"""


def test_neither_ctrl_c_nor_systemd_ends_what_leaves_them_to_the_server() -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", PROGRAM], cwd=ROOT, text=True, **pipes) as process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        for number in (signal.SIGINT, signal.SIGTERM):
            process.send_signal(number)
        said, _ = process.communicate("still here", timeout=20)
    assert (said, process.returncode) == ("still here\n", 0)
