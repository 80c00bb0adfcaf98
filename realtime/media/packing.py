"""Encoded packets to RTP payloads, once for all who get them: aiortc splits and stamps each packet anew for each peer."""

import av
from aiortc import RTCRtpCapabilities, RTCRtpSender
from aiortc.codecs import get_encoder

Payloads = tuple[list[bytes], int]  # of a packet, and its RTP timestamp
KEPT_PACKETS = 16  # more than a hub lets wait for a viewer


class SharedPacker:
    """In the place of the encoder that each sender of a hub's packets would have."""

    def __init__(self, mime_type: str):
        """Raises ValueError for a codec that aiortc does not have."""
        capabilities: RTCRtpCapabilities = RTCRtpSender.getCapabilities(mime_type.partition("/")[0])
        self._encoder = get_encoder(next(c for c in capabilities.codecs if c.mimeType.lower() == mime_type.lower()))
        # by identity, of packets that are kept alive; oldest first
        self._packed: dict[int, tuple[av.Packet, Payloads]] = {}

    def pack(self, packet: av.Packet) -> Payloads:
        """The same for every viewer."""
        if known := self._packed.get(id(packet)):
            return known[1]
        payloads: Payloads = self._encoder.pack(packet)
        self._packed[id(packet)] = packet, payloads
        if len(self._packed) > KEPT_PACKETS:
            del self._packed[next(iter(self._packed))]
        return payloads


def install(sender: RTCRtpSender, packer: SharedPacker) -> None:
    """Uses a private name of aiortc 1.16, which tests/test_packing.py pins."""
    sender._RTCRtpSender__encoder = packer
