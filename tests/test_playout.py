"""Sound and picture of equal time leave together; what missed its moment is left out."""

import asyncio
import time
from pathlib import Path

import numpy as np
import pytest

from realtime.clock import MediaClock
from realtime.disclosure import Disclosure
from realtime.hub import Hubs
from realtime.metrics import SessionMetrics
from realtime.microphone import MEDIA_CHUNK_SAMPLES, MicrophoneChunk
from realtime.playout import Playout
from tests.fakes import fake_renderer

PICTURES = np.zeros((2, 256, 256, 3), np.uint8)
HEARD = MicrophoneChunk(np.ones(MEDIA_CHUNK_SAMPLES, np.int16), (1.0, 1.04))


class Stage:
    """A playout with one viewer of each kind."""

    def __init__(self) -> None:
        self.hubs, self.metrics, self.renderer = Hubs.create(), SessionMetrics(), fake_renderer(Path())
        self.playout = Playout(self.hubs, self.renderer, self.metrics, Disclosure())
        self.video, self.sound = self.hubs.video["H264"].subscribe(), self.hubs.sound["opus"].subscribe()

    async def collect(self, track, seconds: float) -> list[tuple[float, float]]:  # type: ignore[no-untyped-def]
        """(media second, wall second) of what arrives."""
        out, end_s = [], time.monotonic() + seconds
        while time.monotonic() < end_s:
            try:
                packet = await asyncio.wait_for(track.recv(), end_s - time.monotonic())
            except TimeoutError:
                break
            out.append((float(packet.pts * packet.time_base), time.monotonic()))
        return out

    async def play(self, clock: MediaClock, seconds: float) -> tuple[list, list]:
        running = asyncio.create_task(self.playout.run(clock))
        got = await asyncio.gather(self.collect(self.video, seconds), self.collect(self.sound, seconds))
        running.cancel()
        await self.renderer.close()
        return got[0], got[1]


def test_equal_times_leave_at_the_same_moment() -> None:
    async def run() -> None:
        stage = Stage()
        stage.playout.put_pictures(0, PICTURES)
        stage.playout.put_sound(0, HEARD)
        video, sound = await stage.play(MediaClock(time.monotonic(), 0.1), 0.7)
        heard = dict(sound)
        assert len(video) >= 5, "of 15: a busy machine may take some"
        apart_ms = [abs(wall - heard[media]) * 1000 for media, wall in video if media in heard]
        assert np.median(apart_ms) < 10
        steps = np.diff([media for media, _ in video]) / 0.04
        assert np.allclose(steps, np.rint(steps)) and np.median(steps) == pytest.approx(1)
        assert stage.metrics.late_frames >= stage.metrics.frames_sent - 2, "after two pictures the last one stays"

    asyncio.run(run())


def test_a_clock_that_ran_away_is_caught_up_with_by_leaving_out() -> None:
    async def run() -> None:
        stage = Stage()
        stage.playout.put_pictures(0, PICTURES)
        video, sound = await stage.play(MediaClock(time.monotonic() - 2, 0.0), 0.3)
        assert sound[0][0] >= 1.96
        assert len(sound) <= 20, "two seconds are not sent in a burst"
        assert stage.metrics.late_frames >= 45

    asyncio.run(run())


def test_the_newest_picture_whose_moment_has_come_is_shown() -> None:
    """And nothing that is past stays in memory."""

    async def run() -> None:
        stage = Stage()
        stage.playout.put_pictures(0, np.stack([PICTURES[0], PICTURES[1] + 200]))
        stage.playout.put_sound(0, HEARD)
        await stage.play(MediaClock(time.monotonic() - 3, 0.0), 0.1)
        assert stage.playout._picture is not None
        assert stage.playout._picture.mean() == 200
        assert not stage.playout._sound
        assert not stage.playout._pictures
        assert not stage.playout._arrived_s

    asyncio.run(run())


def test_hushed_sound_fades_where_it_is_about_to_leave_and_other_sound_stays() -> None:
    playout = Stage().playout
    for chunk in range(3):
        playout.put_sound(2 * chunk, HEARD)
    loud = MicrophoneChunk(np.full(MEDIA_CHUNK_SAMPLES, 1000, np.int16), (None, None))
    playout.put_sound(2, loud)
    assert playout.hush(range(2, 4)) == MEDIA_CHUNK_SAMPLES
    waiting = np.concatenate([playout._sound[block] for block in sorted(playout._sound)]).reshape(3, -1)
    assert waiting[1, 0] == 1000 and abs(np.diff(waiting[1].astype(int))).max() < 5 and not waiting[1, 480:].any()
    assert (waiting[[0, 2]] == 1).all()
    assert playout.hush(range(40, 44)) == 0


def test_at_half_the_rate_two_pictures_last_for_four_frames_and_only_they_count_as_new() -> None:
    async def run() -> None:
        stage = Stage()
        stage.playout.put_pictures(0, np.stack([PICTURES[0], PICTURES[1] + 200]), period=2)
        shown = []
        for frame in range(5):
            stage.playout._choose_picture(frame)
            shown.append(stage.playout._picture.mean())
        await stage.renderer.close()
        assert shown == [0, 100, 200, 200, 200]
        assert len(stage.metrics.fresh_frames_s) == 2

    asyncio.run(run())
