"""Packets of face-tracking apps to `drive.frame`: iFacialMocap, Live Link Face, and VMC with ARKit or VRM names.

All of them call sides the performer's own and give ARKit's axes, which are those of `flap.coefficients`; VMC gives Unity's, in which
x points the other way. None of these readers has met its app: they follow published readers and senders of the same packets.
"""

import math
import struct
from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np

from flap import coefficients as co
from realtime.drive.osc import BadPacket, messages
from realtime.protocol.directives import MAX_SEEN_DEG, DriveFrame

IFACIALMOCAP_START = b"iFacialMocap_sahuasouryya9218sauhuiayeta91555dy3719|sendDataVersion=v2"  # asks a phone to send
IFACIALMOCAP_PORT = 49_983  # of phone and computer
LIVE_LINK_VERSION = 6
LIVE_LINK_SHAPES = (
    "eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft", "eyeSquintLeft", "eyeWideLeft",
    "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight", "eyeSquintRight", "eyeWideRight",
    "jawForward", "jawLeft", "jawRight", "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft", "mouthRight",
    "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight", "mouthDimpleLeft", "mouthDimpleRight",
    "mouthStretchLeft", "mouthStretchRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
    "mouthPressLeft", "mouthPressRight", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff", "cheekSquintLeft",
    "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip
LIVE_LINK_NUMBERS = len(LIVE_LINK_SHAPES) + 9  # then yaw, pitch and roll of head, left and right eye, radians
VMC_BLEND, VMC_APPLY, VMC_BONE, VMC_OK = (
    "/VMC/Ext/Blend/Val",
    "/VMC/Ext/Blend/Apply",
    "/VMC/Ext/Bone/Pos",
    "/VMC/Ext/OK",
)
VMC_WANTED = frozenset((VMC_BLEND, VMC_APPLY, VMC_BONE, VMC_OK))
_BOTH_EYES = {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}
_SMILE = {"mouthSmileLeft": 0.8, "mouthSmileRight": 0.8, "cheekSquintLeft": 0.4, "cheekSquintRight": 0.4}
VRM_SHAPES: Mapping[str, Mapping[str, float]] = {  # what a VRM expression of either version is in ARKit's shapes
    "a": {"jawOpen": 0.7}, "i": {"jawOpen": 0.15, "mouthStretchLeft": 0.5, "mouthStretchRight": 0.5},
    "u": {"jawOpen": 0.15, "mouthPucker": 0.7}, "e": {"jawOpen": 0.35, "mouthStretchLeft": 0.3, "mouthStretchRight": 0.3},
    "o": {"jawOpen": 0.45, "mouthFunnel": 0.6}, "blink": _BOTH_EYES, "blinkl": {"eyeBlinkLeft": 1.0},
    "blinkr": {"eyeBlinkRight": 1.0}, "joy": _SMILE, "fun": _SMILE, "angry": {"browDownLeft": 0.9, "browDownRight": 0.9},
    "sorrow": {"browInnerUp": 0.8, "mouthFrownLeft": 0.5, "mouthFrownRight": 0.5},
}  # fmt: skip
VRM_NAMES = {
    "aa": "a", "ih": "i", "ou": "u", "ee": "e", "oh": "o", "blinkleft": "blinkl", "blinkright": "blinkr", "happy": "joy",
    "relaxed": "fun", "sad": "sorrow",
}  # fmt: skip
_ARKIT_BY_LETTERS = {name.lower(): name for name in co.ARKIT_NAMES}

Parser = Callable[[bytes], DriveFrame | None]


def ifacialmocap(packet: bytes) -> DriveFrame:
    """`name&12|..=head#x,y,z,px,py,pz|..` (version 2) or `name-12|..`; weights of 0 to 100, degrees. Raises BadPacket."""
    try:
        weights, separator, places = packet.decode("ascii").partition("=")
    except UnicodeDecodeError as error:
        raise BadPacket("not text") from error
    if not separator:
        raise BadPacket("no head in it")
    found: dict[str, float] = {}
    for part in filter(None, weights.split("|")):
        name, given, value = part.partition("&")
        if not given:
            name, given, value = part.partition("-")
        if not given:
            raise BadPacket(f"{part[:40]!r} is no weight")
        found[name] = _float(value)
    head = next((part for part in places.split("|") if part.startswith("head#")), "")
    angles = [_float(value) for value in head.removeprefix("head#").split(",")] if head else []
    if len(angles) not in (3, 6):
        raise BadPacket("the head must have 3 or 6 numbers")
    shapes = {_arkit(name): value / 100 for name, value in found.items() if name != "trackingStatus"}
    tracked = found.get("trackingStatus", 1.0) > 0
    return _frame("ifacialmocap", shapes, angles[1], angles[0], angles[2], tracked)


def live_link(packet: bytes) -> DriveFrame:
    """Version byte, two names, frame time, 61 floats, all big-endian; the names have their length before them. Raises BadPacket."""
    if len(packet) < 2 or packet[0] != LIVE_LINK_VERSION:
        raise BadPacket(f"not version {LIVE_LINK_VERSION} of Live Link Face")
    try:
        at = 1
        for _ in range(2):  # the device's id, the subject's name
            (length,) = struct.unpack_from(">i", packet, at)
            if not 0 <= length <= len(packet):
                raise BadPacket("a name is cut off")
            at += 4 + length
        *_, count = struct.unpack_from(">ifiiB", packet, at)
        if count != LIVE_LINK_NUMBERS:
            raise BadPacket(f"{count} numbers instead of {LIVE_LINK_NUMBERS}: is a face seen?")
        numbers = struct.unpack_from(f">{count}f", packet, at + struct.calcsize(">ifiiB"))
    except struct.error as error:
        raise BadPacket("the packet is cut off") from error
    shapes = dict(zip(LIVE_LINK_SHAPES, numbers, strict=False))
    yaw, pitch, roll = (math.degrees(_finite(angle)) for angle in numbers[len(LIVE_LINK_SHAPES) :][:3])
    return _frame("live_link", shapes, yaw, pitch, roll)


FORGET_FRAMES = 60


class Vmc:
    """Reads VMC packets, which say what has changed; a frame is complete with `Blend/Apply`, or `OK` when there are only bones."""

    def __init__(self) -> None:
        self._weights: dict[str, float] = {}
        self._bones: dict[str, np.ndarray] = {}
        self._tracked = True  # as its last OK said
        self._vrm_came, self._vrm_alone = False, 0  # since the last frame; frames in a row without a name of ARKit's

    def __call__(self, packet: bytes) -> DriveFrame | None:
        """A frame, if the packet completes one. Raises BadPacket."""
        complete, read = False, 0
        for message in messages(packet, VMC_WANTED):
            read += 1
            match message.address, message.arguments:
                case (address, (str(name), float(weight))) if address == VMC_BLEND:
                    self._weigh(name, _finite(weight))
                case (address, (str(bone), *place)) if address == VMC_BONE and len(place) == 7:
                    if bone in ("Head", "Neck"):
                        self._bones[bone] = _rotation(place[3:])
                case (address, _) if address == VMC_APPLY:
                    complete = True
                case (address, (int(loaded), *more)) if address == VMC_OK:
                    complete, self._tracked = True, bool(loaded) and (len(more) < 3 or more[2] != 0)
                case _:
                    raise BadPacket(f"{message.address} with other arguments than VMC's")
        if not complete:
            return None
        self._vrm_alone += self._vrm_came
        self._vrm_came = False
        turned = self._bones.get("Neck", np.eye(3)) @ self._bones.get("Head", np.eye(3))
        pitch, yaw, roll = (math.degrees(angle) for angle in co.euler_from_matrix(turned))
        return _frame("vmc", self._shapes(), yaw, pitch, roll, self._tracked)

    def _weigh(self, name: str, weight: float) -> None:
        letters = "".join(filter(str.isalnum, name)).lower()
        known = _ARKIT_BY_LETTERS.get(letters) or VRM_NAMES.get(letters, letters)
        if known in co.ARKIT_NAMES or known in VRM_SHAPES:
            self._weights[known] = min(max(weight, 0.0), 1.0)
            if known in co.ARKIT_NAMES:
                self._vrm_alone = 0
            else:
                self._vrm_came = True

    def _shapes(self) -> dict[str, float]:
        """ARKit's shapes; those of VRM expressions count where ARKit's own do not come, or come no more: another avatar was loaded."""
        shapes = {name: weight for name, weight in self._weights.items() if name in co.ARKIT_NAMES}
        if shapes and self._vrm_alone <= FORGET_FRAMES:
            return shapes
        for name in shapes:
            del self._weights[name]
        shapes = {}
        for name, weight in self._weights.items():
            for shape, share in VRM_SHAPES[name].items():
                shapes[shape] = min(shapes.get(shape, 0.0) + share * weight, 1.0)
        return shapes


def _rotation(quaternion: list[object]) -> np.ndarray:
    """Unity's quaternion (x, y, z, w) as a matrix in ARKit's axes, `[3, 3]`."""
    x, y, z, w = (_finite(float(number)) if isinstance(number, float) else math.nan for number in quaternion)
    length = math.sqrt(x * x + y * y + z * z + w * w)
    if not length > 1e-3:
        raise BadPacket("a bone without rotation")
    x, y, z, w = x / length, -y / length, -z / length, w / length  # x points the other way
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


@lru_cache(maxsize=256)
def _arkit(name: str) -> str:
    """ARKit's name of one that ends in `_L` or `_R`."""
    for end, side in (("_L", "Left"), ("_R", "Right")):
        if name.endswith(end):
            return name.removesuffix(end) + side
    return name


def _frame(
    source: str, shapes: Mapping[str, float], yaw_deg: float, pitch_deg: float, roll_deg: float, tracked: bool = True
) -> DriveFrame:
    """Within the ranges of the protocol; names that ARKit does not have are left out."""
    weights = {n: min(max(_finite(w), 0.0), 1.0) for n, w in shapes.items() if n in co.ARKIT_NAMES}
    yaw, pitch, roll = (min(max(angle, -MAX_SEEN_DEG), MAX_SEEN_DEG) for angle in (yaw_deg, pitch_deg, roll_deg))
    return DriveFrame(source, source, weights, yaw, pitch, roll, tracked=tracked)


def _float(text: str) -> float:
    try:
        return _finite(float(text))
    except ValueError as error:
        raise BadPacket(f"{text[:20]!r} is no number") from error


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise BadPacket("a number that is not finite")
    return number
