"""Pictures from strangers are read upright and bounded, or refused before anything large is unpacked."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

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


WRONG_TYPE = (  # orientation 6, and a resolution that is a word
    b"MM\0*\0\0\0\x08\0\x02" + b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0" + b"\x01\x1a\0\x02\0\0\0\x04abc\0" + b"\0\0\0\0"
)


@pytest.mark.parametrize("kind", pictures.FORMATS)
@pytest.mark.parametrize(
    ("exif", "shape"),
    [(b"MM\0*", (30, 40, 3)), (b"II+\0\x08\0\0\0" + b"\x10" + bytes(39), (30, 40, 3)), (WRONG_TYPE, (40, 30, 3))],
    ids=["cut off", "BigTIFF", "wrong type"],
)
def test_what_is_damaged_in_exif_is_ignored(kind: str, exif: bytes, shape: tuple[int, int, int]) -> None:
    data = encoded(Image.new("RGB", (40, 30)), kind, exif=b"Exif\0\0" + exif, dpi=(72, 72))
    assert read_picture(data).shape == shape


def test_each_orientation_of_exif_is_turned_as_pillow_turns_it() -> None:
    picture = Image.effect_noise((40, 30), 50)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = encoded(picture, "PNG", exif=exif)
        with Image.open(io.BytesIO(data)) as stored:
            turned = ImageOps.exif_transpose(stored).convert("RGB")
        assert np.array_equal(read_picture(data), turned)


def test_the_greys_of_a_16_bit_picture_stay_apart() -> None:
    deep = np.zeros((30, 40), np.uint16)
    deep[:, 10:], deep[:, 20:], deep[:, 30:] = 0x4000, 0x40FF, 0xFFFF
    whole = read_picture(encoded(Image.fromarray(deep), "PNG"))
    assert whole[5, ::10].tolist() == [[0] * 3, [0x40] * 3, [0x40] * 3, [255] * 3]
    cut_out = read_picture(encoded(Image.fromarray(deep), "PNG", transparency=0x4000))
    assert cut_out[5, ::10].tolist() == [[0] * 3, [128] * 3, [0x40] * 3, [255] * 3]


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
