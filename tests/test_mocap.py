"""Packets of face-tracking apps become what the protocol calls a frame, with the performer's own left and right."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flap import coefficients as co
from realtime.drive.mocap import FORGET_FRAMES, LIVE_LINK_SHAPES, Parser, Vmc, ifacialmocap, live_link
from realtime.drive.osc import BadPacket
from realtime.protocol.directives import DriveFrame
from tests.mocap_packets import ifacialmocap_packet, live_link_packet, osc_bundle, osc_message, vmc_packet


def angles(frame: DriveFrame | None) -> tuple[float, float, float]:
    assert frame
    return frame.yaw_deg, frame.pitch_deg, frame.roll_deg


def unity(axis: str, angle_deg: float) -> tuple[float, ...]:
    """A quaternion about one of Unity's axes."""
    half = math.radians(angle_deg) / 2
    return tuple(math.sin(half) if axis == name else 0.0 for name in "xyz") + (math.cos(half),)


def test_live_link_has_every_shape_of_arkit() -> None:
    assert set(LIVE_LINK_SHAPES) == co.ARKIT_NAMES


def test_a_live_link_packet_is_read() -> None:
    frame = live_link(live_link_packet({"jawOpen": 0.5, "eyeBlinkLeft": 1.2}, (0.2, -0.1, 0.05)))
    assert frame.shapes["jawOpen"] == pytest.approx(0.5) and frame.shapes["eyeBlinkLeft"] == 1
    assert angles(frame) == pytest.approx((math.degrees(0.2), math.degrees(-0.1), math.degrees(0.05)))
    assert frame.source == "live_link" and frame.tracked


@pytest.mark.parametrize("mark", ["&", "-"])
def test_both_versions_of_ifacialmocap_are_read(mark: str) -> None:
    frame = ifacialmocap(ifacialmocap_packet({"mouthSmile_L": 80, "jawOpen": 10}, (-5, 12, 3), mark=mark))
    assert frame.shapes == {"mouthSmileLeft": 0.8, "jawOpen": 0.1}
    assert angles(frame) == (12, -5, 3)
    assert not ifacialmocap(ifacialmocap_packet({}, tracked=False)).tracked


def test_vmc_is_read_with_arkit_names_of_any_spelling_and_the_heads_quaternion() -> None:
    read = Vmc()
    assert read(osc_message("/VMC/Ext/Blend/Val", "JawOpen", 0.5)) is None, "a frame is complete when it is applied"
    frame = read(vmc_packet({"browInnerUp": 0.25, "Mouth_Smile_Left": 2.0, "Joy": 1.0}, unity("y", -20)))
    assert frame and frame.shapes == {"jawOpen": 0.5, "browInnerUp": 0.25, "mouthSmileLeft": 1.0}
    assert angles(frame) == pytest.approx((20, 0, 0), abs=1e-3), "Unity turns the other way"


@pytest.mark.parametrize(("axis", "place", "sign"), [("x", 1, 1), ("y", 0, -1), ("z", 2, -1)])
def test_unitys_axes_become_ours(axis: str, place: int, sign: int) -> None:
    turned = angles(Vmc()(vmc_packet({"A": 0.0}, unity(axis, 15))))
    assert turned[place] == pytest.approx(15 * sign, abs=1e-3)


def test_vrm_expressions_stand_in_where_arkits_names_do_not_come() -> None:
    frame = Vmc()(vmc_packet({"A": 1.0, "Blink_L": 0.5, "nonsense": 1.0}))
    assert frame and frame.shapes == {"jawOpen": 0.7, "eyeBlinkLeft": 0.5}
    frame = Vmc()(vmc_packet({"aa": 1.0, "happy": 0.5}))
    assert frame and frame.shapes["jawOpen"] == 0.7 and frame.shapes["mouthSmileRight"] == 0.4


def test_vmc_says_when_it_has_nobody() -> None:
    frame = Vmc()(osc_bundle(osc_message("/VMC/Ext/OK", 0)))
    assert frame and not frame.tracked


def test_who_is_lost_stays_lost_until_vmc_says_otherwise() -> None:
    reads = Vmc()
    for tracks in (0, 1):
        reads(osc_bundle(osc_message("/VMC/Ext/OK", 1, 3, 0, tracks)))
        frame = reads(vmc_packet({"A": 0.5}))
        assert frame and frame.tracked == bool(tracks)


BAD: list[tuple[Callable[[], Parser], bytes, str]] = [
    (lambda: live_link, b"\x05" + live_link_packet({})[1:], "not version 6"),
    (lambda: live_link, live_link_packet({})[:-1], "cut off"),
    (lambda: live_link, b"\x06\x7f\xff\xff\xff", "a name is cut off"),
    (lambda: live_link, live_link_packet({})[:-245] + b"\0", "0 numbers instead of 61"),
    (lambda: live_link, live_link_packet({"jawOpen": math.nan}), "not finite"),
    (lambda: ifacialmocap, b"jawOpen&1", "no head"),
    (lambda: ifacialmocap, b"jawOpen&x|=head#0,0,0", "no number"),
    (lambda: ifacialmocap, b"jawOpen|=head#0,0,0", "is no weight"),
    (lambda: ifacialmocap, b"jawOpen&nan|=head#0,0,0", "no number"),
    (lambda: ifacialmocap, b"jawOpen&1|=head#0,0", "3 or 6 numbers"),
    (lambda: ifacialmocap, b"\xff\xff", "not text"),
    (Vmc, osc_message("/VMC/Ext/Blend/Val", "A", "b"), "other arguments"),
    (Vmc, vmc_packet({"A": math.inf}), "not finite"),
    (Vmc, vmc_packet({"A": 1.0}, (0.0, 0.0, 0.0, 0.0)), "a bone without rotation"),
]


@pytest.mark.parametrize(("parser", "packet", "says"), BAD)
def test_what_is_no_packet_of_the_app_is_refused(parser: Callable[[], Parser], packet: bytes, says: str) -> None:
    with pytest.raises(BadPacket, match=says):
        parser()(packet)


WHOLE = (
    live_link_packet({"jawOpen": 0.5}),
    ifacialmocap_packet({"jawOpen": 10}),
    vmc_packet({"A": 1.0}, unity("y", 5)),
)


@given(st.sampled_from(WHOLE), st.integers(0, 400), st.binary(max_size=8))
def test_a_packet_with_any_bytes_changed_gives_a_frame_within_the_protocol_or_is_refused(
    packet: bytes, at: int, noise: bytes
) -> None:
    at = at % len(packet)
    for read in (live_link, ifacialmocap, Vmc()):
        try:
            frame = read(packet[:at] + noise + packet[at + len(noise) :])
        except BadPacket:
            continue
        if frame:
            assert all(0 <= weight <= 1 for weight in frame.shapes.values()) and set(frame.shapes) <= co.ARKIT_NAMES
            assert all(-90 <= angle <= 90 for angle in angles(frame))


def test_an_avatar_with_vrms_names_alone_moves_after_one_with_arkits() -> None:
    reads = Vmc()
    reads(vmc_packet({"jawOpen": 0.5}))
    shapes = [reads(vmc_packet({"A": 1.0})).shapes for _ in range(FORGET_FRAMES + 1)]  # type: ignore[union-attr]
    assert shapes[FORGET_FRAMES - 1]["jawOpen"] == 0.5, "ARKit's own count while they may come"
    assert shapes[FORGET_FRAMES] == Vmc()(vmc_packet({"A": 1.0})).shapes  # type: ignore[union-attr]
