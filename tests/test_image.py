"""Image files to pictures and back: modes, depths, transparency, orientation, metadata, bad files."""

from __future__ import annotations

import copy
import struct
import zlib
from dataclasses import fields, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageCms, ImageOps

from cae.bitstream import container
from cae.bitstream.errors import ImageError, ImageSizeError
from cae.codec.encode.options import EncodeOptions
from cae.codec.encode.rate_control import prepare
from cae.codec.image.metadata import KINDS, Kind, Metadata, save_options
from cae.codec.image.picture import Picture, read_picture, to_array, to_pil
from cae.codec.image.samples import samples
from cae.codec.image.save import FORMATS, output_format, save_picture

RNG = np.random.default_rng(5)
GREY = RNG.integers(0, 256, (11, 7), dtype=np.uint8)
ALPHA = RNG.integers(0, 256, (11, 7), dtype=np.uint8)
RGB = RNG.integers(0, 256, (11, 7, 3), dtype=np.uint8)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
MAKER = Image.Exif()
MAKER[0x010F] = "Maker"
EACH = Metadata(
    SRGB,
    MAKER.tobytes().removeprefix(b"Exif\0\0"),
    b"<x/>",
    b"\x1c\x02x\0\4line",
    struct.pack("<II", 3000000, 1500000),
    b"\x09\x10\0\1",
)
XMP = b'<x:xmpmeta><rdf tiff:Orientation="6"/></x:xmpmeta>'
REDUCED = "16 bit reduced to 8 bit"
TURNED = "EXIF orientation applied"


def saved(image: Image.Image, format: str, **options: Any) -> BytesIO:
    file = BytesIO()
    image.save(file, format, **options)
    file.seek(0)
    return file


def png(samples: npt.NDArray[Any], bits: int, colour: int, key: bytes = b"", interlaced: bool = False) -> BytesIO:
    """A PNG file made by hand: samples [H, W, C] of 16 bits, or [H, W] of 2 or 4; colour: its number."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = samples.shape[:2]
    adam7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    data = b""
    for top, left, down, right in adam7 if interlaced else [(0, 0, 1, 1)]:
        for row in samples[top::down, left::right]:
            if row.size and bits == 16:
                data += b"\0" + row.astype(">u2").tobytes()
            elif row.size:
                flags = (row[:, None] >> np.arange(bits - 1, -1, -1)) & 1
                data += b"\0" + np.packbits(flags.ravel()).tobytes()
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, int(interlaced))
    return BytesIO(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + (chunk(b"tRNS", key) if key else b"")
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("channels", [0, 1, 2, 3, 4])
def test_arrays(channels: int) -> None:
    array = RNG.integers(0, 256, (5, 6, channels) if channels else (5, 6), dtype=np.uint8)
    picture = read_picture(array)
    assert picture.mode == ["L", "L", "LA", "RGB", "RGBA"][channels]
    assert (picture.width, picture.height, picture.grey) == (6, 5, channels < 3)
    assert np.array_equal(to_array(picture), array.reshape(5, 6) if channels == 1 else array)
    assert not np.shares_memory(picture.pixels, array)
    assert picture.pixels.flags.c_contiguous
    assert picture.pixels.flags.writeable


@pytest.mark.parametrize(
    ("array", "cause"),
    [
        (np.zeros((4, 4, 3), np.float32), "uint8, not float32"),
        (np.zeros((4, 4, 3), np.uint16), "uint8, not uint16"),
        (np.zeros((4, 4, 5), np.uint8), r"not \[4, 4, 5\]"),
        (np.zeros((4,), np.uint8), r"not \[4\]"),
        (np.zeros((0, 4, 3), np.uint8), "no pixels"),
        (np.zeros((4, 0), np.uint8), "no pixels"),
    ],
)
def test_bad_arrays(array: npt.NDArray[Any], cause: str) -> None:
    with pytest.raises(ImageError, match=cause):
        read_picture(array)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_plain_modes_are_kept(mode: str) -> None:
    picture = read_picture(saved(Image.fromarray(RGB).convert(mode), "PNG"))
    assert picture.mode == mode
    assert picture.notes == ()
    assert np.array_equal(to_array(picture), np.asarray(Image.fromarray(RGB).convert(mode)))
    assert to_pil(picture).mode == mode


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("channels", "colour"), [(1, 0), (2, 4), (3, 2), (4, 6)])
def test_16_bit_png(channels: int, colour: int, interlaced: bool) -> None:
    wide = RNG.integers(0, 65536, (13, 17, channels), dtype=np.uint16)
    wide[0, :6] = np.array([0, 128, 129, 65406, 65407, 65535], np.uint16)[:, None]
    picture = read_picture(png(wide, 16, colour, interlaced=interlaced))
    assert picture.notes == (REDUCED,)
    assert picture.grey == (channels < 3)
    assert np.array_equal(to_array(picture).reshape(wide.shape), np.round(wide / 257))


@pytest.mark.parametrize("mode", ["I;16", "I"])
def test_16_bit_grey_images(mode: str) -> None:
    wide = RNG.integers(0, 65536, (5, 6), dtype=np.uint16)
    image = Image.fromarray(wide if mode == "I;16" else wide.astype(np.int32))
    assert image.mode == mode
    picture = read_picture(image)
    assert np.array_equal(picture.pixels, np.round(wide / 257))
    assert picture.notes == (REDUCED,)


def test_16_bit_tiff() -> None:
    tifffile = pytest.importorskip("tifffile")
    wide = RNG.integers(0, 65536, (9, 11, 3), dtype=np.uint16)
    for order in "<>":
        for compression in (None, "zlib"):
            file = BytesIO()
            tifffile.imwrite(file, wide, photometric="rgb", byteorder=order, compression=compression)
            assert np.array_equal(read_picture(BytesIO(file.getvalue())).pixels, np.round(wide / 257))
    file = BytesIO()
    tifffile.imwrite(file, wide.transpose(2, 0, 1).copy(), photometric="rgb", planarconfig="separate")
    with pytest.raises(ImageError, match="plane for each colour"):
        read_picture(BytesIO(file.getvalue()))


def tiff(samples: bytes, bits: int, photometric: int) -> BytesIO:
    """A grey TIFF file of 8x8 pixels made by hand; photometric: 0 where 0 is white, 1 where it is black."""
    size = 10 + 12 * 8 + 4
    tags = {256: 8, 257: 8, 258: bits, 259: 1, 262: photometric, 273: size, 278: 8, 279: len(samples)}
    entries = b"".join(struct.pack("<HHII", tag, 4 if tag == 273 else 3, 1, value) for tag, value in tags.items())
    return BytesIO(b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + samples)


def test_12_bit_tiff() -> None:
    levels = np.append(np.arange(0, 4095, 65), 4095)
    pairs = levels.reshape(-1, 2)
    packed = np.stack([pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255], axis=1)
    file = tiff(packed.astype(np.uint8).tobytes(), 12, 1)
    loaded = Image.open(BytesIO(file.getvalue()))
    loaded.load()
    for source in (file, loaded):
        picture = read_picture(source)
        assert np.array_equal(picture.pixels.ravel(), np.round(levels * 255 / 4095))
        assert picture.notes == ("12 bit reduced to 8 bit",)


@pytest.mark.parametrize("photometric", [0, 1])
def test_16_bit_tiff_with_0_for_white_or_black(photometric: int) -> None:
    wide = np.linspace(0, 65535, 64).astype("<u2").reshape(8, 8)
    picture = read_picture(tiff(wide.tobytes(), 16, photometric))
    assert np.array_equal(picture.pixels, np.round((wide if photometric else 65535 - wide.astype(int)) / 257))
    assert picture.notes == (REDUCED,)


def test_copies_of_open_images() -> None:
    for file in (tiff(bytes(128), 16, 1), saved(Image.fromarray(RGB), "TIFF"), saved(Image.fromarray(RGB), "PNG")):
        with Image.open(BytesIO(file.getvalue())) as image:
            assert np.array_equal(read_picture(copy.deepcopy(image)).pixels, read_picture(file).pixels)


def test_samples_without_a_range_are_refused() -> None:
    with pytest.raises(ImageError, match="floating-point"):
        read_picture(saved(Image.new("F", (3, 3), 0.5), "TIFF"))
    with pytest.raises(ImageError, match=r"outside 0\.\.65535"):
        read_picture(Image.new("I", (3, 3), 70000))


def test_transparent_colours() -> None:
    corner = tuple(int(value) for value in RGB[2, 3])
    picture = read_picture(saved(Image.fromarray(RGB), "PNG", transparency=corner))
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha == 0, (RGB[2, 3] == RGB).all(axis=2))
    picture = read_picture(saved(Image.fromarray(GREY), "PNG", transparency=int(GREY[1, 1])))
    assert picture.mode == "LA"
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha == 0, GREY[1, 1] == GREY)


def test_transparent_colour_of_16_bit_png_is_compared_in_16_bit() -> None:
    wide = np.full((2, 2, 3), 1000, np.uint16)
    wide[0, 0] = 1001  # the same as the others in 8 bits
    picture = read_picture(png(wide, 16, 2, key=struct.pack(">HHH", 1001, 1001, 1001)))
    assert picture.alpha is not None
    assert picture.alpha.tolist() == [[0, 255], [255, 255]]


@pytest.mark.parametrize("bits", [2, 4])
def test_transparent_grey_of_few_bits(bits: int) -> None:
    levels = np.arange(2**bits, dtype=np.uint8).reshape(2, -1)
    picture = read_picture(png(levels, bits, 0, key=struct.pack(">H", 1)))
    assert picture.alpha is not None
    assert np.array_equal(picture.pixels, levels * (255 // (2**bits - 1)))
    assert np.array_equal(picture.alpha == 0, levels == 1)


@pytest.mark.parametrize("transparency", [None, 3, bytes(range(0, 250, 10))])
def test_palette(transparency: int | bytes | None) -> None:
    image = Image.fromarray(RGB).quantize(25)
    options = {} if transparency is None else {"transparency": transparency}
    picture = read_picture(saved(image, "PNG", **options))
    assert picture.notes == ("palette expanded",)
    assert np.array_equal(picture.pixels, np.asarray(image.convert("RGB")))
    assert (picture.alpha is None) == (transparency is None)
    if picture.alpha is not None:
        assert picture.alpha.min() == 0


def test_cmyk() -> None:
    image = Image.fromarray(RGB).convert("CMYK")
    picture = read_picture(saved(image, "TIFF"))
    assert picture.notes == ("CMYK converted to RGB",)
    assert np.array_equal(picture.pixels, np.asarray(image.convert("RGB")))
    broken = read_picture(saved(image, "TIFF", icc_profile=b"no profile" * 20))
    assert broken.notes == ("CMYK converted to RGB",)
    assert broken.metadata.icc is None


def test_black_and_white() -> None:
    picture = read_picture(saved(Image.fromarray(GREY).convert("1"), "PNG"))
    assert picture.grey
    assert set(np.unique(picture.pixels)) == {0, 255}


def test_profile_of_another_colour_space_is_dropped() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    picture = read_picture(saved(Image.fromarray(RGB), "PNG", icc_profile=lab))
    assert picture.metadata.icc is None
    assert picture.notes == ("ICC profile dropped: it is not one for RGB",)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Maker"
    exif[0x8769] = {0x9003: "2020:02:03 04:05:06"}
    file = saved(Image.fromarray(RGB), format, exif=exif.tobytes())
    upright = ImageOps.exif_transpose(Image.open(BytesIO(file.getvalue()))).convert("RGB")
    picture = read_picture(file)
    assert np.array_equal(picture.pixels, np.asarray(upright))
    assert picture.notes == ((TURNED,) if orientation > 1 else ())
    assert picture.metadata.exif is not None
    kept = Image.Exif()
    kept.load(picture.metadata.exif)
    assert kept.get(0x0112, 1) == 1
    assert kept[0x010F] == "Maker"
    assert kept.get_ifd(0x8769)[0x9003] == "2020:02:03 04:05:06"
    again = read_picture(to_pil(picture))
    assert again.notes == ()
    assert np.array_equal(again.pixels, picture.pixels)
    assert again.metadata.exif == picture.metadata.exif


def test_alpha_and_16_bit_turn_with_the_pixels() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(np.dstack([RGB, ALPHA]))
    picture = read_picture(saved(image, "PNG", exif=exif))
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha, np.rot90(ALPHA, -1))
    wide = Image.fromarray(RNG.integers(0, 65536, (4, 6), dtype=np.uint16))
    picture = read_picture(saved(wide, "PNG", exif=exif))
    assert picture.notes == (REDUCED, TURNED)
    assert np.array_equal(picture.pixels, np.rot90(np.round(np.asarray(wide) / 257), -1))


def test_orientation_in_xmp_alone() -> None:
    picture = read_picture(saved(Image.fromarray(RGB), "WEBP", lossless=True, xmp=XMP))
    assert picture.notes == (TURNED,)
    assert np.array_equal(picture.pixels, np.rot90(RGB, -1))
    assert picture.metadata.xmp == XMP.replace(b'"6"', b'"1"')


@pytest.mark.parametrize("junk", [b"II*\0", b"MM\0*\xff\xff\xff\xff", b"junk", b"II*\0\x08\0\0\0\xff\xff\x12\x01"])
def test_damaged_exif_does_no_harm(junk: bytes) -> None:
    picture = read_picture(saved(Image.fromarray(RGB), "PNG", exif=junk))
    assert np.array_equal(picture.pixels, RGB)
    for format in ("png", "jpg", "webp", "tiff"):
        save_picture(Picture(RGB, metadata=Metadata(exif=junk)), BytesIO(), format)


def test_first_frame_of_an_animation() -> None:
    frames = [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
    file = saved(frames[0], "PNG", save_all=True, append_images=frames[1:])
    picture = read_picture(file)
    assert picture.notes == ("first of several frames taken",)
    assert np.array_equal(picture.pixels, RGB)


def test_a_pil_image_is_left_as_it_was() -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    image = Image.open(saved(Image.fromarray(RGB), "PNG", exif=exif, icc_profile=SRGB))
    before = dict(image.info)
    read_picture(image)
    assert image.info == before
    assert image.size == (7, 11)
    assert image.getexif()[0x0112] == 8


LOSSLESS = sorted(set(FORMATS) - {"jpg", "jpeg"})


@pytest.mark.parametrize("format", LOSSLESS)
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_written_and_read_again(format: str, mode: str) -> None:
    pixels = GREY if mode[0] == "L" else RGB
    picture = Picture(pixels, ALPHA if mode.endswith("A") else None)
    file = BytesIO()
    if (format in ("bmp", "ppm", "pgm") and picture.alpha is not None) or (format == "pgm" and mode == "RGB"):
        with pytest.raises(ImageError, match=r"cannot hold transparency|grey images only"):
            save_picture(picture, file, format)
        return
    save_picture(picture, file, format)
    again = read_picture(BytesIO(file.getvalue()))
    if format == "webp" and picture.grey:  # WebP has no grey
        pixels = np.dstack([GREY] * 3)
    assert np.array_equal(again.pixels, pixels)
    assert again.notes == ()
    assert (again.alpha is None) == (picture.alpha is None)
    if again.alpha is not None:
        assert np.array_equal(again.alpha, ALPHA)


@pytest.mark.parametrize("format", ["png", "jpg", "webp", "tiff"])
def test_metadata_is_written(format: str) -> None:
    file = BytesIO()
    save_picture(Picture(RGB, metadata=EACH), file, format)
    again = read_picture(BytesIO(file.getvalue()))
    assert (again.metadata.icc, again.metadata.xmp) == (EACH.icc, EACH.xmp)
    assert again.metadata.exif is not None
    assert b"Maker" in again.metadata.exif


@pytest.mark.parametrize("format", ["png", "jpg", "webp", "tiff"])
def test_long_metadata(format: str) -> None:
    """What JPEG cannot hold is left out and named; all else is kept, and the image is written."""
    limits = {"exif": 65533 - 6, "xmp": 65533 - 29, "icc": 255 * (65533 - 14)}
    assert EACH.exif is not None
    for over in (0, 1):
        blocks = {name: bytes(limit + over) for name, limit in limits.items() if format == "jpg" or name != "icc"}
        if "icc" in blocks:
            blocks["icc"] = SRGB[:20] + blocks["icc"][20:]
        blocks["exif"] = EACH.exif + bytes(limits["exif"] + over - len(EACH.exif))
        file = BytesIO()
        notes = save_picture(Picture(RGB, metadata=Metadata(**blocks)), file, format)
        dropped = format == "jpg" and over == 1
        assert [note.split()[0] for note in notes] == (["ICC", "EXIF", "XMP"] if dropped else [])
        with Image.open(file) as again:
            again.load()
            assert len(again.info.get("xmp", b"")) == (0 if dropped else len(blocks["xmp"]))
            assert again.getexif().get(0x010F) == (None if dropped else "Maker")
            if format == "jpg":
                assert len(again.info.get("icc_profile", b"")) == (0 if dropped else len(blocks["icc"]))


def test_every_kind_of_metadata_is_in_the_table() -> None:
    assert [kind.name for kind, _ in EACH.parts()] == [field.name for field in fields(Metadata)]
    assert {kind.chunk for kind in KINDS} | {
        container.ALPHA,
        container.ALPHA_STREAMS,
        container.PATCHES,
        container.AS_RGB,
    } == container.KNOWN_KINDS
    for label in ("name", "title", "chunk", "key"):
        assert len({getattr(kind, label) for kind in KINDS}) == len(KINDS)
    stripped = prepare(Picture(RGB, metadata=EACH, notes=("kept",)), EncodeOptions(strip=True))
    assert (stripped.metadata, stripped.notes) == (Metadata(), ("kept",))


@pytest.mark.parametrize("format", sorted(set(FORMATS)))
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_formats_hold_the_kinds_of_the_table(kind: Kind, format: str) -> None:
    """And of one kind alone nothing becomes another."""
    alone = Metadata(**{kind.name: getattr(EACH, kind.name)})
    file = BytesIO()
    notes = save_picture(Picture(GREY if format == "pgm" else RGB, metadata=alone), file, format)
    held = FORMATS[format] in kind.formats
    title = "colour (BT.2020 PQ)" if kind.name == "cicp" else kind.title
    assert notes == (() if held else (f"left out, since {FORMATS[format]} holds none: {title}",))
    again = read_picture(BytesIO(file.getvalue())).metadata
    if held and kind.name == "density":  # to what a format counts in
        assert again.density is not None
        assert np.allclose(struct.unpack("<II", again.density), struct.unpack("<II", alone.density or b""), atol=1000)
        again = replace(again, density=alone.density)
    if kind.name == "exif" and FORMATS[format] == "TIFF":  # a new block of the tags
        assert again.exif is not None
        assert b"Maker" in again.exif
        again = replace(again, exif=alone.exif)
    elif kind.name == "xmp" and FORMATS[format] == "TIFF":
        assert again.exif is None
    assert again == (alone if FORMATS[format] in kind.formats else Metadata())


def test_what_a_format_cannot_hold_of_one_kind_costs_no_other() -> None:
    saving, notes = save_options(replace(EACH, xmp=bytes(70000)), "JPEG", grey=False)
    assert (EACH.iptc or b"") in saving.options.pop("extra")
    assert saving.options == {"icc_profile": EACH.icc, "exif": b"Exif\0\0" + (EACH.exif or b""), "dpi": (300, 150)}
    assert notes == (
        "XMP left out: JPEG holds 65,504 bytes of it at most",
        "left out, since JPEG holds none: colour (BT.2020 PQ)",
    )
    saving, notes = save_options(Metadata(b"", b"", b"", b""), "PNG", grey=False)
    assert (saving.options, notes) == ({}, ())
    saving, notes = save_options(EACH, "BMP", grey=False)
    assert (saving.options, notes) == (
        {"dpi": (300, 150), "icc_profile": EACH.icc},
        ("left out, since BMP holds none: EXIF, XMP, IPTC, colour (BT.2020 PQ)",),
    )


def test_jpeg_output(photo: npt.NDArray[np.uint8]) -> None:
    file = BytesIO()
    opaque = np.full(photo.shape[:2], 255, np.uint8)
    save_picture(Picture(photo, opaque), file, "jpg")
    assert np.abs(read_picture(BytesIO(file.getvalue())).pixels.astype(int) - photo).mean() < 3
    opaque[0, 0] = 254
    with pytest.raises(ImageError, match="JPG cannot hold transparency"):
        save_picture(Picture(photo, opaque), BytesIO(), "jpg")
    with pytest.raises(ImageError, match="cannot be written as JPEG"):
        save_picture(Picture(np.zeros((1, 70000, 3), np.uint8)), BytesIO(), "jpg")


def test_output_format() -> None:
    assert output_format("a.b/C.PNG") == "png"
    for name in ("a.gif", "a", "a.cae", ".png"):
        with pytest.raises(ImageError, match="images are written as png"):
            output_format(name)


def test_bad_files(tmp_path: Path) -> None:
    whole = saved(Image.fromarray(np.dstack([RGB, ALPHA])), "PNG").getvalue()
    jpeg = saved(Image.fromarray(RGB).resize((200, 200)), "JPEG").getvalue()
    cases = {
        "empty.png": (b"", "the file is empty"),
        "text.png": (b"hello, this is not an image", "not an image"),
        "short.png": (whole[: len(whole) // 2], "damaged or cut short"),
        "head.png": (whole[:20], "not an image|damaged"),
        "short.jpg": (jpeg[: len(jpeg) // 2], "damaged or cut short"),
        "size.png": (png(np.zeros((0, 5, 3), np.uint16), 16, 2).getvalue(), "damaged|not an image|no pixels"),
        "coded.png": (b"\x89cae\x01" + bytes(30), r"a \.cae file already"),
    }
    for name, (data, cause) in cases.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(ImageError, match=cause) as error:
            read_picture(path)
        assert str(error.value).startswith(f"{path}: ")
        assert "\n" not in str(error.value)
    for path in (tmp_path / "missing.png", tmp_path):
        with pytest.raises(ImageError, match=r"No such file|Is a directory|Permission denied"):
            read_picture(str(path))
    with pytest.raises(ImageError, match="not int"):
        read_picture(5)  # type: ignore[arg-type]


def test_every_cut_of_a_16_bit_file_is_an_image_error() -> None:
    whole = png(RNG.integers(0, 65536, (6, 5, 3), dtype=np.uint16), 16, 2).getvalue()
    for length in range(0, len(whole) - 20, 7):
        with pytest.raises(ImageError):
            read_picture(BytesIO(whole[:length]))


@pytest.mark.parametrize("factor", [1.5, 3.0])
def test_decompression_bombs(factor: float, tmp_path: Path) -> None:
    before = Image.MAX_IMAGE_PIXELS
    limit = int(77 / factor)
    path = tmp_path / "bomb.png"
    path.write_bytes(saved(Image.fromarray(RGB), "PNG").getvalue())
    for source in (path, BytesIO(path.read_bytes()), Image.fromarray(RGB), RGB):
        with pytest.raises(ImageSizeError, match=f"{limit}"):
            read_picture(source, limit)
        assert read_picture(RGB, 77).width == 7
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("limit", [77, 10**9])
def test_other_threads_keep_their_limit(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's limit is one for the process: while an image is read, others still open what they could open before."""
    seen: list[int | None] = []

    def look(*arguments: Any) -> Any:
        seen.append(Image.MAX_IMAGE_PIXELS)
        Image.open(BytesIO(b"P6 10000 9000 255\n"))  # more than the limit, at which Pillow only warns
        return samples(*arguments)

    monkeypatch.setattr("cae.codec.image.picture.samples", look)
    for before in (Image.MAX_IMAGE_PIXELS, None):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", before)
        read_picture(saved(Image.fromarray(RGB), "PNG"), limit)
        least = seen.pop()
        assert least is None if before is None else (least is not None and least >= before)
        assert before == Image.MAX_IMAGE_PIXELS
