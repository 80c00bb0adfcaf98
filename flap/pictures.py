"""Reads pictures that strangers send: three formats, bounded size, upright, 8-bit RGB. Needs Pillow (the `faces` extra)."""

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP")
MAX_PICTURE_BYTES = 16 * 2**20
MAX_PICTURE_PIXELS = 50_000_000
BEHIND = (128, 128, 128, 255)  # where a picture is transparent
MAX_SIDE = 2048  # longer pictures are scaled down: a head needs no more
ORIENTATION = 0x0112  # EXIF's tag
TO_UPRIGHT = {
    2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE", 6: "ROTATE_270", 7: "TRANSVERSE", 8: "ROTATE_90",
}  # fmt: skip


class PictureError(Exception):
    """A picture cannot be used; `code` names why, the message says what to do."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


def read_picture(data: bytes) -> NDArray[np.uint8]:
    """The file's picture `[h, w, 3]`, turned as its EXIF says, at most MAX_SIDE long.

    The size is read before anything is unpacked. Raises PictureError `too_large` or `unreadable`.
    """
    from PIL import Image, UnidentifiedImageError

    if len(data) > MAX_PICTURE_BYTES:
        raise PictureError("too_large", f"the file is longer than {MAX_PICTURE_BYTES // 2**20} MiB: send a smaller one")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MAX_PICTURE_PIXELS:
                millions = MAX_PICTURE_PIXELS // 1_000_000
                raise PictureError("too_large", f"the picture has more than {millions} million pixels: scale it down")
            image.draft("RGB", (MAX_SIDE, MAX_SIDE))  # JPEG: unpacks no more than is needed
            is_cut_out = image.has_transparency_data
            image.load()
            turn = _turn(image)
            upright = image.transpose(Image.Transpose[turn]) if turn else image
            if upright.mode == "I;16":
                upright = _shallow(upright)
            upright = upright.convert("RGBA" if is_cut_out else "RGB")
            upright.thumbnail((MAX_SIDE, MAX_SIDE))
            if is_cut_out:  # what was taken out must not come back
                upright = Image.alpha_composite(Image.new("RGBA", upright.size, BEHIND), upright).convert("RGB")
            return np.array(upright)
    except UnidentifiedImageError as error:
        raise PictureError("unreadable", "the file is no JPEG, PNG or WebP picture: convert it") from error
    except Image.DecompressionBombError as error:  # so large that Pillow does not even tell the size
        raise PictureError("too_large", f"{error}: scale it down") from error
    except (OSError, ValueError, SyntaxError) as error:  # what Pillow's decoders raise
        raise PictureError("unreadable", f"the picture is damaged ({error}): save it again") from error


def _turn(image: "Image.Image") -> str | None:
    """Which of Pillow's transpositions makes the picture upright; damaged EXIF counts as none."""
    try:
        return TO_UPRIGHT.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # Pillow's EXIF parser has no error of its own
        return None


def _shallow(image: "Image.Image") -> "Image.Image":
    """16-bit grey as 8-bit grey and alpha: Pillow's own conversion cuts off all that is brighter than nearly black."""
    from PIL import Image

    deep = np.asarray(image)
    alpha = (deep != image.info.get("transparency", -1)) * np.uint8(255)
    return Image.fromarray(np.stack([(deep >> 8).astype(np.uint8), alpha], -1))
