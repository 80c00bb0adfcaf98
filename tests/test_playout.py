"""Sound and picture of equal time leave together; what missed its moment is left out."""

import asyncio
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flap.config import CHUNK_FRAMES, MEDIA_CHUNK_SAMPLES
from realtime.media.bitrate import RATES
from realtime.media.clock import MediaClock
from realtime.media.compositor import FADE_FRAMES, Dressing
from realtime.media.disclosure import Disclosure
from realtime.media.hub import Hubs
from realtime.media.playout import HELD_FRAMES, STANDBY_FRAMES, Playout
from realtime.sound.microphone import MicrophoneChunk
from realtime.telemetry.metrics import SessionMetrics
from tests.fakes import fake_renderer
from tests.test_compositor import write_still

PICTURES = np.zeros((2, 256, 256, 3), np.uint8)
HEARD = MicrophoneChunk(np.ones(MEDIA_CHUNK_SAMPLES, np.int16), (1.0,) * CHUNK_FRAMES)


class Stage:
    """A playout with one viewer of each kind."""

    def __init__(self) -> None:
        self.hubs, self.metrics, self.renderer = Hubs.create(), SessionMetrics(), fake_renderer(Path())
        self.playout = Playout(self.hubs, self.renderer, self.metrics, Disclosure(), MediaClock(0.0, 0.0))
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

    async def play(self, clock: MediaClock, seconds: float, delay_s: float | None = None) -> tuple[list, list]:
        self.playout.clock, self.playout.wanted_delay_s = clock, clock.delay_s if delay_s is None else delay_s
        running = asyncio.create_task(self.playout.run())
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


def test_what_takes_a_while_to_encode_leaves_on_its_moment_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sound that now and then came late would make every browser wait longer for all of it."""

    async def run() -> None:
        stage = Stage()
        encode = stage.playout._encode

        def slowly(*told: Any) -> Any:
            time.sleep(0.004)
            return encode(*told)

        monkeypatch.setattr(stage.playout, "_encode", slowly)
        stage.playout.put_pictures(0, PICTURES)
        stage.playout.put_sound(0, HEARD)
        start_s = time.monotonic()
        video, sound = await stage.play(MediaClock(start_s, 0.1), 1.0)
        for packets in (video, sound):
            late_ms = [1000 * (wall - start_s - media - 0.1) for media, wall in packets]
            assert min(late_ms) > -1 and np.median(late_ms) < 3

    asyncio.run(run())


def test_a_longer_delay_is_reached_by_blocks_that_leave_further_apart_and_pictures_with_them() -> None:
    async def run() -> None:
        stage = Stage()
        stage.playout.put_pictures(0, PICTURES)
        stage.playout.put_sound(0, HEARD)
        start_s = time.monotonic()
        video, sound = await stage.play(MediaClock(start_s, 0.1), 2.0, delay_s=0.12)
        assert stage.playout.clock.delay_s == pytest.approx(0.12)
        heard = dict(sound)
        apart_ms = [abs(wall - heard[media]) * 1000 for media, wall in video if media in heard]
        assert np.median(apart_ms) < 10
        delays = np.array([wall - start_s - media for media, wall in sound])
        assert np.median(delays[-20:]) == pytest.approx(0.12, abs=0.01), "and it stays there"
        assert np.median(delays[:10]) < 0.115
        blocks = np.array([media for media, _ in sound]) / 0.02
        assert np.median(np.diff(blocks)) == pytest.approx(1), "nothing is left out or said twice"

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


def test_sound_that_comes_after_its_moment_does_not_stay_in_memory() -> None:
    async def run() -> None:
        stage = Stage()
        await stage.play(MediaClock(time.monotonic() - 3, 0.0), 0.1)
        for frame in range(0, 60, CHUNK_FRAMES):
            stage.playout.put_sound(frame, HEARD)
        assert not stage.playout._sound

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
        playout.put_sound(chunk * CHUNK_FRAMES, HEARD)
    loud = MicrophoneChunk(np.full(MEDIA_CHUNK_SAMPLES, 1000, np.int16), (None,) * CHUNK_FRAMES)
    playout.put_sound(CHUNK_FRAMES, loud)
    assert playout.hush(range(CHUNK_FRAMES, 2 * CHUNK_FRAMES)) == MEDIA_CHUNK_SAMPLES
    waiting = np.concatenate([playout._sound[block] for block in sorted(playout._sound)]).reshape(3, -1)
    assert waiting[1, 0] == 1000 and abs(np.diff(waiting[1].astype(int))).max() < 5 and not waiting[1, 480:].any()
    assert (waiting[[0, 2]] == 1).all()
    assert playout.hush(range(40, 44)) == 0


def test_at_half_the_rate_a_picture_lasts_for_two_frames_and_is_late_after_them() -> None:
    async def run() -> None:
        stage = Stage()
        stage.hubs.video["H264"].subscribe()
        for frame in (0, 2):
            stage.playout.put_pictures(frame, PICTURES[:1] + 100 * frame, period=2)
        shown, late = [], []
        for frame in range(6):
            stage.playout._choose_picture(frame)
            shown.append(stage.playout._picture.mean())
            late.append(stage.metrics.repeated_frames)
        await stage.renderer.close()
        assert shown == [0, 0, 200, 200, 200, 200]
        assert late == [0, 0, 0, 0, 1, 2] and len(stage.metrics.fresh_frames_s) == 2

    asyncio.run(run())


class Watched(Stage):
    """Somebody sees every picture as it is."""

    def __init__(self, still: Path) -> None:
        super().__init__()
        self.playout.standby = Dressing("Soon", still)
        self.raw, self.frame = self.hubs.video["RGB"].subscribe(), 0

    async def show(self, count: int) -> np.ndarray:
        """The middle rows of the next `count` pictures `[count, 56, 256, 3]`, above text and label."""
        seen = []
        for _ in range(count):
            encoded = await self.playout._encode_picture(self.frame)
            self.frame += 1
            (packet,) = encoded.packets["RGB"]
            seen.append(np.frombuffer(bytes(packet), np.uint8).reshape(256, 256, 3)[100:156].astype(int))
        return np.stack(seen)

    def draw(self, level: int) -> None:
        self.playout.put_pictures(self.frame, PICTURES + level)


def test_when_no_picture_comes_for_long_the_standby_picture_fades_in_and_the_avatar_comes_back_without_a_jump(
    tmp_path: Path,
) -> None:
    async def run() -> None:
        stage = Watched(write_still(tmp_path / "still.png", 256, 256))
        stage.draw(90)
        held = await stage.show(2 + STANDBY_FRAMES)
        assert (held == 90).all() and not stage.metrics.standby
        coming = await stage.show(FADE_FRAMES + 1)
        assert stage.metrics.standby and tuple(coming[-1, 0, 20]) == (255, 0, 0)
        stage.draw(90)
        back = []
        for _ in range(FADE_FRAMES + 1):
            stage.draw(90)
            back.append(await stage.show(1))
        assert not stage.metrics.standby and (back[-1] == 90).all()
        steps = np.abs(np.diff(np.concatenate([held[-1:], coming, *back]), axis=0)).max()
        assert steps <= 255 / FADE_FRAMES + 1
        await stage.renderer.close()

    asyncio.run(run())


def test_a_picture_that_comes_after_a_long_hold_fades_in_and_after_a_short_one_does_not(tmp_path: Path) -> None:
    async def run() -> None:
        stage = Watched(tmp_path / "none")
        for held_frames, fades in ((HELD_FRAMES, False), (HELD_FRAMES + 1, True)):
            stage.draw(0)
            await stage.show(2 + held_frames)
            stage.draw(200)
            assert ((await stage.show(1)).max() < 200) == fades
            await stage.show(FADE_FRAMES)
        await stage.renderer.close()

    asyncio.run(run())


def test_whoever_comes_after_a_while_without_viewers_sees_nothing_of_what_the_last_ones_saw(tmp_path: Path) -> None:
    async def run() -> None:
        stage = Watched(tmp_path / "none")
        stage.draw(90)
        await stage.show(2)
        for track in (stage.raw, stage.video, stage.sound):
            track.stop()
        await stage.playout._encode_picture(stage.frame)
        viewer = stage.hubs.video["H264"].subscribe()
        assert not (await stage.playout._encode_picture(stage.frame + 1)).packets
        stage.playout.put_pictures(stage.frame + 2, np.zeros((1, 256, 256, 3), np.uint8))
        assert (await stage.playout._encode_picture(stage.frame + 2)).packets
        viewer.stop()
        await stage.renderer.close()

    asyncio.run(run())


def test_nobody_waits_for_a_picture_while_an_operator_has_asked_for_standby_or_nobody_watches(tmp_path: Path) -> None:
    async def run() -> None:
        stage = Watched(tmp_path / "none")
        stage.draw(90)
        stage.playout.dress(2, Dressing(still=write_still(tmp_path / "still.png", 256, 256)))
        await stage.show(3 * STANDBY_FRAMES)
        assert not stage.metrics.standby
        stage.playout.dress(stage.frame, Dressing())
        await stage.show(STANDBY_FRAMES)
        for track in (stage.raw, stage.video, stage.sound):
            track.stop()
        assert not (await stage.playout._encode_picture(stage.frame)).packets
        assert not stage.playout._held_frames
        await stage.renderer.close()

    asyncio.run(run())


def test_a_lower_rate_begins_with_a_key_frame_and_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        stage = Watched(tmp_path / "none")
        rng = np.random.default_rng(0)
        sizes: dict[int, list[int]] = {rate: [] for rate in RATES[256][:2]}
        for rate in sizes:
            monkeypatch.setattr(stage.hubs.video["H264"], "bits_per_second", lambda now_s, rate=rate: rate)
            for number in range(75):
                noise = rng.integers(0, 255, (1, 32, 32, 3), np.uint8).repeat(8, 1).repeat(8, 2)
                stage.playout.put_pictures(stage.frame, noise)
                packets = (await stage.playout._encode_picture(stage.frame)).packets["H264"]
                assert packets[0].is_keyframe == (number == 0)
                sizes[rate].append(sum(packet.size for packet in packets))
                stage.frame += 1
        full, less = (sum(of_rate[25:]) for of_rate in sizes.values())
        assert less < 0.8 * full
        await stage.renderer.close()

    asyncio.run(run())
