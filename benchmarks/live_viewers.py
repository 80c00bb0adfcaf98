"""Viewers of a session in a process of their own: `python -m benchmarks.live_viewers URL SESSION COUNT`.

Says `{"viewers": COUNT}` once all have joined. Each line that comes in is answered by what they saw since the line before;
when the input ends they leave.
"""

import argparse
import asyncio
import json
import sys
import time

import aiohttp

from benchmarks.live_numbers import longest_gap_ms
from benchmarks.live_peer import CountingViewer


def report(viewers: list[CountingViewer], since_s: float) -> dict[str, float]:
    """The slowest viewer's rate and the longest that any of them waited for a frame. Forgets what it has told."""
    seconds = time.monotonic() - since_s
    rates = [len(viewer.frames_s) / seconds for viewer in viewers]
    gaps_ms = [longest_gap_ms([since_s, *viewer.frames_s, since_s + seconds]) for viewer in viewers]
    for viewer in viewers:
        viewer.frames_s.clear()
    return {"frames_per_second": min(rates), "longest_freeze_ms": max(gaps_ms)}


async def watch(base_url: str, session_id: str, count: int) -> None:
    async with aiohttp.ClientSession() as http:
        viewers = [CountingViewer(http, base_url, session_id) for _ in range(count)]
        for viewer in viewers:
            await viewer.join()
        asked = asyncio.ensure_future(asyncio.to_thread(sys.stdin.readline))  # ends when whoever began this has gone
        while not all(viewer.frames_s for viewer in viewers) and not asked.done():
            await asyncio.sleep(0.05)
        if not asked.done():
            print(json.dumps({"viewers": count}), flush=True)
        since_s = time.monotonic()
        while await asked:
            asked = asyncio.ensure_future(asyncio.to_thread(sys.stdin.readline))
            print(json.dumps(report(viewers, since_s)), flush=True)
            since_s = time.monotonic()
        await asyncio.gather(*(viewer.leave() for viewer in viewers))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("session")
    parser.add_argument("count", type=int)
    options = parser.parse_args()
    asyncio.run(watch(options.url, options.session, options.count))
