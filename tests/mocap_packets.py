"""Packets as face-tracking apps send them, written from their formats, not recorded from an app."""

import struct
from collections.abc import Mapping

from realtime.drive.mocap import LIVE_LINK_NUMBERS, LIVE_LINK_SHAPES


def live_link_packet(shapes: Mapping[str, float], head_rad: tuple[float, float, float] = (0, 0, 0)) -> bytes:
    """`head_rad` is yaw, pitch, roll."""
    numbers = [shapes.get(name, 0.0) for name in LIVE_LINK_SHAPES] + [*head_rad] + [0.0] * 6
    names = b"".join(
        struct.pack(">i", len(text)) + text for text in (b"8F1B0F4C-0000-4000-8000-000000000000", b"iPhone")
    )
    return (
        bytes([6]) + names + struct.pack(">ifiiB", 1200, 0.5, 60, 1, LIVE_LINK_NUMBERS) + struct.pack(">61f", *numbers)
    )


def ifacialmocap_packet(
    shapes: Mapping[str, int],
    head_deg: tuple[float, float, float] = (0, 0, 0),
    *,
    mark: str = "&",
    tracked: bool = True,
) -> bytes:
    """`head_deg` is pitch, yaw, roll."""
    weights = "|".join(f"{name}{mark}{weight}" for name, weight in {"trackingStatus": int(tracked), **shapes}.items())
    head = ",".join(f"{angle:g}" for angle in head_deg)
    return f"{weights}|=head#{head},0.01,-0.02,-0.4|rightEye#1.1,2.2,0|leftEye#1.1,2.2,0|".encode()


def osc_message(address: str, *arguments: object) -> bytes:
    """A message of strings, integers and floats."""
    tags, body = ",", b""
    for argument in arguments:
        if isinstance(argument, str):
            tags, body = tags + "s", body + osc_string(argument)
        else:
            kind = "i" if isinstance(argument, int) else "f"
            tags, body = tags + kind, body + struct.pack(f">{kind}", argument)
    return osc_string(address) + osc_string(tags) + body


def osc_string(text: str) -> bytes:
    raw = text.encode() + b"\0"
    return raw + b"\0" * (-len(raw) % 4)


def osc_bundle(*parts: bytes) -> bytes:
    return b"#bundle\0" + bytes(8) + b"".join(struct.pack(">i", len(part)) + part for part in parts)


def vmc_packet(shapes: Mapping[str, float], head: tuple[float, ...] | None = None) -> bytes:
    """`head` is a quaternion in Unity's axes."""
    parts = [osc_message("/VMC/Ext/Blend/Val", name, float(weight)) for name, weight in shapes.items()]
    if head:
        parts.append(osc_message("/VMC/Ext/Bone/Pos", "Head", 0.0, 0.1, 0.0, *head))
    parts += [osc_message("/VMC/Ext/Bone/Pos", "LeftHand", *([0.5] * 7)), osc_message("/VMC/Ext/Blend/Apply")]
    return osc_bundle(*parts)
