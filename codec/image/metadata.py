"""What an image file says about its pixels: kinds of metadata, how each is read and written, and the orientation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ...bitstream.container import EXIF, ICC, XMP

if TYPE_CHECKING:
    from PIL import Image

Bytes = npt.NDArray[np.uint8]

EXIF_PREFIX = b"Exif\0\0"

_ORIENTATION = 0x0112
_LONG = 4  # the type of a tag's value; orientation is a SHORT by the standard, a LONG here and there
# The tags of a TIFF file that describe the photograph and not the layout of the file: ImageDescription, Make,
# Model, Software, DateTime, Artist, Copyright; and the EXIF and GPS directories.
_TIFF_TAGS = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)
_TIFF_DIRECTORIES = (0x8769, 0x8825)
_TIFF_XMP = 700
_PNG_XMP = "XML:com.adobe.xmp"

_SEGMENT = 65533  # bytes in one of a JPEG file; EXIF and XMP have one each, with a name in front, a profile up to 255


@dataclass(frozen=True)
class Metadata:
    """What goes with the pixels of a picture: the bytes of each of KINDS as a .cae file stores them, or None.

    icc: an ICC profile; exif: a TIFF structure, without the "Exif" prefix of JPEG; xmp: an XMP packet.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None

    def parts(self) -> Iterator[tuple[Kind, bytes]]:
        """Those that there are, in the order of KINDS."""
        for kind in KINDS:
            data: bytes | None = getattr(self, kind.name)
            if data is not None:
                yield kind, data


@dataclass(frozen=True)
class Kind:
    """A kind of metadata.

    name: of its field in `Metadata` and in `cae info --json`; title: for people; chunk: its kind in a .cae file;
    key: Pillow's name in `Image.info` and among the arguments of `Image.save`, prefix: what the bytes begin with there;
    read: its bytes in a loaded image; formats: what adds it to the arguments of `Image.save`, by Pillow's names of the
    formats that hold it; jpeg_bytes: how many of them JPEG does; clean: makes the bytes in a .cae file fit the pixels.
    """

    name: str
    title: str
    chunk: bytes
    key: str
    read: Callable[[Image.Image], bytes | None]
    formats: Mapping[str, Callable[[Kind, dict[Any, Any], bytes], None]]
    jpeg_bytes: int
    prefix: bytes = b""
    clean: Callable[[bytes], bytes] = bytes

    def put(self, options: dict[Any, Any], data: bytes) -> None:
        """Adds it under Pillow's own name, to arguments of `Image.save` or to an `Image.info`."""
        options[self.key] = self.prefix + data


def read_metadata(image: Image.Image) -> Metadata:
    """That of a loaded image, EXIF and XMP with orientation 1."""
    return Metadata(**{kind.name: kind.read(image) for kind in KINDS})


def put_metadata(image: Image.Image, metadata: Metadata) -> None:
    """Puts those that there are into the `info` of an image, under Pillow's names."""
    for kind, data in metadata.parts():
        if data:
            kind.put(image.info, data)


def save_options(metadata: Metadata, format: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The arguments by which Pillow's `Image.save` writes what a format, by Pillow's name, holds of the metadata, and a
    line for each part that is too long for JPEG and left out; of formats that hold none of a kind nothing is said."""
    options: dict[str, Any] = {}
    notes = []
    for kind, data in metadata.parts():
        if format == "JPEG" and len(data) > kind.jpeg_bytes:
            notes.append(f"{kind.name.upper()} left out: JPEG holds {kind.jpeg_bytes:,} bytes of it at most")
        elif data and format in kind.formats:
            kind.formats[format](kind, options, data)
    return options, tuple(notes)


def _read_icc(image: Image.Image) -> bytes | None:
    return image.info.get("icc_profile") or None


def _read_exif(image: Image.Image) -> bytes | None:
    exif = image.info.get("exif")
    tags = _tags(image)
    if not isinstance(exif, bytes) and tags:
        # TIFF (and an old convention for PNG) holds the tags in another form: make a new EXIF block.
        kept = _no_tags()
        for tag in _TIFF_TAGS:
            if tag in tags:
                kept[tag] = tags[tag]
        for tag in _TIFF_DIRECTORIES:
            if tags.get_ifd(tag):
                kept[tag] = dict(tags.get_ifd(tag))
        exif = kept.tobytes() if len(kept) else None
    return upright(exif.removeprefix(EXIF_PREFIX)) if exif else None


def _read_xmp(image: Image.Image) -> bytes | None:
    xmp = image.info.get("xmp") or image.info.get(_PNG_XMP)
    if isinstance(xmp, str):
        xmp = xmp.encode()
    return re.sub(rb"(tiff:Orientation\s*=\s*[\"']|<tiff:Orientation>\s*)[2-8]", rb"\g<1>1", xmp) if xmp else None


def _exif_to_tiff(kind: Kind, options: dict[Any, Any], data: bytes) -> None:
    # Pillow takes the tags of a TIFF file from here, XMP among them.
    options[kind.key] = _no_tags()
    with suppress(Exception):  # a damaged EXIF block is left out
        options[kind.key].load(EXIF_PREFIX + data)


def _xmp_to_tiff(kind: Kind, options: dict[Any, Any], data: bytes) -> None:
    options.setdefault("exif", _no_tags())[_TIFF_XMP] = data


def _xmp_to_png(kind: Kind, options: dict[Any, Any], data: bytes) -> None:
    from PIL.PngImagePlugin import PngInfo

    options["pnginfo"] = PngInfo()
    options["pnginfo"].add_itxt(_PNG_XMP, data)


def _no_tags() -> Image.Exif:
    from PIL import Image  # not above: `cae info` knows all kinds, and does without

    return Image.Exif()


def _tags(image: Image.Image) -> Image.Exif:
    try:
        return image.getexif()
    except Exception:
        return _no_tags()  # a damaged EXIF block says nothing, and is no reason to refuse the pixels


def upright(exif: bytes) -> bytes:
    """The same EXIF block with orientation 1, changed in place: maker notes hold offsets into the block."""
    order: Literal["little", "big"] = "little" if exif.startswith(b"II") else "big"

    def number(at: int, size: int) -> int:
        return int.from_bytes(exif[at : at + size], order)

    directory = number(4, 4)
    for entry in range(directory + 2, directory + 2 + 12 * number(directory, 2), 12):
        if number(entry, 2) == _ORIENTATION:
            size = 4 if number(entry + 2, 2) == _LONG else 2
            return exif[: entry + 8] + (1).to_bytes(size, order) + exif[entry + 8 + size :]
    return exif


def orientation(image: Image.Image) -> int:
    """1..8; 1, upright, where there is none or it makes no sense."""
    value = _tags(image).get(_ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def turn(values: Bytes, orientation: int) -> Bytes:
    """[H, W, ...] as it is to be seen. Orientations 5 to 8 exchange H and W."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return values


# Where Pillow writes it by an argument of its own name.
_NAMED = dict.fromkeys(("PNG", "JPEG", "WEBP", "TIFF"), Kind.put)
_EXIF_FORMATS = _NAMED | {"TIFF": _exif_to_tiff}
_XMP_FORMATS = _NAMED | {"PNG": _xmp_to_png, "TIFF": _xmp_to_tiff}

KINDS = (
    Kind("icc", "ICC profile", ICC, "icc_profile", _read_icc, _NAMED, 255 * (_SEGMENT - 14)),
    Kind("exif", "EXIF", EXIF, "exif", _read_exif, _EXIF_FORMATS, _SEGMENT - len(EXIF_PREFIX), EXIF_PREFIX, upright),
    Kind("xmp", "XMP", XMP, "xmp", _read_xmp, _XMP_FORMATS, _SEGMENT - 29),
)
"""All kinds of metadata, in the order of their chunks."""
