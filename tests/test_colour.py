"""What colours mean, through every format; PNG files chunk by chunk; profiles where their colour space fits."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, features

import cae
from cae.codec.image import colour
from cae.codec.image.metadata import Metadata
from cae.codec.image.picture import Picture, read_picture, to_pil
from cae.codec.image.save import save_picture
from cae.errors import ImageError

RGB = np.random.default_rng(17).integers(0, 256, (12, 9, 3), dtype=np.uint8)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
PQ, P3 = b"\x09\x10\0\1", b"\x0c\x0d\0\1"


def chunk(kind: bytes, data: bytes, wrong: bool = False) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) ^ wrong)


def png(*chunks: bytes, pixels: np.ndarray = RGB) -> BytesIO:
    """With chunks after the header."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    data = file.getvalue()
    return BytesIO(data[:33] + b"".join(chunks) + data[33:])


def written(picture: Picture, format: str) -> tuple[bytes, tuple[str, ...]]:
    file = BytesIO()
    notes = save_picture(picture, file, format)
    return file.getvalue(), notes


def linear(icc: bytes, value: int) -> np.ndarray:
    """What a colour management module makes of a neutral value, in sRGB."""
    image = Image.new("RGB" if icc[16:20] == b"RGB " else "L", (1, 1), (value,) * 3 if icc[16:20] == b"RGB " else value)
    made = ImageCms.profileToProfile(
        image, ImageCms.ImageCmsProfile(BytesIO(icc)), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    assert made is not None
    return np.asarray(made)[0, 0].astype(int)


def test_code_points_are_kept() -> None:
    picture = read_picture(png(chunk(b"cICP", PQ)))
    assert picture.metadata.cicp == PQ
    assert picture.notes == ("high dynamic range (BT.2020 PQ) with 8 bits: steps may show",)
    data, notes = written(picture, "png")
    assert (notes, chunk(b"cICP", PQ) in data) == ((), True)
    assert read_picture(BytesIO(data)).metadata == picture.metadata
    assert read_picture(to_pil(picture)).metadata == picture.metadata
    for format in ("jpg", "webp", "tiff", "bmp", "ppm"):
        name = format.upper().replace("JPG", "JPEG")
        assert written(picture, format)[1] == (f"left out, since {name} holds none: colour (BT.2020 PQ)",)
    file = cae.encode(png(chunk(b"cICP", PQ)), effort=1, patches="off")
    assert cae.info(file).chunk_bytes == {"cicp": 4}
    assert cae.decode(file).info["cicp"] == PQ


def test_code_points_become_a_profile() -> None:
    picture = read_picture(png(chunk(b"cICP", P3)))
    for format in ("jpg", "webp", "tiff"):
        data, notes = written(picture, format)
        assert notes == ("colours (Display P3 sRGB) by an ICC profile",)
        icc = read_picture(BytesIO(data)).metadata.icc
        assert icc is not None
        assert np.abs(linear(icc, 128) - 128).max() <= 1
    assert read_picture(png(chunk(b"cICP", b"\1\x0d\0\1"))).metadata == Metadata()
    assert read_picture(png(chunk(b"cICP", b"\1"))).notes == ("damaged and left out: cICP",)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_code_points_of_avif() -> None:
    file = BytesIO()
    Image.fromarray(np.repeat(np.repeat(RGB, 4, 0), 4, 1)).save(file, "AVIF")
    data = bytearray(file.getvalue())
    at = data.find(b"colrnclx")
    assert read_picture(BytesIO(data)).metadata.cicp is None  # sRGB
    data[at + 8 : at + 12] = b"\0\x09\0\x10"
    assert read_picture(BytesIO(data)).metadata.cicp == PQ


@pytest.mark.parametrize("gamma", [1.0, 0.5, 0.45455])
@pytest.mark.parametrize("grey", [False, True])
def test_gamma_and_chromaticities_become_a_profile(gamma: float, grey: bool) -> None:
    gama = chunk(b"gAMA", struct.pack(">I", round(gamma * 100000)))
    pixels = RGB[..., 0] if grey else RGB
    picture = read_picture(png(gama, pixels=pixels))
    if gamma == 0.45455:
        assert picture.metadata == Metadata()
        return
    assert picture.notes == ("gamma and chromaticities kept as an ICC profile",)
    icc = picture.metadata.icc
    assert icc is not None
    light = (100 / 255) ** (1 / gamma)
    srgb = 255 * (1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(linear(icc, 100) - srgb).max() <= 1.5
    assert ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(BytesIO(icc))).strip() == "gAMA and cHRM"
    for format in ("png", "jpg", "tiff"):
        assert read_picture(BytesIO(written(picture, format)[0])).metadata.icc == icc


def test_chromaticities() -> None:
    adobe = struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)
    picture = read_picture(png(chunk(b"cHRM", adobe)))
    assert picture.metadata.icc is not None
    assert np.abs(linear(picture.metadata.icc, 77) - 77).max() <= 1
    srgb = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
    for plain in (chunk(b"cHRM", srgb), chunk(b"cHRM", bytes(32)), chunk(b"sRGB", b"\0") + chunk(b"cHRM", adobe)):
        assert read_picture(png(plain)).metadata == Metadata()
    assert read_picture(png(chunk(b"gAMA", bytes(4)))).metadata == Metadata()


@pytest.mark.parametrize("kind", [b"pHYs", b"tEXt", b"iCCP", b"gAMA", b"eXIf", b"tRNS", b"zzZz"])
def test_a_wrong_checksum_where_it_does_not_matter(kind: bytes) -> None:
    picture = read_picture(png(chunk(kind, b"a\0bcdefghij", wrong=True)))
    assert np.array_equal(picture.pixels, RGB)
    assert picture.notes == (f"damaged and left out: {kind.decode()}",)
    assert picture.metadata == Metadata()


def test_a_wrong_checksum_where_it_matters() -> None:
    data = png().getvalue()
    for kind in (b"IHDR", b"IDAT"):
        at = data.index(kind)
        end = at + 4 + int.from_bytes(data[at - 4 : at])
        with pytest.raises(ImageError, match=f"checksum of its chunk {kind.decode()}"):
            read_picture(BytesIO(data[:end] + bytes([data[end] ^ 1]) + data[end + 1 :]))


def test_png_without_its_end() -> None:
    data = png().getvalue()
    picture = read_picture(BytesIO(data[:-12]))
    assert np.array_equal(picture.pixels, RGB)
    assert picture.notes == ("the file lacks its end; all pixels are there",)
    for length in range(8, len(data) - 12, 9):
        with suppress(ImageError):
            assert np.array_equal(read_picture(BytesIO(data[:length])).pixels, RGB)
    with pytest.raises(ImageError, match="damaged or cut short"):
        read_picture(BytesIO(data[: len(data) // 2]))


def test_long_profiles_and_texts() -> None:
    icc = SRGB[:128] + bytes(1_500_000)
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2_000_000)))
    xmp = b"<x>" + b" " * 1_500_000 + b"</x>"
    itxt = chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp))
    picture = read_picture(png(chunk(b"iCCP", b"n\0\0" + zlib.compress(icc)), text, itxt))
    assert (picture.metadata.icc, picture.metadata.xmp) == (icc, xmp)
    assert picture.notes == ("text left out: Comment",)
    data, notes = written(picture, "png")
    assert notes == ("ICC profile left out: many programs refuse a PNG file with more than 1,048,576 bytes of it",)
    with Image.open(BytesIO(data)) as image:
        image.load()
    assert read_picture(BytesIO(data)).metadata.xmp == xmp
    bomb = chunk(b"iCCP", b"n\0\0" + zlib.compress(bytes(2**26 + 1)))
    assert read_picture(png(bomb)).notes == ("damaged and left out: iCCP",)


def test_what_old_programs_write_as_text() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    block = exif.tobytes()
    raw = chunk(b"tEXt", b"Raw profile type exif\0\nexif\n%8d\n%s\n" % (len(block), block.hex().encode()))
    picture = read_picture(png(raw, chunk(b"tIME", bytes(7))))
    assert picture.metadata.exif == block.removeprefix(b"Exif\0\0")
    assert picture.notes == ("chunks left out: time of the last change (tIME)",)
    for format in ("png", "jpg", "tiff"):
        again = read_picture(BytesIO(written(Picture(RGB, metadata=Metadata(iptc=b"\x1c\2x\0\1a")), format)[0]))
        assert again.metadata.iptc == b"\x1c\2x\0\1a"


GREY_ICC = colour.profile_of_png(0.55, None, grey=True) or b""


@pytest.mark.parametrize("format", ["png", "jpg", "webp", "tiff"])
@pytest.mark.parametrize(
    ("pixels", "icc"), [(RGB, SRGB), (RGB[..., 0], SRGB), (RGB[..., 0], GREY_ICC), (RGB, GREY_ICC)]
)
def test_profiles_fit_the_pixels(pixels: np.ndarray, icc: bytes, format: str) -> None:
    """Whatever the mode is that a format has: the profile is of its kind, and means the same."""
    data, notes = written(Picture(pixels, metadata=Metadata(icc=icc)), format)
    with Image.open(BytesIO(data)) as image:
        found = image.info["icc_profile"]
        assert found[16:20] == (b"GRAY" if image.mode == "L" else b"RGB ")
    assert (found == icc) == (notes == ())
    for value in (20, 128, 240):
        assert np.abs(linear(found, value) - linear(icc, value)).max() <= 1


def test_profiles_that_fit_nothing_are_left_out() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for pixels, name in ((RGB, "RGB"), (RGB[..., 0], "grey")):
        assert written(Picture(pixels, metadata=Metadata(icc=lab)), "png")[1] == (
            f"ICC profile left out: it is not one for {name}",
        )
        assert "icc_profile" not in to_pil(Picture(pixels, metadata=Metadata(icc=lab))).info


@pytest.mark.parametrize("junk", [b"", bytes(128), SRGB[:200], SRGB[:16] + b"GRAY" + SRGB[20:300]])
def test_damaged_profiles_are_survived(junk: bytes) -> None:
    for pixels in (RGB, RGB[..., 0]):
        options: dict[str, Any] = {"metadata": Metadata(icc=junk)}
        written(Picture(pixels, **options), "png")
