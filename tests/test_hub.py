"""Packets reach every viewer; a slow one loses its own only."""

import asyncio

import av
import pytest
from aiortc.mediastreams import MediaStreamError

from realtime.media.bitrate import RATES
from realtime.media.hub import KEY_FRAME_INTERVAL_S, Hub, Hubs


def packet(number: int, key: bool = False) -> av.Packet:
    made = av.Packet(b"x")
    made.pts, made.is_keyframe = number, key
    return made


def test_every_viewer_gets_every_packet_in_order() -> None:
    async def run() -> None:
        hub = Hub("video", 4)
        one, other = hub.subscribe(), hub.subscribe()
        packets = [packet(0, key=True), packet(1)]
        hub.publish(packets)
        assert [await track.recv() for track in (one, one, other, other)] == packets * 2

    asyncio.run(run())


def test_a_slow_viewer_is_emptied_and_gets_a_key_frame() -> None:
    async def run() -> None:
        hub = Hub("video", 3)
        slow, quick = hub.subscribe(), hub.subscribe()
        assert hub.take_key_frame_request(0.0)
        hub.publish([packet(0, key=True)])
        assert (await slow.recv()).pts == (await quick.recv()).pts == 0
        for number in range(1, 5):
            hub.publish([packet(number)])
            assert (await quick.recv()).pts == number
        assert hub.dropped == 3
        assert hub.take_key_frame_request(1.0)
        hub.publish([packet(5), packet(6, key=True), packet(7)])
        assert [(await slow.recv()).pts for _ in range(2)] == [6, 7]

    asyncio.run(run())


def test_a_viewer_who_does_not_connect_costs_the_others_no_key_frames() -> None:
    async def run() -> None:
        hub = Hub("video", 3)
        coming, quick = hub.subscribe(), hub.subscribe()
        assert hub.take_key_frame_request(0.0)
        for number in range(20):
            hub.publish([packet(number, key=number == 0)])
            assert (await quick.recv()).pts == number
            assert not hub.take_key_frame_request(number + 1.0)
        assert hub.dropped == 0, "nobody has missed anything"
        came = asyncio.create_task(coming.recv())
        await asyncio.sleep(0)
        assert hub.take_key_frame_request(30.0), "now somebody waits for one"
        hub.publish([packet(20), packet(21, key=True)])
        assert (await came).pts == 21

    asyncio.run(run())


def test_a_viewer_of_video_starts_at_a_key_frame_and_one_of_sound_at_once() -> None:
    async def run() -> None:
        picture, sound = Hub("video", 4), Hub("audio", 4)
        viewer, listener = picture.subscribe(), sound.subscribe()
        for hub in (picture, sound):
            hub.publish([packet(1), packet(2, key=True)])
        assert (await viewer.recv()).pts == 2
        assert (await listener.recv()).pts == 1

    asyncio.run(run())


def test_key_frame_requests_close_together_are_one() -> None:
    hub = Hub("video", 3)
    assert hub.take_key_frame_request(10.0)
    hub.request_key_frame()
    hub.request_key_frame()
    assert not hub.take_key_frame_request(10.0 + KEY_FRAME_INTERVAL_S / 2)
    assert hub.take_key_frame_request(10.0 + KEY_FRAME_INTERVAL_S)
    assert not hub.take_key_frame_request(20.0)


def test_a_stopped_track_wakes_its_reader_and_is_forgotten() -> None:
    async def run() -> None:
        hubs = Hubs.create()
        track = hubs.video["H264"].subscribe()
        assert hubs.watched
        reading = asyncio.create_task(track.recv())
        await asyncio.sleep(0)
        track.stop()
        with pytest.raises(MediaStreamError):
            await reading
        assert not hubs.watched

    asyncio.run(run())


def test_one_viewer_who_asks_again_and_again_makes_few_key_frames_and_another_is_served_at_once() -> None:
    async def run() -> None:
        hub = Hub("video", 3)
        broken, other = hub.subscribe(), hub.subscribe()
        assert hub.take_key_frame_request(-10.0)
        made = 0
        for tick in range(50):
            hub.viewer_asks(broken, 0.2 * tick)
            made += hub.take_key_frame_request(0.2 * tick)
        assert made <= 10
        hub.viewer_asks(other, 9.9)
        assert hub.take_key_frame_request(10.3)

    asyncio.run(run())


def test_pictures_take_fewer_bits_while_those_who_watch_lose_many_packets() -> None:
    async def run() -> None:
        hub = Hub("video", 3)
        assert hub.bits_per_second(0.0) == RATES[256][0]
        slow, quick = hub.subscribe(), hub.subscribe()

        def after(seconds: float, begin_s: float, **lost: float) -> int:
            for tick in range(round(seconds)):
                for track, share in ((slow, lost.get("slow")), (quick, lost.get("quick"))):
                    if share is not None:
                        hub.viewer_loses(track, share, begin_s + tick)
                rate = hub.bits_per_second(begin_s + tick)
            return rate

        assert after(10, 0, slow=0.4) == RATES[256][0], "one slow viewer slows nobody"
        assert after(5, 10, slow=0.4, quick=0.4) == RATES[256][1]
        slow.stop()
        assert after(14, 15, quick=0.0) == RATES[256][0]
        assert after(5, 30, quick=0.4) == RATES[256][1]
        assert after(100, 35) == RATES[256][0], "who reports no more is taken to lose nothing"

    asyncio.run(run())


def test_a_request_of_a_viewer_who_has_gone_is_not_kept() -> None:
    hub = Hub("video", 3)
    track = hub.subscribe()
    track.stop()
    hub.viewer_asks(track, 1.0)
    assert not hub._asked_s
