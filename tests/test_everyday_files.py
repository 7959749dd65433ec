"""Resolution, IPTC, files without their end, and what the Python interface takes for a file."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, IptcImagePlugin

import cae
from cae.codec.image import density, jpeg, photoshop
from cae.codec.image.metadata import Metadata
from cae.codec.image.picture import Picture, read_picture, to_pil
from cae.codec.image.save import save_picture
from cae.errors import ImageError, InputError

RNG = np.random.default_rng(13)
RGB = np.asarray(Image.fromarray(RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)).resize((72, 48)))
IPTC = b"\x1c\x02x\0\x0eA made up line\x1c\x02\x19\0\3key"


def saved(format: str, **options: Any) -> bytes:
    file = BytesIO()
    Image.fromarray(RGB).save(file, format, **options)
    return file.getvalue()


def written(picture: Picture, format: str) -> tuple[bytes, tuple[str, ...]]:
    file = BytesIO()
    notes = save_picture(picture, file, format)
    return file.getvalue(), notes


@pytest.mark.parametrize("dpi", [(300, 300), (72, 72), (96, 144)])
@pytest.mark.parametrize("source", ["JPEG", "PNG", "TIFF", "BMP"])
def test_resolution_is_kept(source: str, dpi: tuple[int, int]) -> None:
    picture = read_picture(BytesIO(saved(source, dpi=dpi)))
    assert to_pil(picture).info["dpi"] == pytest.approx(dpi, abs=0.02)
    for format in ("png", "jpg", "tiff", "bmp"):
        data, notes = written(picture, format)
        assert notes == ()
        with Image.open(BytesIO(data)) as image:
            assert image.info["dpi"] == pytest.approx(dpi, abs=0.02)
    for format in ("webp", "ppm"):
        assert written(picture, format)[1] == (f"left out, since {format.upper()} holds none: resolution",)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_no_resolution_stays_none(format: str) -> None:
    picture = read_picture(BytesIO(written(Picture(RGB), format.lower().replace("jpeg", "jpg"))[0]))
    assert picture.metadata == Metadata()


def test_resolution_of_exif() -> None:
    """It is in the EXIF block once, and said by every format that has a place for it."""
    exif = Image.Exif()
    exif[282], exif[283], exif[296] = 118.0, 118.0, 3
    picture = read_picture(BytesIO(saved("WEBP", exif=exif)))
    assert picture.metadata.density is None
    for format in ("png", "jpg", "tiff", "bmp"):
        with Image.open(BytesIO(written(picture, format)[0])) as image:
            assert image.info["dpi"] == pytest.approx((299.72, 299.72), abs=0.5)
        if format != "bmp":
            assert read_picture(BytesIO(written(picture, "jpg")[0])).metadata.exif == picture.metadata.exif


def test_metres_and_centimetres_are_exact() -> None:
    for metres in (2835, 11811, 3937, 1):
        data = density.packed((metres * 0.0254, metres * 0.0254))
        assert data is not None
        assert density.unpacked(data)[0] * 10000 == metres * 254
    for nothing in (None, (0, 0), (300, 0), (float("nan"), 1), (1e9, 1e9), ("a", 1), 300, (1, 1)):
        assert density.packed(nothing) is None
    assert density.sound(bytes(8)) == density.sound(bytes(7)) == b""


def test_the_shape_of_pixels_is_said_to_be_lost() -> None:
    data = bytearray(saved("JPEG", dpi=(300, 300)))
    data[13:18] = b"\0\0\2\0\1"
    assert read_picture(BytesIO(data)).notes == ("pixel aspect ratio 2:1 left out",)


def with_iptc(format: str) -> bytes:
    resources = b"8BIM\4\x25\0\0\0\0\0\1x\0" + photoshop.resources_of_iptc(IPTC)
    if format == "JPEG":
        segment = b"Photoshop 3.0\0" + resources
        return saved("JPEG", extra=b"\xff\xed" + (len(segment) + 2).to_bytes(2) + segment)
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    tags = ImageFileDirectory_v2()
    tag = 33723 if format == "TIFF" else 34377
    tags.tagtype[tag] = 7
    tags[tag] = IPTC if format == "TIFF" else resources
    return saved("TIFF", tiffinfo=tags)


@pytest.mark.parametrize("source", ["JPEG", "TIFF", "Photoshop's TIFF"])
def test_iptc_is_kept(source: str) -> None:
    picture = read_picture(BytesIO(with_iptc(source)))
    assert picture.metadata.iptc == IPTC
    assert to_pil(picture).info["iptc"] == IPTC
    assert read_picture(to_pil(picture)).metadata.iptc == IPTC
    for format in ("jpg", "tiff"):
        data, notes = written(picture, format)
        assert notes == ()
        assert read_picture(BytesIO(data)).metadata.iptc == IPTC
        with Image.open(BytesIO(data)) as image:
            assert IptcImagePlugin.getiptcinfo(image) == {(2, 120): b"A made up line", (2, 25): b"key"}
    for format in ("webp", "bmp", "ppm"):
        assert written(picture, format)[1] == (f"left out, since {format.upper()} holds none: IPTC",)
    _, notes = written(Picture(RGB, metadata=Metadata(iptc=IPTC + bytes(65507))), "jpg")
    assert notes == ("IPTC left out: JPEG holds 65,506 bytes of it at most",)


@pytest.mark.parametrize("junk", [b"", b"8BIM", b"8BIM\4\4", b"8BIM\4\4\0\0\xff\xff\xff\xff", b"8BIM\4\4\xff", b"x"])
def test_damaged_resources_are_none(junk: bytes) -> None:
    assert photoshop.iptc_of_resources(junk) is None


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 30}], ids=str)
def test_jpeg_without_its_end(options: dict[str, Any]) -> None:
    whole = saved("JPEG", **options)
    expected = read_picture(BytesIO(whole)).pixels
    for missing in (whole[:-2], whole[:-1]):
        picture = read_picture(BytesIO(missing))
        assert np.array_equal(picture.pixels, expected)
        assert picture.notes == ("the file lacks its end marker; all pixels are there",)
    for length in (len(whole) // 2, len(whole) * 9 // 10, len(whole) - 20):
        with pytest.raises(ImageError, match="damaged or cut short"):
            read_picture(BytesIO(whole[:length]))
    assert jpeg.completed(b"\xff\xd8\xff") is None


def test_files_of_the_python_interface(tmp_path: Path) -> None:
    data = cae.encode(RGB, effort=1)
    path = tmp_path / "a.cae"
    path.write_bytes(data)
    expected = np.asarray(cae.decode(data))
    for file in (path, str(path), bytearray(data), memoryview(data), BytesIO(data)):
        assert np.array_equal(np.asarray(cae.decode(file)), expected)
    assert cae.info(path) == cae.info(memoryview(data)) == cae.info(data)
    images = cae.Codec().decode_many([path, data])
    assert [np.array_equal(np.asarray(image), expected) for image in images] == [True, True]


@pytest.mark.parametrize("wrong", [5, None, RGB, [1], 1.5, object()], ids=lambda wrong: type(wrong).__name__)
def test_what_is_no_file(wrong: Any, tmp_path: Path) -> None:
    for call in (cae.decode, cae.info, lambda file: cae.Codec().decode_many([file])):
        with pytest.raises(InputError, match="bytes, a path or a binary file, not"):
            call(wrong)
    with pytest.raises(InputError, match="No such file"):
        cae.decode(tmp_path / "none.cae")
    (tmp_path / "text").write_text("text")
    with (tmp_path / "text").open() as file, pytest.raises(InputError, match="binary mode"):
        cae.decode(file)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [
        {"quality": "50"},
        {"quality": None},
        {"quality": [50]},
        {"target_size": "5k"},
        {"target_psnr": "30"},
        {"effort": "2"},
        {"device": 5},
        {"max_pixels": "9"},
    ],
    ids=str,
)
def test_options_of_a_wrong_type(options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        cae.encode(RGB, **options)


def test_views_of_a_wrong_type() -> None:
    data = cae.encode(RGB, effort=1)
    for options in ({"region": 5}, {"region": "abcd"}, {"region": ()}, {"scale": "2"}, {"scale": None}):
        with pytest.raises(InputError):
            cae.decode(data, **options)  # type: ignore[arg-type]
