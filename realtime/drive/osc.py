"""OSC 1.0 packets, as far as VMC uses them: bundles of messages with strings, integers and floats.

python-osc reads them too; it makes an object of every message, and took twice as long for the two hundred that a VMC sender gives
sixty times a second, on the loop that also moves the packets of sound and picture.
"""

import struct
from collections.abc import Container, Iterator
from dataclasses import dataclass

MAX_PACKET_BYTES = 65_507  # of UDP over IPv4
MAX_DEPTH = 4  # bundles in bundles
_SIZES = {"i": 4, "f": 4, "h": 8, "d": 8, "t": 8}
_FORMATS = {"i": ">i", "f": ">f", "h": ">q", "d": ">d", "t": ">Q"}
_CONSTANTS = {"T": True, "F": False, "N": None, "I": float("inf")}


class BadPacket(ValueError):
    """A packet that is not what its port is for; the message says why."""


@dataclass(frozen=True)
class OscMessage:
    address: str
    arguments: tuple[object, ...]


def messages(packet: bytes, wanted: Container[str], depth: int = 0) -> Iterator[OscMessage]:
    """The messages of a packet whose address is `wanted`, in order. Raises BadPacket."""
    if packet.startswith(b"#bundle\0"):
        if depth >= MAX_DEPTH:
            raise BadPacket("bundles lie too deep in each other")
        at = 16  # after the time tag
        while at < len(packet):
            size = _number(packet, at, ">i")
            if not 0 < size <= len(packet) - at - 4:
                raise BadPacket("a part of a bundle is cut off")
            yield from messages(packet[at + 4 : at + 4 + int(size)], wanted, depth + 1)
            at += 4 + int(size)
        return
    address, at = _string(packet, 0)
    if not address.startswith("/"):
        raise BadPacket("neither an OSC message nor a bundle")
    if address in wanted:
        yield OscMessage(address, _arguments(packet, at))


def _arguments(packet: bytes, at: int) -> tuple[object, ...]:
    if at == len(packet):
        return ()
    tags, at = _string(packet, at)
    if not tags.startswith(","):
        raise BadPacket("arguments without types")
    found: list[object] = []
    for tag in tags[1:]:
        if tag in "sS":
            text, at = _string(packet, at)
            found.append(text)
        elif tag in _FORMATS:
            found.append(_number(packet, at, _FORMATS[tag]))
            at += _SIZES[tag]
        elif tag in _CONSTANTS:
            found.append(_CONSTANTS[tag])
        else:
            raise BadPacket(f"an argument of the type {tag!r}")
    return tuple(found)


def _number(packet: bytes, at: int, form: str) -> float:
    try:
        return struct.unpack_from(form, packet, at)[0]  # type: ignore[no-any-return]
    except struct.error as error:
        raise BadPacket("a number is cut off") from error


def _string(packet: bytes, at: int) -> tuple[str, int]:
    """The string that begins at `at`, and where the next thing begins: strings fill words of four bytes."""
    end = packet.find(b"\0", at)
    if end < 0:
        raise BadPacket("a string without an end")
    try:
        return packet[at:end].decode("ascii"), min((end + 4) // 4 * 4, len(packet))
    except UnicodeDecodeError as error:
        raise BadPacket("a string that is not ASCII") from error
