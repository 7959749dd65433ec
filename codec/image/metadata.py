"""What an image file says about its pixels: ICC profile, EXIF, XMP, and the orientation in the latter two."""

from __future__ import annotations

import re
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

Bytes = npt.NDArray[np.uint8]

EXIF_PREFIX = b"Exif\0\0"

_ORIENTATION = 0x0112
_LONG = 4  # the type of a tag's value; orientation is a SHORT by the standard, a LONG here and there
# The tags of a TIFF file that describe the photograph and not the layout of the file: ImageDescription, Make,
# Model, Software, DateTime, Artist, Copyright; and the EXIF and GPS directories.
_TIFF_TAGS = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)
_TIFF_DIRECTORIES = (0x8769, 0x8825)


def metadata(image: Image.Image) -> tuple[bytes | None, bytes | None, bytes | None]:
    """ICC, EXIF and XMP of a loaded image, the latter two with orientation 1."""
    icc = image.info.get("icc_profile")
    exif = image.info.get("exif")
    tags = _tags(image)
    if not isinstance(exif, bytes) and tags:
        # TIFF (and an old convention for PNG) holds the tags in another form: make a new EXIF block.
        kept = Image.Exif()
        for tag in _TIFF_TAGS:
            if tag in tags:
                kept[tag] = tags[tag]
        for tag in _TIFF_DIRECTORIES:
            if tags.get_ifd(tag):
                kept[tag] = dict(tags.get_ifd(tag))
        exif = kept.tobytes() if len(kept) else None
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if isinstance(xmp, str):
        xmp = xmp.encode()
    if xmp:
        xmp = re.sub(rb"(tiff:Orientation\s*=\s*[\"']|<tiff:Orientation>\s*)[2-8]", rb"\g<1>1", xmp)
    return icc or None, upright(exif.removeprefix(EXIF_PREFIX)) if exif else None, xmp or None


def put_metadata(image: Image.Image, icc: bytes | None, exif: bytes | None, xmp: bytes | None) -> None:
    """Puts those that there are into the `info` of an image, under Pillow's names."""
    if icc:
        image.info["icc_profile"] = icc
    if exif:
        image.info["exif"] = EXIF_PREFIX + exif
    if xmp:
        image.info["xmp"] = xmp


def _tags(image: Image.Image) -> Image.Exif:
    try:
        return image.getexif()
    except Exception:
        return Image.Exif()  # a damaged EXIF block says nothing, and is no reason to refuse the pixels


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
