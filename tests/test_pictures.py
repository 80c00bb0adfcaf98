"""Pictures from strangers are read upright and bounded, or refused before anything large is unpacked."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from flap import pictures
from flap.pictures import PictureError, read_picture


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize("kind", pictures.FORMATS)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_each_format_is_read_as_rgb(kind: str, mode: str) -> None:
    picture = read_picture(encoded(Image.new(mode, (40, 30), "white"), kind))
    assert picture.shape == (30, 40, 3) and picture.dtype == np.uint8 and picture.min() > 250


def test_a_phone_s_picture_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise
    assert read_picture(encoded(Image.new("RGB", (40, 30)), "JPEG", exif=exif)).shape == (40, 30, 3)


def test_a_large_picture_is_scaled_down() -> None:
    assert max(read_picture(encoded(Image.new("RGB", (3000, 1000)), "JPEG")).shape) == pictures.MAX_SIDE


@pytest.mark.parametrize("side", [9_000, 60_000])
def test_a_picture_of_too_many_pixels_is_refused_by_its_header(side: int) -> None:
    bomb = bytearray(encoded(Image.new("L", (8, 8)), "PNG"))
    bomb[16:24] = side.to_bytes(4, "big") * 2
    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
    with pytest.raises(PictureError, match="scale it down") as refusal:
        read_picture(bytes(bomb))
    assert refusal.value.code == "too_large"


def test_a_long_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_PICTURE_BYTES", 10)
    with pytest.raises(PictureError) as refusal:
        read_picture(encoded(Image.new("L", (8, 8)), "PNG"))
    assert refusal.value.code == "too_large"


@pytest.mark.parametrize(
    "data",
    [
        b"", b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>", encoded(Image.new("L", (8, 8)), "BMP"),
        encoded(Image.effect_noise((64, 64), 50), "PNG")[:900], encoded(Image.effect_noise((64, 64), 50), "JPEG")[:300],
    ],
)  # fmt: skip
def test_what_is_no_whole_picture_is_unreadable(data: bytes) -> None:
    with pytest.raises(PictureError) as refusal:
        read_picture(data)
    assert refusal.value.code == "unreadable"


def test_what_was_cut_out_of_a_picture_stays_out() -> None:
    picture = np.zeros((30, 40, 4), np.uint8)
    picture[:, :, 0], picture[:, 20:, 3] = 200, 255  # red, of which the left half was removed
    for cut_out in (Image.fromarray(picture), Image.fromarray(picture).quantize(4)):
        read = read_picture(encoded(cut_out, "PNG"))
        assert np.abs(read[:, :19].astype(int) - 128).max() < 3 and read[5, 30, 0] > 180
