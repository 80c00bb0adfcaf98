"""Each packet is split into RTP payloads once, as aiortc would for each viewer."""

import asyncio

import av
import numpy as np
import pytest
from aiortc import RTCPeerConnection, RTCRtpSender
from aiortc.codecs import get_encoder

from realtime.media import packing
from realtime.media.encoder import picture_encoder, sound_encoder
from realtime.media.hub import Hub
from realtime.media.packing import KEPT_PACKETS, SharedPacker

RNG = np.random.default_rng(0)


def packets(mime_type: str, count: int) -> list[av.Packet]:
    if mime_type == "audio/opus":
        encoder = sound_encoder("opus")
        sound = (RNG.standard_normal((count, 960)) * 3000).astype(np.int16)
        return [packet for block, samples in enumerate(sound) for packet in encoder.encode(samples, block)]
    encoder = picture_encoder("H264" if mime_type == "video/H264" else "VP8", 256)
    pictures = RNG.integers(0, 256, (count, 256, 256, 3), np.uint8)
    return [packet for frame, picture in enumerate(pictures) for packet in encoder.encode(picture, frame, frame == 0)]


@pytest.mark.parametrize("mime_type", ["audio/opus", "video/H264", "video/VP8"])
def test_every_viewer_gets_what_aiortc_would_make_of_it(mime_type: str) -> None:
    codecs = RTCRtpSender.getCapabilities(mime_type.partition("/")[0]).codecs
    alone = get_encoder(next(codec for codec in codecs if codec.mimeType.lower() == mime_type.lower()))
    shared, sent = SharedPacker(mime_type), packets(mime_type, 4)
    if mime_type == "video/VP8":
        alone.picture_id = shared._encoder.picture_id  # begins at random
    assert len(sent) >= 4
    for packet in sent:
        expected = alone.pack(packet)
        first, second = shared.pack(packet), shared.pack(packet)
        assert first == expected and second is first


def test_pictures_are_numbered_as_they_leave_whoever_reads_them_first() -> None:
    hub, sent = Hub("video", 12), packets("video/VP8", 4)
    packer, _ = hub.packer("video/VP8"), hub.subscribe()
    alone = get_encoder(next(c for c in RTCRtpSender.getCapabilities("video").codecs if c.mimeType == "video/VP8"))
    alone.picture_id = packer._encoder.picture_id
    hub.publish(sent)
    expected = [alone.pack(packet) for packet in sent]
    assert [packer.pack(packet) for packet in reversed(sent)] == expected[::-1]


def test_what_no_viewer_waits_for_is_forgotten() -> None:
    packer, sent = SharedPacker("audio/opus"), packets("audio/opus", 3 * KEPT_PACKETS)
    for packet in sent:
        packer.pack(packet)
    assert len(packer._packed) == KEPT_PACKETS


def test_a_sender_of_this_aiortc_packs_with_what_is_installed() -> None:
    async def run() -> None:
        connection, hub = RTCPeerConnection(), Hub("audio", 12)
        sender = connection.addTrack(hub.subscribe())
        packing.install(sender, hub.packer("audio/opus"))
        (packet,) = packets("audio/opus", 1)
        hub.publish([packet])
        encoded = await sender._next_encoded_frame(RTCRtpSender.getCapabilities("audio").codecs[0])
        assert (encoded.payloads, encoded.timestamp) == hub.packer("audio/opus")._packed[id(packet)][1]
        await connection.close()

    asyncio.run(run())
