"""OSC packets are read as they are written, and whatever is none is refused without harm."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.drive.osc import BadPacket, OscMessage, messages
from tests.mocap_packets import osc_bundle, osc_message, osc_string

EVERYTHING = frozenset(("/a", "/b"))


def test_messages_come_in_order_out_of_bundles_in_bundles() -> None:
    packet = osc_bundle(osc_message("/a", "x", 1, 0.5), osc_bundle(osc_message("/b")), osc_message("/a", "longer name"))
    assert list(messages(packet, EVERYTHING)) == [
        OscMessage("/a", ("x", 1, 0.5)), OscMessage("/b", ()), OscMessage("/a", ("longer name",)),
    ]  # fmt: skip


def test_what_is_not_wanted_is_passed_over() -> None:
    assert list(messages(osc_bundle(osc_message("/c", 1.0), osc_message("/b", 2)), EVERYTHING)) == [
        OscMessage("/b", (2,))
    ]


def test_every_type_that_senders_use_is_read() -> None:
    packet = osc_string("/a") + osc_string(",hdTFN") + struct.pack(">qd", 7, 0.25)
    assert next(messages(packet, EVERYTHING)).arguments == (7, 0.25, True, False, None)


@pytest.mark.parametrize(
    ("packet", "says"),
    [
        (b"", "a string without an end"),
        (b"hello\0\0\0", "neither an OSC message nor a bundle"),
        (osc_message("/a", 1.0)[:-2], "a number is cut off"),
        (osc_bundle(osc_message("/a"))[:-3], "a part of a bundle is cut off"),
        (osc_bundle() + struct.pack(">i", -4), "a part of a bundle is cut off"),
        (osc_string("/a") + osc_string("f") + bytes(4), "arguments without types"),
        (osc_string("/a") + osc_string(",b") + bytes(4), "an argument of the type 'b'"),
        (osc_string("/a") + b",s\0\0" + b"\xff\xfe\0\0", "not ASCII"),
        (osc_bundle(osc_bundle(osc_bundle(osc_bundle(osc_bundle(osc_message("/a")))))), "too deep"),
    ],
)
def test_what_is_no_packet_is_refused_with_a_reason(packet: bytes, says: str) -> None:
    with pytest.raises(BadPacket, match=says):
        list(messages(packet, EVERYTHING))


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda tail: b"#bundle\0" + bytes(8) + tail))
def test_any_bytes_are_read_or_refused(packet: bytes) -> None:
    try:
        list(messages(packet, EVERYTHING))
    except BadPacket:
        pass
