"""Signals that end the server reach the processes it has started too."""

import signal


def leave_signals_to_server() -> None:
    """A terminal's Ctrl-C and systemd reach every process; the server, which drains first, decides when this one ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
