"""What an operator's command does to the show, and how soon: python -m benchmarks.control --json

A server with the shipped bundle, a headless Chromium as host and viewer, and a scripted show without network. The last line is
one JSON object:

command_to_frame_ms     from sending a turn of the head to the display of the first changed picture in the browser
ack_frame_error_frames  the number of the first changed picture (`X-Frame` of `/watch.mjpeg`) minus the acknowledged one:
                        the `largest` error, and how many were `exact`. Of other commands than those timed, which have the
                        machine without that stream
max_velocity_deg_per_s  the head's fastest turn in the show; the limit is 300
lipsync_change          lip measures of the show against the same speech without commands, each as a share of it
replay_identical        whether a recording of the show gives the same coefficients and pictures again, to the last bit
flood                   1,000 messages a second, good, contradictory, out of range and malformed: `sent`, `refused`, and the
                        pictures a second (of `/watch.mjpeg`) that were not the one before, meanwhile and for as long before
show, machine, commit   how long the show was, and what was measured
"""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import control_live, control_show
from benchmarks.browser import chromium_path
from benchmarks.machine import REPOSITORY, commit, machine
from benchmarks.speech import RECORDED, speech
from engines.bundle import BundleError, open_bundle
from engines.engine import EngineError
from realtime.render.opening import pipeline_of


@dataclass(frozen=True)
class Plan:
    """Seconds of the scripted show, of those that are drawn too, its commands, and what is done to the server."""

    show_s: float
    drawn_s: float
    commands: int
    live: control_live.Plan


FULL = Plan(300.0, 20.0, 60, control_live.Plan(commands=60, marked=20, flood_s=10))
QUICK = Plan(20.0, 1.0, 12, control_live.Plan(commands=8, marked=5, flood_s=3))


def report(result: Mapping[str, Any], source: str) -> str:
    """The same numbers for people."""
    latency, error, flood = (result[key] for key in ("command_to_frame_ms", "ack_frame_error_frames", "flood"))
    lips = ", ".join(f"{name} {value:+.2%}" for name, value in result["lipsync_change"].items() if name != "offset_ms")
    return "\n".join(
        [
            f"sound: {source}; {result['show']}",
            f"command to changed picture: {latency['p50']} ms median, {latency['p95']} ms p95, {latency['seen']} seen",
            f"acknowledged frames: {error['exact']} of {error['seen']} exact, largest error {error['largest']} frames",
            f"fastest turn: {result['max_velocity_deg_per_s']} degrees a second",
            f"lips against the undirected show: {lips}",
            f"replay identical: {result['replay_identical']}",
            f"flood: {flood['refused']} of {flood['sent']} refused, {flood['frames_per_second']} pictures a second, "
            f"{flood['frames_per_second_before']} before",
        ]
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="a short show, fewer commands, done within a minute")
    parser.add_argument("--bundle", type=Path, default=REPOSITORY / "bundles" / "flap-small")
    parser.add_argument("--presenter", help="id of the presenter (default: the bundle's first)")
    parser.add_argument("--speech", type=Path, default=RECORDED, help="folder of sound files to speak")
    options = parser.parse_args(arguments)
    plan = QUICK if options.quick else FULL
    try:
        bundle = open_bundle(options.bundle, threads=2)
    except (BundleError, EngineError) as error:
        sys.exit(f"cannot measure: {error}")
    presenters = list(bundle.presenters)
    presenter = options.presenter or presenters[0]
    if presenter not in presenters:
        sys.exit(f"no presenter {presenter!r}: choose one of {', '.join(presenters)}")
    if chromium_path() is None:
        sys.exit("cannot measure: Chromium is not installed (requirements/system.sh)")
    sound, source = speech(options.speech, min(plan.show_s, 60))
    live_s = 12 + 1.3 * (plan.live.commands + plan.live.marked) + plan.live.flood_s
    spoken, _ = speech(options.speech, live_s)
    result = control_live.measure(options.bundle, presenters.index(presenter), spoken, plan.live)
    result |= control_show.measure(pipeline_of(bundle), presenter, sound, plan.show_s, plan.drawn_s, plan.commands)
    result |= {"machine": machine(), "commit": commit()}
    print(report(result, source))
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
