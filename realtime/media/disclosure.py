"""Says that the avatar is made by AI: a label burned into every picture, and marks that machines read."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Place = Literal["top_left", "top_right", "bottom_left", "bottom_right", "none"]
TEXTS = {
    "en": "AI-generated", "zh": "AI 生成", "de": "KI-generiert", "fr": "Généré par IA", "es": "Generado por IA",
    "pt": "Gerado por IA", "it": "Generato da IA", "ja": "AI生成", "ko": "AI 생성",
}  # fmt: skip
MAX_TEXT = 40  # characters; a longer one does not fit a small picture
MARK = "AI-generated (FLAP Live)"
DIGITAL_SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"  # IPTC's term for made by AI
# Chinese rules (GB 45438-2025) ask for letters of at least a twentieth of the shorter side
LETTER_HEIGHT = 1 / 18
PLATE_OPACITY = 0.55
SEI_ID = bytes.fromhex("5b1e0c0a8d6f4f0f9b1c66e1a7f1f1a9")  # ours; tells this message from other user data


@dataclass(frozen=True)
class Disclosure:
    """What the label says and where it stands; `place` "none" leaves the pictures as they are."""

    text: str = TEXTS["en"]
    place: Place = "bottom_left"

    def burn(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A copy of the RGB picture `[h, w, 3]` with the label on it."""
        if self.place == "none":
            return picture
        label, kept = plate(self.text, min(picture.shape[:2]))
        out = picture.copy()
        blend(out, label, kept, *_corner(self.place, picture.shape[:2], label.shape[:2]))
        return out


def blend(picture: NDArray[np.uint8], label: NDArray[np.uint16], kept: NDArray[np.uint16], top: int, left: int) -> None:
    """Puts a plate on the picture, in place."""
    region = picture[top : top + label.shape[0], left : left + label.shape[1]]
    region[:] = (region * kept + label) >> 8


@lru_cache(maxsize=32)
def plate(text: str, side: int) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """White letters on a dark plate `[h, w, 3]` for a picture whose shorter side is `side`, times 256, and how much of
    the picture is kept below them, in 256ths."""
    text = text.encode(
        errors="replace"
    ).decode()  # half a character, which an environment may hold, is the end of OpenCV
    font, pixels = cv2.FontFace("sans"), round(side * LETTER_HEIGHT * 1.35)  # capitals are 0.74 of a font's size
    weight = 500
    wide = cv2.getTextSize((8 * side, side), text, (0, 0), font, pixels, weight)[2]
    margin = max(3, pixels // 3)
    height, width = pixels + margin, wide + 2 * margin
    letters = np.zeros((height, width, 3), np.uint8)
    cv2.putText(letters, text, (margin, round(0.88 * pixels)), (255, 255, 255), font, pixels, weight)
    fit = min(1.0, 0.94 * side / width)
    if fit < 1:  # a long text becomes smaller rather than cut off
        letters = np.asarray(cv2.resize(letters, None, fx=fit, fy=fit, interpolation=cv2.INTER_AREA), np.uint8)
    opacity = np.maximum(letters / 255, PLATE_OPACITY)
    return (256.0 * letters * opacity).astype(np.uint16), (256 * (1 - opacity)).astype(np.uint16)


def _corner(place: Place, picture: tuple[int, ...], label: tuple[int, ...]) -> tuple[int, int]:
    """Top and left of the label."""
    margin = min(picture) // 40
    top = margin if place.startswith("top") else picture[0] - label[0] - margin
    left = margin if place.endswith("left") else picture[1] - label[1] - margin
    return top, left


def mark_h264(access_unit: bytes) -> bytes:
    """An H.264 key frame (Annex B) with a message of unregistered user data (SEI type 5) before its first slice."""
    slice_start = access_unit.find(b"\x00\x00\x01\x65")
    if slice_start < 0:
        return access_unit
    payload = SEI_ID + MARK.encode() + b"\x00"
    message = b"\x00\x00\x01\x06" + bytes([5, len(payload)]) + payload + b"\x80"
    return access_unit[:slice_start] + message + access_unit[slice_start:]


def mark_jpeg(jpeg: bytes) -> bytes:
    """A JPEG with IPTC's digital source type as XMP (APP1) after its first marker."""
    xmp = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
        f'Iptc4xmpExt:DigitalSourceType="{DIGITAL_SOURCE}"/></rdf:RDF></x:xmpmeta>'
    )
    segment = b"http://ns.adobe.com/xap/1.0/\x00" + xmp.encode()
    return jpeg[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + jpeg[2:]
