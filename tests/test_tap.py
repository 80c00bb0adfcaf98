"""A tap gives pictures and sound in order, and ends when it is closed."""

import asyncio

from realtime.outputs.tap import Tap
from tests.shows import Show


def test_pictures_begin_with_a_key_frame_and_sound_comes_along() -> None:
    async def run() -> None:
        async with Show() as show:
            tap = Tap(show.hubs, "H264", "AAC")
            got = []
            async for is_picture, packet in tap.packets():
                got.append((is_picture, packet))
                if sum(picture for picture, _ in got) == 10:
                    break
        pictures = [packet for is_picture, packet in got if is_picture]
        sounds = [packet for is_picture, packet in got if not is_picture]
        assert pictures[0].is_keyframe
        assert [p.pts for p in pictures] == sorted(p.pts for p in pictures)
        assert len(sounds) >= 8
        assert all(b.pts - a.pts == 1024 for a, b in zip(sounds, sounds[1:], strict=False))

    asyncio.run(run())


def test_a_closed_tap_ends_its_reader_and_is_forgotten() -> None:
    async def run() -> None:
        show = Show()
        tap = Tap(show.hubs, "JPEG", None)

        async def read() -> int:
            return len([packet async for packet in tap.packets()])

        reading = asyncio.create_task(read())
        await asyncio.sleep(0)
        tap.close()
        assert await asyncio.wait_for(reading, 30) == 0
        assert not show.hubs.watched

    asyncio.run(run())
