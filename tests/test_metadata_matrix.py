"""Every kind of metadata, from every format of an input that has it, to every format of an output: kept, converted or
noted, and nothing else."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, features
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from cae.bitstream.errors import ImageError
from cae.codec.image import bmp as bmp_files
from cae.codec.image import gif as gif_files
from cae.codec.image import photoshop
from cae.codec.image.chunks import metadata_of, to_chunks
from cae.codec.image.metadata import KINDS, Metadata
from cae.codec.image.picture import Picture, read_picture
from cae.codec.image.save import FORMATS, save_picture

RGB = np.random.default_rng(23).integers(0, 256, (16, 16, 3), dtype=np.uint8)
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
IPTC = b"\x1c\x02x\0\4line"
P3 = (0.68, 0.32, 0, 0.265, 0.69, 0.045, 0.15, 0.06, 0.79)
MAKER = Image.Exif()
MAKER[0x010F] = "Maker"


def saved(format: str, **options: Any) -> bytes:
    file = BytesIO()
    Image.fromarray(RGB).save(file, format, **options)
    return file.getvalue()


def tags(tag: int, data: bytes) -> bytes:
    found = ImageFileDirectory_v2()
    found.tagtype[tag] = 7
    found[tag] = data
    return saved("TIFF", tiffinfo=found)


def png(kind: bytes, data: bytes) -> bytes:
    whole = saved("PNG")
    chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return whole[:33] + chunk + whole[33:]


def iptc_segment() -> bytes:
    content = b"Photoshop 3.0\0" + photoshop.resources_of_iptc(IPTC)
    return b"\xff\xed" + (len(content) + 2).to_bytes(2) + content


def avif_with_pq() -> bytes:
    data = bytearray(saved("AVIF"))
    at = data.find(b"colrnclx")
    data[at + 8 : at + 12] = b"\0\x09\0\x10"
    return bytes(data)


def bmp(space: bytes, points: tuple[int, ...] = (0,) * 9, gamma: int = 0) -> bytes:
    """In version 4 of the format, which has no room for a profile."""
    whole = saved("BMP", dpi=(0, 0))
    more = bytes(16) + space + struct.pack("<9I", *points) + 3 * struct.pack("<I", gamma)
    begin = whole[:10] + (54 + len(more)).to_bytes(4, "little") + (40 + len(more)).to_bytes(4, "little")
    return begin + whole[18:54] + more + whole[54:]


def gif(name: bytes, data: bytes) -> bytes:
    """With data of an application, as GIF has them: in blocks, but for an XMP packet."""
    whole = saved("GIF")
    begin = 13 + (3 << (whole[10] & 7) + 1)
    if name == b"XMP DataXMP":
        data += b"\1" + bytes(range(255, -1, -1))
    else:
        data = b"".join(bytes([len(data[at : at + 255])]) + data[at : at + 255] for at in range(0, len(data), 255))
    return whole[:begin] + b"!\xff\x0b" + name + data + b"\0" + whole[begin:]


def each(kind: str, formats: tuple[str, ...], **options: Any) -> dict[tuple[str, str], Callable[[], bytes]]:
    """Of formats that Pillow writes it to by itself."""
    return {(kind, format): partial(saved, format, **options) for format in formats}


INPUTS: dict[tuple[str, str], Callable[[], bytes]] = {
    **each("icc", ("PNG", "JPEG", "WEBP", "TIFF"), icc_profile=ICC),
    ("icc", "BMP"): lambda: bmp_files.with_profile(saved("BMP", dpi=(0, 0)), ICC),
    ("icc", "GIF"): lambda: gif(b"ICCRGBG1012", ICC),
    **each("exif", ("PNG", "JPEG", "WEBP", "TIFF"), exif=MAKER),
    **each("xmp", ("JPEG", "WEBP"), xmp=XMP),
    ("xmp", "PNG"): lambda: png(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
    ("xmp", "TIFF"): lambda: tags(700, XMP),
    ("xmp", "GIF"): lambda: gif(b"XMP DataXMP", XMP),
    ("iptc", "GIF"): lambda: gif(b"MGKIPTC0000", IPTC),
    ("iptc in resources", "GIF"): lambda: gif(b"MGK8BIM0000", photoshop.resources_of_iptc(IPTC)),
    ("iptc", "JPEG"): lambda: saved("JPEG", extra=iptc_segment()),
    ("iptc", "TIFF"): lambda: tags(33723, IPTC),
    ("iptc", "PNG"): lambda: png(b"tEXt", b"Raw profile type iptc\0" + photoshop.text_of_iptc(IPTC).encode()),
    **each("density", ("PNG", "JPEG", "TIFF", "BMP"), dpi=(300, 300)),
    ("cicp", "PNG"): lambda: png(b"cICP", b"\x09\x10\0\1"),
    ("display P3", "PNG"): lambda: png(b"cICP", b"\x0c\x0d\0\1"),
    ("gamma", "PNG"): lambda: png(b"gAMA", struct.pack(">I", 100000)),
    # Chromaticities of Display P3, as ImageMagick has them.
    ("gamma", "BMP"): lambda: bmp(bytes(4), tuple(round(v * 2**30) for v in P3), round(0.4545 * 65536)),
    ("comment", "GIF"): lambda: saved("GIF", comment=b"words"),
    ("data of its own", "GIF"): lambda: gif(b"MINE    1.0", b"words"),
    ("profile elsewhere", "BMP"): lambda: bmp_files.with_profile(saved("BMP", dpi=(0, 0)), b"c:\\a.icm\0").replace(
        b"DEBM", b"KNIL"
    ),
    ("cut profile", "BMP"): lambda: bmp_files.with_profile(saved("BMP", dpi=(0, 0)), ICC)[:-1],
    ("comment", "PNG"): lambda: png(b"tEXt", b"Comment\0words"),
    ("comment", "JPEG"): lambda: saved("JPEG", comment=b"words"),
    ("time", "PNG"): lambda: png(b"tIME", bytes(7)),
}
if features.check("avif"):
    INPUTS |= {
        ("icc", "AVIF"): lambda: saved("AVIF", icc_profile=ICC),
        ("exif", "AVIF"): lambda: saved("AVIF", exif=MAKER),
        ("xmp", "AVIF"): lambda: saved("AVIF", xmp=XMP),
        ("cicp", "AVIF"): avif_with_pq,
    }

TITLES = {kind.name: kind.title for kind in KINDS}


def what_is_kept(metadata: Metadata) -> dict[str, object]:
    """Each kind, as far as all formats can hold it: of EXIF the tag, of a resolution whole dots."""
    kept: dict[str, object] = {kind.name: data for kind, data in metadata.parts()}
    if metadata.exif:
        kept["exif"] = b"Maker" in metadata.exif
    if metadata.density:
        kept["density"] = tuple(round(side / 10000) for side in struct.unpack("<II", metadata.density))
    return kept


@pytest.mark.parametrize("output", sorted({*FORMATS} - {"jpeg", "tif"}))
@pytest.mark.parametrize(("kind", "source"), INPUTS, ids=lambda word: word)
def test_kept_converted_or_noted(kind: str, source: str, output: str) -> None:
    read = read_picture(BytesIO(INPUTS[kind, source]()))
    expected = what_is_kept(read.metadata)
    if not expected:  # said when it was read
        assert any("left out" in note for note in read.notes)
        return
    if kind == "gamma":
        assert read.notes == ("gamma and chromaticities kept as an ICC profile",)
    alike = {"gamma": "icc", "display P3": "cicp", "iptc in resources": "iptc"}
    assert list(expected) == [alike.get(kind, kind)]
    assert metadata_of(to_chunks(read, 1)) == read.metadata
    pixels = RGB[..., 0] if output == "pgm" else RGB
    file = BytesIO()
    notes = save_picture(Picture(pixels, metadata=read.metadata), file, output)
    found = what_is_kept(read_picture(BytesIO(file.getvalue())).metadata)
    (name,) = expected
    kept = found == expected
    converted = len(notes) == 1 and "ICC profile" in notes[0] and "left out" not in notes[0] and list(found) == ["icc"]
    noted = len(notes) == 1 and "left out" in notes[0] and TITLES[name] in notes[0] and not found
    assert [kept and notes == (), converted, noted].count(True) == 1


def test_all_kinds_are_in_it() -> None:
    assert {kind.name for kind in KINDS} <= {kind for kind, _ in INPUTS}


@pytest.mark.parametrize("source", ["BMP", "GIF"])
def test_changed_files_are_read_or_refused(source: str) -> None:
    """Whose lengths and places lead anywhere."""
    random = np.random.default_rng(7)
    files = [make() for (_, format), make in INPUTS.items() if format == source]
    for index in range(600):
        data = bytearray(files[index % len(files)])
        for _ in range(int(random.integers(1, 4))):
            data[int(random.integers(min(len(data), 900)))] = int(random.integers(256))
        with suppress(ImageError):
            read_picture(BytesIO(bytes(data)), 1000)
        module = {"BMP": bmp_files, "GIF": gif_files}[source]
        module.read(bytes(data[: int(random.integers(len(data)))]))
